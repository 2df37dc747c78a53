import ExtentMap
import Forecasting
import Measurement
import Primitives
import Redirection
import Shadowing
import Synchronization
import Testing

@testable import Daemon

@Suite struct HeatBookTests {
  private static let extentBytes: UInt64 = 1 << 20

  private func volume() throws -> Volume {
    let record = VolumeRecord(
      id: VolumeID(rawValue: 1), uuid: UUID128(high: 1, low: 1), name: "v", sizeBytes: 4096 * Self.extentBytes
    )
    return Volume(
      record,
      map: try ExtentMap(
        volume: record.id, extentBytes: Self.extentBytes, extentCount: record.extentCount))
  }

  private func read(of extent: UInt64) -> AccessRecord {
    AccessRecord(
      .read, of: VolumeID(rawValue: 1), offset: extent * Self.extentBytes, length: 4096, microseconds: 0)
  }

  /// A machine's clocks that somebody else turns; two hours ahead of UTC.
  private final class Clocks: Sendable {
    let seconds = Atomic<UInt64>(19_000 * 86_400)

    var reading: HeatClock.Reading {
      let now = seconds.load(ordering: .relaxed)
      return HeatClock.Reading(nanoseconds: now * 1_000_000_000, wallSeconds: Double(now), zoneSeconds: 7200)
    }
  }

  /// Three mornings of use, with a restart each night: before the fourth, it is expected.
  @Test func rhythmsOutliveRestarts() throws {
    let volume = try volume()
    let clocks = Clocks()
    var kept = KeptHeat()
    for day in 0..<3 as Range<UInt64> {
      let book = HeatBook(kept, memoryBytes: 1 << 20, read: { clocks.reading })
      book.meet([volume])
      for minute in 0..<60 as Range<UInt64> {
        clocks.seconds.store((19_000 + day) * 86_400 + 7 * 3600 + minute * 60, ordering: .relaxed)
        book.note([read(of: 3)])
      }
      var bytes = ByteWriter()
      book.toKeep.write(to: &bytes)
      var reader = ByteReader(bytes.bytes)
      kept = try #require(KeptHeat(from: &reader))
    }
    clocks.seconds.store(19_003 * 86_400 + 6 * 3600 + 1800, ordering: .relaxed)
    let book = HeatBook(kept, memoryBytes: 1 << 20, read: { clocks.reading })
    book.meet([volume])
    let (heat, now) = try #require(book.heat(of: 3, in: volume.id))
    let expectation = TierRound.Settings().expectation(heat, at: now)
    // Seven o'clock there is nine on the wall.
    #expect(expectation.due?.words == "in use at 09:00 on 3 of the last 4 days")
    #expect((40...50).contains(expectation.accesses))
  }

  /// Extents that there is no memory for may have been accessed when there was none, also after a restart:
  /// they are not to be taken for cold.
  @Test func whatFoundNoRoomIsNotTakenForCold() throws {
    let volume = try volume()
    var kept = KeptHeat(seconds: 2000)
    kept.volumes[volume.uuid] = KeptHeat.Volume(sinceSeconds: 1000, heat: VolumeHeat())
    let book = HeatBook(kept, memoryBytes: UInt64(VolumeHeat.bytesPerChunk))
    book.meet([volume])
    book.note([read(of: 0), read(of: 255)])
    let before = try #require(book.now.volumes[volume.id])
    #expect(before.sinceSeconds == 1000 && before.heat[255] != nil)
    book.note([read(of: 256)])
    var bytes = ByteWriter()
    book.toKeep.write(to: &bytes)
    var reader = ByteReader(bytes.bytes)
    let again = HeatBook(
      try #require(KeptHeat(from: &reader)), memoryBytes: UInt64(VolumeHeat.bytesPerChunk))
    again.meet([volume])
    let (volumes, now) = again.now
    let after = try #require(volumes[volume.id])
    #expect(after.heat[256] == nil && now.seconds - after.sinceSeconds < 600)
  }
}
