public import Measurement

/// How clients' requests fare now, compared with how they fare while nothing is moved.
///
/// Pure: whoever watches hands in what happened in an interval.
public struct ForegroundPace: Sendable {
  /// Mean latencies in nanoseconds while nothing is moved, smoothed, by series.
  private var usual = [Double?](repeating: nil, count: LatencySeries.count)

  /// Fewer requests of a series in an interval say nothing.
  private static let requestsMin: UInt64 = 16
  /// Latencies below this many nanoseconds are as good as each other.
  private static let leastNanoseconds = 100_000.0
  /// Intervals over which the usual latency is smoothed.
  private static let smoothing = 8.0
  /// While something is moved, latencies that last become the usual ones in so many seconds: it may be the
  /// load that has changed.
  private static let habituationSeconds = 600.0

  /// Nothing is known yet.
  public init() {}

  /// Takes the requests of an interval.
  ///
  /// - Parameters:
  ///   - counts: what a meter of requests counted in it.
  ///   - isMoving: whether anything was being moved.
  /// - Returns: how many times as long as usual requests took, on average over all of them; 1 if there is
  ///   nothing to compare.
  public mutating func observe(_ counts: StoreCounts, seconds: Double, isMoving: Bool) -> Double {
    var (weight, sum) = (0.0, 0.0)
    for series in LatencySeries.all {
      let histogram = counts[series]
      guard histogram.count >= Self.requestsMin, let mean = histogram.meanNanoseconds else { continue }
      let latency = max(mean, Self.leastNanoseconds)
      if let usual = usual[series.rawValue] {
        weight += Double(histogram.count)
        sum += Double(histogram.count) * latency / usual
      }
      learn(latency, series, seconds: seconds, isMoving: isMoving)
    }
    return weight > 0 ? sum / weight : 1
  }

  private mutating func learn(_ latency: Double, _ series: LatencySeries, seconds: Double, isMoving: Bool) {
    guard let old = usual[series.rawValue] else {
      // What is first seen beside moves may be slow because of them.
      if !isMoving { usual[series.rawValue] = latency }
      return
    }
    let share = isMoving ? min(1, seconds / Self.habituationSeconds) : 1 / Self.smoothing
    usual[series.rawValue] = old + (latency - old) * share
  }
}
