import Glibc
import Measurement

/// Finds out whether a store has become slow: compared with its own history at the same load, and with its
/// peers.
///
/// For each series of latencies, as soon as enough operations have ended: the mean divided by the most that
/// is usual at the load, the slowdown ratio of Perseus (FAST '23). The severity is 1 − ratio^(−3/2): 0 at the
/// bound, 0.65 at twice, 0.97 at ten times. The score is made of two parts:
///
/// - at once: 100 times the severity of the median of the last seven ratios;
/// - over time: the severity of the ratio to the store's own history, divided by 1.2, added up in minutes,
///   forgotten with a time constant of an hour: 100 · (1 − e^(−minutes / 6)). So what is a little slow for
///   long counts as much as what is very slow.
struct FailSlowDetector: Sendable {
  private var baselines = [SeriesBaseline](repeating: SeriesBaseline(), count: LatencySeries.count)
  private var windows = [SlownessWindow](repeating: SlownessWindow(), count: LatencySeries.count)
  private var gatherings = [Gathering](repeating: Gathering(), count: LatencySeries.count)
  private var age = 0.0
  private var slowMinutes = 0.0

  /// Peers that must have a history of a series before they are compared with.
  static let peersMin = 2
  /// Stores of one tier may differ by so much.
  private static let peerAllowance = 2.0
  /// The severity that peers alone can bring about: no reason to evacuate a store as fast as it has always
  /// been.
  private static let peerSeverityMax = 0.65
  private static let memorySeconds = 3600.0
  private static let slowMinutesScale = 6.0
  private static let slowMinutesRatio = 1.2

  /// Observes a sample.
  ///
  /// - Parameter peers: the detectors of the other stores of the same kind and tier.
  mutating func observe(_ sample: StoreSample, peers: [FailSlowDetector]) {
    let seconds = sample.boundedSeconds
    let load = (bytes: sample.bytesPerSecond * seconds, queueSeconds: sample.meanQueueDepth * seconds)
    age += seconds
    for series in 0..<LatencySeries.count {
      let latencies = sample.counts.latencies[series]
      if let gathered = gatherings[series].add(latencies, seconds, load.bytes, load.queueSeconds) {
        judge(gathered.observation, series: series, seconds: gathered.seconds, peers: peers)
      } else {
        windows[series].idle(seconds: seconds)
      }
    }
    let ownRatio = windows.compactMap { $0.median?.ownRatio }.max() ?? 0
    slowMinutes *= exp(-seconds / Self.memorySeconds)
    slowMinutes += seconds / 60 * Self.severity(ofRatio: ownRatio / Self.slowMinutesRatio)
  }

  private mutating func judge(
    _ observation: SeriesBaseline.Observation, series: Int, seconds: Double, peers: [FailSlowDetector]
  ) {
    let latency = observation.latencyNanoseconds
    let usual = baselines[series].usual(at: observation)
    let ownMost = usual?.mostNanoseconds
    let ownRatio = ownMost.map { latency / $0 } ?? 0
    let peerMost = Self.median(peers, series: series, load: observation.load).map { $0 * Self.peerAllowance }
    let peerRatio = peerMost.map { min(latency / $0, Self.ratio(ofSeverity: Self.peerSeverityMax)) } ?? 0
    let isByPeers = peerRatio > max(ownRatio, 1)
    if let most = isByPeers ? peerMost : ownMost ?? peerMost {
      windows[series].add(
        SlownessWindow.Verdict(
          ratio: max(ownRatio, peerRatio), ownRatio: ownRatio, latencyNanoseconds: latency,
          mostNanoseconds: most, bytesPerSecond: observation.bytesPerSecond, isByPeers: isByPeers))
    } else {
      windows[series].idle(seconds: seconds)
    }
    let isUsual = latency <= usual?.learnedNanoseconds ?? .infinity
    baselines[series].learn(observation, isUsual: isUsual, age: age, seconds: seconds)
  }

