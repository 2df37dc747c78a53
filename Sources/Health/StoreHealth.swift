/// Everything that is known of the health of one store. At most 110 KiB of history and 25 KiB of forecasts.
struct StoreHealth: Sendable {
  /// Stores of one group are compared with each other.
  let group: Int
  private(set) var failSlow = FailSlowDetector()
  private var errors = ErrorDetector()
  private var stall = StallDetector()
  private var space = SpaceDetector()
  private var network = NetworkDetector()
  private var media = MediaScore(nil)
  private var slownessOutlook = Outlook(isDamped: true)
  private var errorsOutlook = Outlook(isDamped: true)

  init(group: Int) {
    self.group = group
  }

  mutating func observe(_ sample: StoreSample, peers: [FailSlowDetector]) {
    failSlow.observe(sample, peers: peers)
    errors.observe(sample)
    stall.observe(sample)
    space.observe(sample)
    network.observe(sample)
    // A device is asked far less often than once in an interval: what it said last holds.
    if let summary = sample.media { media = MediaScore(summary) }
    _ = slownessOutlook.observe(failSlow.worst?.verdict.ratio, seconds: sample.boundedSeconds)
    _ = errorsOutlook.observe(errors.score, seconds: sample.boundedSeconds)
  }

  private func score(_ mode: FailureMode) -> Double {
    switch mode {
    case .failSlow: failSlow.score
    case .errors: errors.score
    case .stall: stall.score
    case .space: space.score
    case .network: network.score
    case .media: media.score
    }
  }

  private func reason(_ mode: FailureMode) -> String? {
    switch mode {
    case .failSlow: failSlow.reason
    case .errors: errors.reason
    case .stall: stall.reason
    case .space: space.reason
    case .network: network.reason
    case .media: media.reason
    }
  }

  /// 0…100.
  var score: Double { FailureScore.combined([sharedScore, ownScore]) }

  /// Of the modes that a cause outside the store can bring about as well.
  var sharedScore: Double { FailureScore.combined([failSlow.score, stall.score, network.score]) }

  /// Of the others.
  var ownScore: Double { FailureScore.combined([errors.score, space.score, media.score]) }

  var hasBaseline: Bool { failSlow.hasBaseline }

  /// Nothing comes from it any more.
  var isDead: Bool { stall.isHung || network.isDown }

  /// The modes that score at least 1, worst first.
  var modes: [ModeScore] {
    FailureMode.allCases.map { ModeScore(mode: $0, score: score($0), reason: reason($0)) }
      .filter { $0.score >= 1 }
      .sorted { $0.score > $1.score }
  }

  /// When thresholds will be met.
  func warnings(evacuateScore: Double) -> HealthWarnings {
    // The slowdown that by itself scores as much as evacuation takes.
    let slow = FailSlowDetector.ratio(ofSeverity: min(evacuateScore, 99) / 100)
    return HealthWarnings(
      fullInSeconds: space.fullInSeconds,
      slowInSeconds: score(.failSlow) < evacuateScore ? slownessOutlook.secondsUntil(slow) : nil,
      failingInSeconds: score(.errors) < evacuateScore ? errorsOutlook.secondsUntil(evacuateScore) : nil)
  }
}
