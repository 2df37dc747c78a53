import Testing

@testable import Measurement

/// Where requests fall: the meters of the data path, and what becomes of them.
@Suite struct AddressHistoryTests {
  @Test(
    arguments: [
      (1, 0), (256, 0), (257, 1), (1 << 20, 12), (1 << 20 + 1, 13), (20 << 30, 27), (1 << 62, 54),
    ] as [(UInt64, Int)])
  func bucketsCoverTheVolume(bytes: UInt64, shift: Int) {
    #expect(AddressMeter.bucketShift(volumeBytes: bytes) == shift)
  }

  @Test func aMeterCountsByAddress() {
    let meter = VolumeMeter.allocate(volumeBytes: 1 << 20)
    defer { meter.deallocate() }
    meter.succeed(.read, offset: 0, bytes: 4096, nanoseconds: 1000)
    meter.succeed(.write, offset: 4095, bytes: 8192, nanoseconds: 1000)
    meter.succeed(.read, offset: (1 << 20) - 1, bytes: 1, nanoseconds: 1000)
    // A flush is nowhere, and what failed is no access.
    meter.succeed(.synchronize, offset: 8192, bytes: 0, nanoseconds: 1000)
    meter.fail(.read)
    // The volume has grown, and nobody has told yet.
    meter.succeed(.read, offset: 1 << 30, bytes: 1, nanoseconds: 1000)
    var counts = [UInt64](repeating: 0, count: AddressMeter.bucketCount)
    meter.addresses.read(into: &counts)
    #expect(counts[0] == 2 && counts[255] == 2 && counts.reduce(0, +) == 4)
    #expect(meter.ended == 6)
    let all = StoreCounts(reading: [meter.requests])
    #expect(all.succeeded == 5 && all[failed: .read] == 1 && all.inFlight == 0)
    meter.addresses.bucketShift = 22
    meter.succeed(.read, offset: 1 << 29, bytes: 1, nanoseconds: 1000)
    meter.addresses.read(into: &counts)
    #expect(counts[128] == 1)
  }

  private static func totals(_ counts: [Int: UInt64]) -> [UInt64] {
    (0..<AddressMeter.bucketCount).map { counts[$0] ?? 0 }
  }

  @Test func minutesAndHoursAreKept() {
    var history = AddressHistory(bucketShift: 20)
    history.record(Self.totals([3: 5]), at: 3600)
    history.record(Self.totals([3: 7, 200: 1]), at: 3659)
    history.record(Self.totals([3: 7, 200: 1]), at: 3660)
    history.record(Self.totals([3: 8, 200: 1]), at: 3661)
    #expect(history.minutes[60].counts[3] == 7 && history.minutes[60].counts[200] == 1)
    #expect(history.minutes[61].counts[3] == 1)
    #expect(history.hours[1].counts[3] == 8)
    history.record(Self.totals([3: 9, 200: 1]), at: 3600 + 60 * 60)
    #expect(history.minutes[60].isMissing && history.minutes[61].counts[3] == 1)
    #expect(history.hours[1].counts[3] == 8 && history.hours[2].counts[3] == 1)
  }

  @Test func aVolumeThatGrowsHasLargerBuckets() {
    var history = AddressHistory(bucketShift: 20)
    history.record(Self.totals([6: 5, 7: 2, 254: 1, 255: 1]), at: 60)
    history.widen(to: 21)
    #expect(history.bucketShift == 21)
    #expect(history.minutes[1].counts[3] == 7 && history.minutes[1].counts[127] == 2)
    #expect(history.minutes[1].counts.reduce(0, +) == 9 && history.minutes[1].counts.count == 256)
    history.widen(to: 20)
    #expect(history.bucketShift == 21)
  }

  @Test func itIsReadAsItWasWritten() throws {
    var history = AddressHistory(bucketShift: 20)
    history.record(Self.totals([6: 5, 255: 1]), at: 60)
    history.record(Self.totals([6: 8, 255: 1]), at: 7200)
    var writer = ByteWriter()
    history.write(to: &writer)
    var reader = ByteReader(writer.bytes)
    let kept = try #require(AddressHistory(from: &reader, nowSeconds: 7200))
    #expect(reader.isAtEnd && kept.minutes == history.minutes && kept.hours == history.hours)
    #expect(kept.bucketShift == 20)
    var cut = ByteReader(Array(writer.bytes.dropLast()))
    #expect(AddressHistory(from: &cut, nowSeconds: 7200) == nil)
  }
}
