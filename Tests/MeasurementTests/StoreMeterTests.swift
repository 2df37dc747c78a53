import Testing

@testable import Measurement

@Suite struct StoreMeterTests {
  @Test func sizesAndOperationsHaveSeriesOfTheirOwn() {
    var seen: Set<Int> = []
    for operation in [StoreOperation.read, .write] {
      for size in SizeClass.allCases {
        let series = LatencySeries(operation, size)
        #expect(series.operation == operation)
        #expect(series.size == size)
        #expect(seen.insert(series.rawValue).inserted)
      }
    }
    let synchronizations = LatencySeries(.synchronize, .large)
    #expect(synchronizations == LatencySeries(.synchronize))
    #expect(synchronizations.operation == .synchronize)
    #expect(synchronizations.size == nil)
    #expect(seen.insert(synchronizations.rawValue).inserted)
    #expect(LatencySeries.all.map(\.rawValue) == seen.sorted())
    #expect(LatencySeries(rawValue: 7) == nil)
    #expect(LatencySeries(rawValue: -1) == nil)
  }

  @Test func classesEndAtTheirBounds() {
    #expect(
      [0, 4096, 4097, 65_536, 65_537, .max].map(SizeClass.init(bytes:)) == [
        .small, .small, .medium, .medium, .large, .large,
      ])
  }

  @Test func whatIsNotedIsRead() {
    let meter = StoreMeter.allocate()
    defer { meter.deallocate() }
    for _ in 0..<6 { meter.begin() }
    meter.succeed(.read, bytes: 4096, nanoseconds: 90_000)
    meter.succeed(.write, bytes: 1 << 20, nanoseconds: 2_000_000)
    meter.succeed(.synchronize, bytes: 0, nanoseconds: 9_000_000)
    meter.fail(.write)
    meter.fail(.synchronize)
    meter.missDeadline()
    let counts = StoreCounts(reading: [meter])
    #expect(counts[LatencySeries(.read, .small)].count == 1)
    #expect(counts[LatencySeries(.write, .large)].count == 1)
    #expect(counts[LatencySeries(.synchronize)].count == 1)
    #expect(counts.succeeded == 3)
    #expect(counts.failed == [0, 1, 1])
    #expect(counts[failed: .write] == 1)
    #expect(counts.bytesRead == 4096)
    #expect(counts.bytesWritten == 1 << 20)
    #expect(counts.missedDeadlines == 1)
    #expect(counts.begun == 6)
    #expect(counts.inFlight == 1)
  }

  @Test func metersAddUpAndReadingsAreSubtracted() {
    let meters = [StoreMeter.allocate(), StoreMeter.allocate()]
    defer { for meter in meters { meter.deallocate() } }
    for meter in meters {
      meter.begin()
      meter.succeed(.read, bytes: 512, nanoseconds: 1000)
    }
    let first = StoreCounts(reading: meters)
    #expect(first.succeeded == 2)
    #expect(first.bytesRead == 1024)
    meters[1].begin()
    meters[1].fail(.read)
    meters[0].begin()
    meters[0].succeed(.write, bytes: 100, nanoseconds: 70_000)
    meters[0].missDeadline()
    let change = StoreCounts(reading: meters).since(first)
    #expect(change.succeeded == 1)
    #expect(change[LatencySeries(.write, .small)].count == 1)
    #expect(change.failed == [1, 0, 0])
    #expect(change.bytesRead == 0)
    #expect(change.bytesWritten == 100)
    #expect(change.begun == 2)
    #expect(change.missedDeadlines == 1)
    #expect(first.since(StoreCounts(reading: meters)) == StoreCounts())
  }

  @Test func aReaderBesideTheWriterSeesCountersThatOnlyGrow() async {
    let meter = StoreMeter.allocate()
    defer { meter.deallocate() }
    let operations: UInt64 = 20_000
    async let writing: Void = {
      for number in 0..<operations {
        meter.begin()
        meter.succeed(.read, bytes: 1, nanoseconds: number << 10)
      }
    }()
    var last = StoreCounts()
    while last.succeeded < operations {
      let counts = StoreCounts(reading: [meter])
      #expect(counts.succeeded >= last.succeeded)
      #expect(counts.bytesRead >= last.bytesRead)
      #expect(counts.since(last).succeeded == counts.succeeded - last.succeeded)
      last = counts
      await Task.yield()
    }
    await writing
    #expect(StoreCounts(reading: [meter]).inFlight == 0)
  }
}
