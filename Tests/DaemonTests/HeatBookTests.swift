import ExtentMap
import Forecasting
import Measurement
import Primitives
import Redirection
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
    #expect(after.heat[256] == nil && now - after.sinceSeconds < 600)
  }
}
