import Testing

@testable import Measurement

/// Histories: rings, samples, and how readings of meters become them.
@Suite struct LoadHistoryTests {
  private static func sample(_ reads: UInt32, seconds: Float = 1) -> LoadSample {
    var sample = LoadSample()
    sample.seconds = seconds
    sample.reads = reads
    return sample
  }

  // MARK: The ring

  @Test func aRingKeepsTheLast() {
    var ring = HistoryRing<LoadSample>(capacity: 4)
    #expect(ring.last == nil && ring.steps(through: 9).isEmpty && ring[9].isMissing)
    for step in 10..<17 { ring.add(Self.sample(UInt32(step)), at: step) }
    #expect((12..<18).map { ring[$0].reads } == [0, 13, 14, 15, 16, 0])
    #expect(ring.steps(through: 16) == 13..<17)
    // What has not come is missing at the end.
    #expect(ring.steps(through: 18) == 15..<19)
  }

  @Test func gapsAreMissing() {
    var ring = HistoryRing<LoadSample>(capacity: 4)
    for step in 10..<14 { ring.add(Self.sample(UInt32(step)), at: step) }
    ring.add(Self.sample(16), at: 16)
    #expect((12..<17).map { ring[$0].reads } == [0, 13, 0, 0, 16])
    ring.add(Self.sample(90), at: 90)
    #expect((86...90).map { ring[$0].reads } == [0, 0, 0, 0, 90])
    #expect(ring.steps(through: 90) == 90..<91)
  }

  @Test func aStepCanComeInParts() {
    var ring = HistoryRing<LoadSample>(capacity: 4)
    ring.add(Self.sample(3), at: 7)
    ring.add(Self.sample(4, seconds: 2), at: 7)
    #expect(ring[7].reads == 7 && ring[7].seconds == 3)
    ring.add(Self.sample(1), at: 9)
    ring.add(Self.sample(1), at: 8)
    #expect(ring[8].reads == 1)
    ring.add(Self.sample(1), at: 5)
    #expect(ring[5].isMissing && ring[9].reads == 1)
    ring.add(.missing, at: 12)
    #expect(ring.last == 9)
  }

  // MARK: Samples

  private static func counts() -> StoreCounts {
    var counts = StoreCounts()
    counts[LatencySeries(.read, .small)].record(nanoseconds: 100_000, times: 90)
    counts[LatencySeries(.write, .medium)].record(nanoseconds: 400_000, times: 9)
    counts[LatencySeries(.read, .large)].record(nanoseconds: 10_000_000, times: 1)
    counts[LatencySeries(.synchronize)].record(nanoseconds: 90_000_000, times: 5)
    counts.bytesRead = 90 * 4096 + 1 << 20
    counts.bytesWritten = 9 * 65_536
    return counts
  }

  @Test func aSampleHasAllThatIsAsked() throws {
    let sample = LoadSample(Self.counts(), seconds: 2)
    #expect((sample.reads, sample.writes, sample.synchronizations) == (91, 9, 5))
    #expect((sample.small, sample.medium, sample.large) == (90, 9, 1))
    #expect(sample[.iops] == 50 && sample.readShare == 0.91)
    #expect(sample[.throughput] == Double(sample.bytesRead + sample.bytesWritten) / 2)
    // Synchronizations are no reads or writes: their latency does not count.
    let mean = try #require(sample[.latency])
    #expect(abs(mean - (90 * 100_000 + 9 * 400_000 + 10_000_000) / 100) < 0.032 * mean)
    #expect(abs(sample.p99Nanoseconds - 400_000) < 13_000)
  }

  @Test func nothingIsNotZero() {
    #expect(LoadSample.missing[.iops] == nil && LoadSample.missing[.latency] == nil)
    let idle = LoadSample(StoreCounts(), seconds: 1)
    #expect(idle[.iops] == 0 && idle[.throughput] == 0 && idle[.latency] == nil && idle.readShare == nil)
  }

  @Test func samplesAddUp() throws {
    var sum = LoadSample(Self.counts(), seconds: 2)
    var other = StoreCounts()
    other[LatencySeries(.write, .small)].record(nanoseconds: 1_000_000, times: 100)
    sum.merge(LoadSample(other, seconds: 1))
    #expect((sum.reads, sum.writes, sum.seconds) == (91, 109, 3))
    #expect(sum.p99Nanoseconds > 968_000, "the larger of the two")
    #expect(abs(try #require(sum[.latency]) - (226_000 + 1_000_000) / 2) < 20_000)
    sum.merge(.missing)
    #expect(sum.seconds == 3 && sum.transfers == 200)
  }

  @Test func aSampleIsSmall() {
    #expect(MemoryLayout<LoadSample>.stride == 48)
    #expect(LoadStep.allCases.reduce(0) { $0 + $1.kept } * 48 == 123_840)
  }

