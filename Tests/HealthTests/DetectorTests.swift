import Measurement
import Primitives
import Testing

@testable import Health

@Suite struct DetectorTests {
  /// A sample of one second.
  private func sample(
    reads: UInt64 = 0, failed: (StoreOperation, UInt64)? = nil, missed: UInt64 = 0, inFlight: UInt64 = 0
  ) -> StoreSample {
    var counts = StoreCounts()
    if reads > 0 { counts[LatencySeries(.read)].record(nanoseconds: 200_000, times: reads) }
    if let failed { counts[failed: failed.0] = failed.1 }
    counts.missedDeadlines = missed
    return StoreSample(seconds: 1, counts: counts, inFlight: inFlight)
  }

  @Test func errorsCountByKindAndFade() {
    var detector = ErrorDetector()
    #expect(detector.score == 0)
    #expect(detector.reason == nil)
    detector.observe(sample(reads: 100, failed: (.read, 1)))
    let oneRead = detector.score
    #expect((20...25).contains(oneRead))
    #expect(detector.reason == "1 operation failed lately")
    var writes = ErrorDetector()
    writes.observe(sample(failed: (.write, 1)))
    #expect(writes.score > oneRead)
    var synchronizations = ErrorDetector()
    synchronizations.observe(sample(failed: (.synchronize, 1)))
    #expect(synchronizations.score > 90)
    for _ in 0..<600 { detector.observe(sample(reads: 100)) }
    #expect(detector.score < 6)
    for _ in 0..<50_000 { detector.observe(sample()) }
    #expect(detector.score < 0.01)
    #expect(detector.reason == nil)
  }

  @Test func lostWritesAreNeverForgotten() {
    var detector = ErrorDetector()
    var lost = sample()
    lost.hasLostWrites = true
    detector.observe(lost)
    for _ in 0..<1000 { detector.observe(sample(reads: 1)) }
    #expect(detector.score == 100)
    #expect(detector.reason == "a synchronization failed: writes may be lost")
  }

  @Test func aStallIsAWholeIntervalWithoutAnEnd() {
    var detector = StallDetector()
    detector.observe(sample(reads: 10, inFlight: 0))
    // It may have begun at the very end of this interval.
    detector.observe(sample(inFlight: 1))
    #expect(detector.score == 0)
    #expect(!detector.isHung)
    detector.observe(sample(inFlight: 1))
    #expect(detector.score == 90)
    #expect(detector.isHung)
    #expect(detector.reason == "nothing has ended for 1 s, 1 operation in flight")
    detector.observe(sample(inFlight: 2))
    #expect(detector.score == 100)
    detector.observe(sample(failed: (.read, 1), inFlight: 1))
    #expect(detector.score == 0)
  }

  @Test func anIdleStoreDoesNotStall() {
    var detector = StallDetector()
    for _ in 0..<100 { detector.observe(sample()) }
    #expect(detector.score == 0)
    #expect(detector.reason == nil)
  }

  @Test func aStoreThatIsAlwaysSlowIsGivenTime() {
    var detector = StallDetector()
    var slow = sample(inFlight: 1)
    slow.counts[LatencySeries(.synchronize)].record(nanoseconds: 800_000_000)
    for _ in 0..<10 { detector.observe(slow) }
    for _ in 0..<2 { detector.observe(sample(inFlight: 1)) }
    // Four times 0.8 s, with the histogram's error.
    #expect((50...60).contains(detector.score))
    #expect(!detector.isHung)
    // What hung for a minute has no say in what is usual.
    for _ in 0..<58 { detector.observe(sample(inFlight: 1)) }
    var late = sample()
    late.counts[LatencySeries(.read)].record(nanoseconds: 60_000_000_000)
    detector.observe(late)
    for _ in 0..<6 { detector.observe(sample(inFlight: 1)) }
    #expect(detector.isHung)
  }

  @Test func missedDeadlinesScoreByTheirShare() {
    var few = StallDetector()
    var half = StallDetector()
    for _ in 0..<60 {
      few.observe(sample(reads: 999, missed: 1, inFlight: 5))
      half.observe(sample(reads: 50, missed: 50, inFlight: 5))
    }
    #expect((2...5).contains(few.score))
    #expect((69...72).contains(half.score))
    #expect(!half.isHung)
    #expect(half.reason == "50 % of operations missed their deadlines")
  }

  @Test func aConnectionThatIsDown() {
    var detector = NetworkDetector()
    var down = sample()
    down.connection = .disconnected
    detector.observe(sample())
    #expect(detector.score == 0)
    detector.observe(down)
    #expect(detector.isDown)
    #expect(detector.score == 91)
    #expect(detector.reason == "disconnected for 1 s")
    for _ in 0..<100 { detector.observe(down) }
    #expect(detector.score == 100)
    var back = sample(reads: 1)
    back.connection = .connected
    back.reconnects = 1
    detector.observe(back)
    #expect(!detector.isDown)
    #expect((20...23).contains(detector.score))
    #expect(detector.reason == "reconnected 1 time in the last minutes")
  }

