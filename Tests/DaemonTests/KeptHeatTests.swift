import ExtentMap
import Forecasting
import Measurement
import Primitives
import Testing

@testable import Daemon

@Suite struct KeptHeatTests {
  private var kept: KeptHeat {
    var heat = VolumeHeat()
    for day in 0..<4 as Range<UInt32> {
      for second in 1...100 as ClosedRange<UInt32> {
        _ = heat.touch(9, at: HeatTime(day * 86_400 + second * 60), mayGrow: true)
      }
    }
    for second in 1...100 as ClosedRange<UInt32> {
      _ = heat.touch(7, at: HeatTime(second * 60), mayGrow: true)
    }
    _ = heat.touch(5000, at: HeatTime(6001), mayGrow: true)
    var kept = KeptHeat(seconds: 6002)
    kept.volumes[UUID128(high: 3, low: 4)] = KeptHeat.Volume(sinceSeconds: 60, heat: heat)
    return kept
  }

  @Test func whatIsWrittenIsReadAgain() throws {
    var bytes = ByteWriter()
    kept.write(to: &bytes)
    var reader = ByteReader(bytes.bytes)
    let again = try #require(KeptHeat(from: &reader))
    #expect(reader.isAtEnd && again.seconds == kept.seconds)
    let (volume, old) = (again.volumes.values.first, kept.volumes.values.first)
    #expect(volume?.sinceSeconds == 60 && volume?.heat.chunkCount == 2)
    for extent in [7, 8, 9, 5000] as [UInt64] { #expect(volume?.heat[extent] == old?.heat[extent]) }
    // Whatever is cut off is missed.
    for count in [0, 7, 8, 30, bytes.bytes.count - 1] {
      var cut = ByteReader(Array(bytes.bytes.prefix(count)))
      let isRead = KeptHeat(from: &cut) != nil
      #expect(!isRead, "\(count)")
    }
  }

  /// The version before had counts that fade, and nothing by the hour.
  @Test func theOldVersionIsRead() throws {
    var bytes = ByteWriter()
    for number in [6002, 1] as [UInt32] { bytes.append(number) }
    for number in [3, 4] as [UInt64] { bytes.append(number) }
    for number in [60, 1, 2] as [UInt32] { bytes.append(number) }
    for extent in 0..<UInt32(VolumeHeat.extentsPerChunk) {
      for count in [Float(extent), 2, 2.5] { bytes.append(count.bitPattern) }
      bytes.append(1000 + extent)
    }
    var reader = ByteReader(bytes.bytes)
    let old = try #require(KeptHeat(from: &reader, version: 1))
    #expect(reader.isAtEnd)
    let heat = try #require(old.volumes[UUID128(high: 3, low: 4)]?.heat)
    let fading = FadingHeat(brief: 3, long: 2, minutes: 2.5, lastSeconds: 1003)
    #expect(heat[515] == ExtentHeat(fading) && heat.chunkCount == 1)
    var again = ByteReader(bytes.bytes)
    let isTakenForNew = KeptHeat(from: &again) != nil
    #expect(!isTakenForNew)
  }

  /// Counts that could not have come about are not taken: they would be compared, and summed up.
  @Test(arguments: [Float.nan, -1, 1e13]) func senselessCountsAreRefused(_ count: Float) {
    var bytes = ByteWriter()
    kept.write(to: &bytes)
    var raw = bytes.bytes
    // The first extent of the first chunk.
    let place = 4 + 4 + 16 + 4 + 4 + 4
    for byte in 0..<4 {
      raw[place + byte] = UInt8(truncatingIfNeeded: count.bitPattern >> (8 * UInt32(byte)))
    }
    var reader = ByteReader(raw)
    let isRead = KeptHeat(from: &reader) != nil
    #expect(!isRead)
  }
}
