import Measurement
import Primitives
import Testing

@testable import Health

/// Whatever comes in: scores are numbers from 0 to 100, and what is worse does not score less.
@Suite struct ScorePropertyTests {
  /// Anything that fits the types.
  private func anything(_ random: inout SeededGenerator) -> StoreSample {
    func number() -> UInt64 { random.chance(3) ? 0 : random.next() >> UInt64(random.below(64)) }
    var counts = StoreCounts()
    for series in LatencySeries.all where random.chance(2) {
      for _ in 0..<random.below(4) { counts[series].record(nanoseconds: number(), times: number() >> 8) }
    }
    for operation in StoreOperation.allCases where random.chance(4) { counts[failed: operation] = number() }
    (counts.bytesRead, counts.bytesWritten, counts.missedDeadlines) = (number(), number(), number())
    let lengths = [0, -1, 1, 0.001, 1e300, .nan, .infinity, -.infinity, Double(random.below(5000))]
    var sample = StoreSample(
      seconds: lengths[random.below(lengths.count)], counts: counts, inFlight: number())
    sample.space = random.chance(2) ? SpaceUse(usedBytes: number(), capacityBytes: number()) : nil
    sample.connection = random.chance(2) ? .disconnected : random.chance(2) ? .connected : nil
    sample.reconnects = number()
    if random.chance(4) {
      var media = MediaSummary()
      let figures = [0, 50, 99, 1e300, -1e300, .nan, .infinity]
      media.wearPercent = figures[random.below(figures.count)]
      media.sparePercent = figures[random.below(figures.count)]
      media.spareThresholdPercent = figures[random.below(figures.count)]
      media.pendingSectors = number()
      media.warnings = NVMeWarnings(rawValue: UInt8(truncatingIfNeeded: random.next()))
      sample.media = media
    }
    return sample
  }

  @Test(arguments: 1...6)
  func scoresAreScores(seed: UInt64) {
    var random = SeededGenerator(seed: seed)
    var monitor = HealthMonitor()
    for store in 0..<3 as Range<UInt8> { monitor.add(StoreID(rawValue: store), group: 0) }
    var time: UInt64 = 0
    for _ in 0..<100 {
      for store in 0..<3 as Range<UInt8> { monitor.observe(anything(&random), of: StoreID(rawValue: store)) }
      time += random.next() >> 30
      let events = monitor.decide(at: time, satOutMax: random.below(3)) { _ in
        StoreRedundancy(onlyCopies: 0)
      }
      for report in monitor.reports {
        #expect((0...100).contains(report.score))
        for mode in report.modes {
          #expect((1...100).contains(mode.score), "\(mode)")
          #expect(mode.reason?.isEmpty == false, "\(mode)")
        }
        let ahead = [
          report.warnings.fullInSeconds, report.warnings.slowInSeconds, report.warnings.failingInSeconds,
        ]
        for seconds in ahead.compactMap({ $0 }) { #expect(seconds > 0 && seconds <= 168 * 3600) }
      }
      for event in events { #expect(event.from != event.to) }
    }
  }

  /// Two stores live the same life; one of them a little worse in one respect.
  @Test(arguments: 1...2, ["slow", "errors", "missed", "reconnects", "space"])
  func worseDoesNotScoreLess(seed: UInt64, respect: String) {
    var well = SyntheticStore(seed: seed)
    var (one, other) = (StoreHealth(group: 0), StoreHealth(group: 0))
    for second in 0..<600 {
      var sample = well.sample()
      sample.space = SpaceUse(usedBytes: 900_000_000, capacityBytes: 1_000_000_000)
      one.observe(sample, peers: [])
      if second >= 300 { worsen(&sample, respect) }
      other.observe(sample, peers: [])
      #expect(other.score >= one.score, "at \(second) s")
    }
    #expect(other.score > one.score)
  }

  private func worsen(_ sample: inout StoreSample, _ respect: String) {
    switch respect {
    case "slow":
      for series in LatencySeries.all {
        let healthy = sample.counts[series]
        var slow = LatencyHistogram()
        if let mean = healthy.meanNanoseconds {
          slow.record(nanoseconds: UInt64(mean * 3), times: healthy.count)
        }
        sample.counts[series] = slow
      }
    case "errors": sample.counts[failed: .read] += 1
    case "missed": sample.counts.missedDeadlines += 1
    case "reconnects": sample.reconnects += 1
    default: sample.space?.usedBytes += 50_000_000
    }
  }

  @Test func aRatioThatIsLargerIsMoreSevere() {
    var last = -1.0
    for step in 0...1000 {
      let severity = FailSlowDetector.severity(ofRatio: Double(step) / 50)
      #expect(severity >= last && (0..<1).contains(severity))
      last = severity
    }
    for severity in [0.1, 0.65, 0.99] {
      let ratio = FailSlowDetector.ratio(ofSeverity: severity)
      #expect((FailSlowDetector.severity(ofRatio: ratio) - severity).magnitude < 1e-12)
    }
  }

  @Test func theSameSamplesGiveTheSameReport() {
    func run() -> [HealthReport] {
      var pool = SyntheticPool(groups: [0, 0, 0], seed: 9)
      pool.live(300)
      pool.stores[1].slowness = 20
      pool.live(100)
      return pool.monitor.reports
    }
    #expect(run() == run())
  }
}

extension HealthMonitor {
  /// The health of the first three stores.
  fileprivate var reports: [HealthReport] { (0..<3).compactMap { report(of: StoreID(rawValue: $0)) } }
}