  @Test(arguments: [(0.0, 0.0), (0.8, 0), (0.875, 20), (0.95, 40), (0.975, 52.5), (1, 65)])
  func spaceScoresByFilling(fraction: Double, score: Double) {
    var detector = SpaceDetector()
    var sample = sample()
    sample.space = SpaceUse(usedBytes: UInt64(fraction * 1e9), capacityBytes: 1_000_000_000)
    detector.observe(sample)
    #expect((detector.score - score).magnitude < 1e-6)
    #expect((detector.reason == nil) == (score < 1))
  }

  @Test func aStoreThatFillsUpIsForeseen() throws {
    var detector = SpaceDetector()
    var sample = sample()
    for second in 0..<3600 {
      // 10 MB a second into 60 GB: full after 6000 s.
      sample.space = SpaceUse(usedBytes: UInt64(second) * 10_000_000, capacityBytes: 60_000_000_000)
      detector.observe(sample)
    }
    let left = try #require(detector.fullInSeconds)
    #expect((2300...2500).contains(left), "\(left)")
    #expect((26...30).contains(detector.score))
    #expect(
      detector.reason == "60 % full, full in about 40 min"
        || detector.reason == "60 % full, full in about 41 min")
    sample.space = SpaceUse(usedBytes: 1, capacityBytes: 0)
    detector.observe(sample)
    #expect(detector.fullInSeconds == nil)
    #expect(detector.score == 0)
  }

  @Test func mediaFindings() {
    #expect(MediaScore(nil).score == 0)
    #expect(MediaScore(MediaSummary()).reason == nil)
    var media = MediaSummary()
    media.reallocatedSectors = 1
    #expect((MediaScore(media).score - 9).magnitude < 1e-9)
    media.pendingSectors = 100
    #expect(MediaScore(media).reason == "100 pending sectors")
    #expect((68...72).contains(MediaScore(media).score))
    media.hasPassed = false
    #expect(MediaScore(media).reason == "the device expects to fail")
    #expect(MediaScore(media).score > 95)
    var worn = MediaSummary()
    worn.wearPercent = 80
    #expect(MediaScore(worn).score == 0)
    worn.wearPercent = 100
    #expect((MediaScore(worn).score - 40).magnitude < 1e-9)
    worn.wearPercent = .nan
    #expect(MediaScore(worn).score == 0)
    var spare = MediaSummary()
    spare.sparePercent = 10
    spare.spareThresholdPercent = 10
    #expect(MediaScore(spare).score == 0)
    spare.sparePercent = 9
    #expect(MediaScore(spare).reason == "9 % of spare blocks are left")
    var failing = MediaSummary()
    failing.failingAttribute = "Spin_Up_Time"
    #expect((MediaScore(failing).score - 90).magnitude < 1e-9)
  }

  @Test(arguments: [NVMeWarnings.spare, .temperature, .reliability, .readOnly, .backup])
  func eachWarningIsAFinding(warning: NVMeWarnings) {
    var media = MediaSummary()
    media.warnings = warning
    let one = MediaScore(media).score
    #expect(one >= 30)
    media.warnings.insert(.temperature)
    media.warnings.insert(.backup)
    media.warnings.insert(.spare)
    #expect(MediaScore(media).score > one)
  }

  @Test func modesAreCombined() {
    #expect(FailureScore.combined([]) == 0)
    #expect(FailureScore.combined([40]) == 40)
    #expect((FailureScore.combined([50, 50]) - 75).magnitude < 1e-9)
    #expect((FailureScore.combined([20, 20, 20, 20]) - 59.04).magnitude < 1e-9)
    #expect(FailureScore.combined([0, 100, 0]) == 100)
    #expect(FailureScore.combined([-5, 200]) == 100)
  }

  @Test func figuresAsPeopleReadThem() {
    #expect(
      [850, 85_400, 3_120_000, 212_000_000, 2_440_000_000].map(Words.latency) == [
        "850 ns", "85 µs", "3.1 ms", "212 ms", "2.4 s",
      ])
    #expect([1, 40, 600, 10_800, 400_000].map(Words.duration) == ["1 s", "40 s", "10 min", "3 h", "5 d"])
    #expect([4096, 40e6, 2.5e9].map(Words.rate) == ["4.1 kB/s", "40 MB/s", "2.5 GB/s"])
    #expect(
      [0, 0.96, 1.04, 9.94, 9.96, 1e300, -3].map(Words.figure) == [
        "0", "1", "1", "9.9", "10", "1000000000000000", "-3",
      ])
    #expect(Words.count(1, "extent") == "1 extent")
    #expect(Words.count(0, "extent") == "0 extents")
  }
}