  // MARK: The recorder

  /// Records an even load for a while.
  private static func record(
    _ recorder: inout LoadRecorder, _ counts: inout StoreCounts, _ seconds: Range<Int>, perSecond: UInt64
  ) {
    for second in seconds {
      counts[LatencySeries(.read, .small)].record(nanoseconds: 50_000, times: perSecond)
      counts.bytesRead += 4096 * perSecond
      recorder.record(perSecond == 0 ? nil : counts, at: second, seconds: 1)
    }
  }

  @Test func secondsMakeMinutesAndHours() {
    var (recorder, counts) = (LoadRecorder(), StoreCounts())
    Self.record(&recorder, &counts, 7200..<10_800, perSecond: 10)
    Self.record(&recorder, &counts, 10_800..<10_830, perSecond: 30)
    let history = recorder.history
    #expect(history[.second][10_829].reads == 30)
    #expect(history[.second][10_829 - 300].isMissing && !history[.second][10_829 - 299].isMissing)
    #expect(history[.minute].last == 179 && history[.minute][179].reads == 600)
    #expect(history[.hour].last == 2 && history[.hour][2].reads == 36_000)
    #expect(history[.hour][2].seconds == 3600)
    #expect(history[.hour][2][.throughput] == 40_960)
    let soFar = recorder.historySoFar
    #expect(soFar[.minute][180].reads == 900 && soFar[.minute][180].seconds == 30)
    #expect(soFar[.hour][3][.iops] == 30)
    #expect(history.series(.iops, by: .minute, through: 180).suffix(2) == [10, nil])
  }

  @Test func idleTimeIsKnown() {
    var (recorder, counts) = (LoadRecorder(), StoreCounts())
    Self.record(&recorder, &counts, 0..<30, perSecond: 4)
    Self.record(&recorder, &counts, 30..<120, perSecond: 0)
    Self.record(&recorder, &counts, 120..<121, perSecond: 1)
    #expect(recorder.history[.second][60][.iops] == 0)
    #expect(recorder.history[.minute][0][.iops] == 2)
    #expect(recorder.history[.minute][1][.iops] == 0)
  }

  @Test func historyGoesOnAfterARestart() throws {
    var (recorder, counts) = (LoadRecorder(), StoreCounts())
    Self.record(&recorder, &counts, 3600..<3690, perSecond: 10)
    var writer = ByteWriter()
    recorder.historySoFar.write(to: &writer)
    var reader = ByteReader(writer.bytes)
    let kept = try #require(LoadHistory(from: &reader, nowSeconds: 3700))
    #expect(reader.isAtEnd)
    var next = LoadRecorder(kept)
    var fresh = StoreCounts()
    // A minute that was begun before.
    Self.record(&next, &fresh, 3700..<3730, perSecond: 20)
    #expect(next.history[.minute][60].reads == 600)
    #expect(next.history[.minute][61].reads == 300 + 400)
    #expect(next.history[.minute][61].seconds == 50)
    #expect(next.historySoFar[.hour][1].reads == 900 + 600)
    #expect(next.history[.second][3689].isMissing)
  }

  @Test func whatIsOfTheFutureIsLeftOut() throws {
    var (recorder, counts) = (LoadRecorder(), StoreCounts())
    Self.record(&recorder, &counts, 3600..<7200, perSecond: 10)
    var writer = ByteWriter()
    recorder.historySoFar.write(to: &writer)
    var reader = ByteReader(writer.bytes)
    let kept = try #require(LoadHistory(from: &reader, nowSeconds: 3660))
    #expect(kept[.minute].last == 61)
  }

  @Test func cutBytesMakeNoSense() {
    var (recorder, counts) = (LoadRecorder(), StoreCounts())
    Self.record(&recorder, &counts, 0..<130, perSecond: 10)
    var writer = ByteWriter()
    recorder.historySoFar.write(to: &writer)
    for length in [0, 3, 11, 40, writer.bytes.count - 1] {
      var reader = ByteReader(Array(writer.bytes.prefix(length)))
      #expect(LoadHistory(from: &reader, nowSeconds: 130) == nil, "\(length) bytes")
    }
  }

  // MARK: The clock

  @Test func timeNeverGoesBack() {
    var clock = HistoryClock(wallSeconds: 1000)
    clock.advance(elapsedSeconds: 1, wallSeconds: 1001.5)
    #expect(clock.seconds == 1001)
    clock.advance(elapsedSeconds: 1, wallSeconds: 400)
    #expect(clock.seconds == 1002)
    clock.advance(elapsedSeconds: 1, wallSeconds: 5000)
    #expect(clock.seconds == 5000)
  }
}