  /// The bound that the median of the peers sets; nil of fewer than `peersMin` that know enough.
  private static func median(_ peers: [FailSlowDetector], series: Int, load: Double) -> Double? {
    guard peers.count >= peersMin else { return nil }
    let bounds = peers.compactMap { $0.baselines[series].mostNanoseconds(atLoad: load) }.sorted()
    return bounds.count < peersMin ? nil : bounds[bounds.count / 2]
  }

  /// The series that is slowest against what is usual, and by how much.
  var worst: (series: LatencySeries, verdict: SlownessWindow.Verdict)? {
    var worst: (series: LatencySeries, verdict: SlownessWindow.Verdict)?
    for series in LatencySeries.all {
      guard let verdict = windows[series.rawValue].median else { continue }
      if verdict.ratio > worst?.verdict.ratio ?? -1 { worst = (series, verdict) }
    }
    return worst
  }

  /// 0…100.
  var score: Double {
    let atOnce = Self.severity(ofRatio: worst?.verdict.ratio ?? 0)
    let overTime = 1 - exp(-slowMinutes / Self.slowMinutesScale)
    return 100 * max(atOnce, overTime)
  }

  /// Some series has a history to compare with.
  var hasBaseline: Bool { baselines.contains { $0.model != nil } }

  /// In plain words; nil if nothing is slow.
  var reason: String? {
    guard let (series, verdict) = worst, score >= 1 else { return nil }
    guard verdict.ratio > 1 else {
      return "was slow for \(Words.duration(seconds: slowMinutes * 60)) of the last hour"
    }
    let what = Words.name(of: series.operation) + " take"
    let latency = Words.latency(nanoseconds: verdict.latencyNanoseconds)
    let most = Words.latency(nanoseconds: verdict.mostNanoseconds)
    let rate = Words.rate(bytesPerSecond: verdict.bytesPerSecond)
    let whose = verdict.isByPeers ? "stores of its kind at this load" : "usual at this load"
    return "\(what) \(latency) at \(rate); \(whose): at most \(most)"
  }

  static func severity(ofRatio ratio: Double) -> Double {
    ratio > 1 ? 1 - 1 / (ratio * ratio.squareRoot()) : 0
  }

  static func ratio(ofSeverity severity: Double) -> Double {
    pow(1 - severity, -2.0 / 3)
  }
}

extension FailSlowDetector {
  /// Latencies of one series until there are enough for a mean.
  private struct Gathering: Sendable {
    private var latencies = LatencyHistogram()
    private var seconds = 0.0
    private var bytes = 0.0
    private var queueSeconds = 0.0

    /// Enough for a mean at once, and within `secondsMax`.
    private static let operationsEnough: UInt64 = 8
    private static let operationsMin: UInt64 = 4
    private static let secondsMax = 10.0

    mutating func add(
      _ more: LatencyHistogram, _ moreSeconds: Double, _ moreBytes: Double, _ moreQueueSeconds: Double
    ) -> (observation: SeriesBaseline.Observation, seconds: Double)? {
      latencies.merge(more)
      guard latencies.count > 0 else { return nil }
      seconds += moreSeconds
      bytes += moreBytes
      queueSeconds += moreQueueSeconds
      let isEnough = latencies.count >= Self.operationsEnough
      guard isEnough || seconds >= Self.secondsMax else { return nil }
      defer { self = Gathering() }
      guard latencies.count >= Self.operationsMin, seconds > 0, let mean = latencies.meanNanoseconds else {
        return nil
      }
      let observation = SeriesBaseline.Observation(
        latencyNanoseconds: mean, bytesPerSecond: bytes / seconds,
        operationsPerSecond: Double(latencies.count) / seconds, queueDepth: queueSeconds / seconds)
      return (observation, seconds)
    }
  }
}

extension Words {
  /// `reads`, `writes`, `synchronizations`.
  static func name(of operation: StoreOperation) -> String {
    switch operation {
    case .read: "reads"
    case .write: "writes"
    case .synchronize: "synchronizations"
    }
  }
}
