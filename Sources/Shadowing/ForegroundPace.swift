public import Measurement

/// How clients' requests fare now, compared with how they fare while nothing is moved.
///
/// Moves are felt in the tail first: a request waits behind a transfer that is many times as long. So means
/// are compared, and the latency that one request in a hundred exceeds.
///
/// Pure: whoever watches hands in what happened in an interval.
public struct ForegroundPace: Sendable {
  /// Latencies in nanoseconds while nothing is moved, smoothed.
  private struct Usual {
    var mean: Double
    var tail: Double?
  }

  /// By series.
  private var usual = [Usual?](repeating: nil, count: LatencySeries.count)

  /// Fewer requests of a series in an interval say nothing.
  public static let requestsMin: UInt64 = 16
  /// Fewer say nothing of its tail.
  private static let tailRequestsMin: UInt64 = 200
  private static let tailQuantile = 0.99
  /// Latencies below this many nanoseconds are as good as each other.
  private static let leastNanoseconds = 100_000.0
  /// Seconds over which the usual latency is smoothed.
  private static let smoothingSeconds = 8.0
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
  /// - Returns: how many times as long as usual requests took, on average over all series, 1 if that is not
  ///   known; nil if there were hardly any.
  public mutating func observe(_ counts: StoreCounts, seconds: Double, isMoving: Bool) -> Double? {
    guard counts.succeeded >= Self.requestsMin else { return nil }
    var (weight, sum) = (0.0, 0.0)
    for series in LatencySeries.all {
      let histogram = counts[series]
      guard histogram.count >= Self.requestsMin, let mean = histogram.meanNanoseconds else { continue }
      let hasTail = histogram.count >= Self.tailRequestsMin
      let tail = hasTail ? histogram.quantile(Self.tailQuantile).map { Double($0) } : nil
      let seen = Usual(
        mean: max(mean, Self.leastNanoseconds), tail: tail.map { max($0, Self.leastNanoseconds) })
      if let usual = usual[series.rawValue] {
        weight += Double(histogram.count)
        sum += Double(histogram.count) * Self.slowdown(seen, usual)
      }
      learn(seen, series, seconds: seconds, isMoving: isMoving)
    }
    return weight > 0 ? sum / weight : 1
  }

  private static func slowdown(_ seen: Usual, _ usual: Usual) -> Double {
    let ofMean = seen.mean / usual.mean
    guard let tail = seen.tail, let usualTail = usual.tail else { return ofMean }
    return max(ofMean, tail / usualTail)
  }

  private mutating func learn(_ seen: Usual, _ series: LatencySeries, seconds: Double, isMoving: Bool) {
    guard let old = usual[series.rawValue] else {
      // What is first seen beside moves may be slow because of them.
      if !isMoving { usual[series.rawValue] = seen }
      return
    }
    let share = min(1, seconds / (isMoving ? Self.habituationSeconds : Self.smoothingSeconds))
    func smoothed(_ old: Double, _ new: Double) -> Double { old + (new - old) * share }
    usual[series.rawValue] = Usual(
      mean: smoothed(old.mean, seen.mean),
      tail: seen.tail.map { smoothed(old.tail ?? $0, $0) } ?? old.tail)
  }
}
