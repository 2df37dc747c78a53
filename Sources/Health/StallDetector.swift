import Measurement

/// Scores a store in which operations hang: the larger of two.
///
/// - Nothing has ended for whole intervals although something was in flight at their start and end: 90 once
///   that has lasted for a second, or for four times the mean latency that the slowest series usually has, if
///   that is longer (10 s at most); then more, up to 100.
/// - Operations miss their deadlines: 100 · √share, where the share is missed / (missed + ended + 4), both
///   halved every ten seconds.
struct StallDetector: Sendable {
  private var stalledSeconds = 0.0
  private var sinceStall = Double.infinity
  private var inFlight: UInt64 = 0
  private var missed = DecayingCount(halfLifeSeconds: 10)
  private var ended = DecayingCount(halfLifeSeconds: 10)
  /// The mean latency of the slowest series in the worst interval, halved once an hour.
  private var slowestSeconds = 0.0

  /// A stall that has lasted for its unit scores so much.
  private static let stallScore = 90.0
  private static let unitSecondsMin = 1.0
  private static let unitSecondsMax = 10.0
  private static let slowestFactor = 4.0
  /// Latencies so soon after a stall are those of the stall, not usual ones.
  private static let convalescenceSeconds = 60.0
  /// A few operations are no share of anything.
  private static let doubt = 4.0

  mutating func observe(_ sample: StoreSample) {
    let seconds = sample.boundedSeconds
    let endedNow = sample.counts.latencies.reduce(Double(sample.counts.failed.reduce(0, &+))) {
      $0 + Double($1.count)
    }
    if endedNow == 0, inFlight > 0, sample.inFlight > 0 {
      stalledSeconds += seconds
      sinceStall = 0
    } else {
      stalledSeconds = 0
      sinceStall += seconds
    }
    inFlight = sample.inFlight
    missed.advance(seconds: seconds, adding: Double(sample.counts.missedDeadlines))
    ended.advance(seconds: seconds, adding: endedNow)
    slowestSeconds *= Decay.factor(seconds: seconds, halfLifeSeconds: 3600)
    if sinceStall > Self.convalescenceSeconds, missedShare < 0.01 { learn(sample) }
  }

  private mutating func learn(_ sample: StoreSample) {
    for histogram in sample.counts.latencies {
      slowestSeconds = max(slowestSeconds, (histogram.meanNanoseconds ?? 0) / 1e9)
    }
  }

  /// Seconds without an end after which a stall counts as one.
  private var unitSeconds: Double {
    min(max(Self.slowestFactor * slowestSeconds, Self.unitSecondsMin), Self.unitSecondsMax)
  }

  private var missedShare: Double { missed.value / (missed.value + ended.value + Self.doubt) }

  private var hangScore: Double { min(100, Self.stallScore * stalledSeconds / unitSeconds) }

  /// 0…100.
  var score: Double { max(hangScore, 100 * missedShare.squareRoot()) }

  /// Nothing has ended for so long that there is nothing to wait for.
  var isHung: Bool { hangScore >= Self.stallScore }

  /// In plain words; nil if nothing hangs.
  var reason: String? {
    guard score >= 1 else { return nil }
    if hangScore > 0 {
      let duration = Words.duration(seconds: stalledSeconds)
      return "nothing has ended for \(duration), \(Words.count(inFlight, "operation")) in flight"
    }
    return "\(Words.percent(missedShare)) of operations missed their deadlines"
  }
}
