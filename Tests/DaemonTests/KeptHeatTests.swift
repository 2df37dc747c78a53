import ExtentMap
import Forecasting
import Measurement
import Primitives
import Testing

@testable import Daemon

@Suite struct KeptHeatTests {
  private var kept: KeptHeat {
    var heat = VolumeHeat()
    for second in 1...100 as ClosedRange<UInt32> { _ = heat.touch(7, at: second * 60, mayGrow: true) }
    _ = heat.touch(5000, at: 6001, mayGrow: true)
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
    for extent in [7, 8, 5000] as [UInt64] { #expect(volume?.heat[extent] == old?.heat[extent]) }
    // Whatever is cut off is missed.
    for count in [0, 7, 8, 30, bytes.bytes.count - 1] {
      var cut = ByteReader(Array(bytes.bytes.prefix(count)))
      let isRead = KeptHeat(from: &cut) != nil
      #expect(!isRead, "\(count)")
    }
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
