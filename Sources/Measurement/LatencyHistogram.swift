/// How often each latency occurred, to within 3.2 % (see `LatencyScale`). A value of fixed size, 3.4 KiB,
/// that an empty one shares with all other empty ones.
public struct LatencyHistogram: Sendable, Equatable {
  private static let empty = [UInt64](repeating: 0, count: LatencyScale.binCount)

  private var counts = LatencyHistogram.empty
  /// Latencies in the histogram.
  public private(set) var count: UInt64 = 0

  /// Nothing occurred.
  public init() {}

  /// Counts a latency.
  public mutating func record(nanoseconds: UInt64, times: UInt64 = 1) {
    add(times, toBin: LatencyScale.bin(ofNanoseconds: nanoseconds))
  }

  mutating func add(_ times: UInt64, toBin bin: Int) {
    counts[bin] &+= times
    count &+= times
  }

  /// Adds everything that another one has.
  public mutating func merge(_ other: LatencyHistogram) {
    guard other.count > 0 else { return }
    if count == 0 {
      self = other
    } else {
      for bin in 0..<LatencyScale.binCount { counts[bin] &+= other.counts[bin] }
      count &+= other.count
    }
  }

  /// Takes away what an earlier state of the same histogram had: what is left occurred since.
  ///
  /// A bin of which `other` has more becomes empty, so that histograms that do not belong together give a
  /// wrong answer rather than an impossible one.
  public mutating func subtract(_ other: LatencyHistogram) {
    guard other.count > 0 else { return }
    count = 0
    for bin in 0..<LatencyScale.binCount {
      counts[bin] -= min(counts[bin], other.counts[bin])
      count &+= counts[bin]
    }
  }

  /// The latency that the share `fraction` (0…1) of all does not exceed, in nanoseconds, to within 3.2 %; nil
  /// of an empty histogram.
  public func quantile(_ fraction: Double) -> UInt64? {
    guard count > 0, fraction >= 0, fraction <= 1 else { return nil }
    let rank = max(1, UInt64((fraction * Double(count)).rounded(.up)))
    var seen: UInt64 = 0
    for bin in 0..<LatencyScale.binCount where counts[bin] > 0 {
      seen += counts[bin]
      if seen >= rank { return LatencyScale.middle(ofBin: bin) }
    }
    return nil
  }

  /// The mean in nanoseconds, to within 3.2 %; nil of an empty histogram.
  public var meanNanoseconds: Double? {
    count > 0 ? totalNanoseconds / Double(count) : nil
  }

  /// All latencies added up, in nanoseconds, to within 3.2 %.
  public var totalNanoseconds: Double {
    guard count > 0 else { return 0 }
    var total = 0.0
    for bin in 0..<LatencyScale.binCount where counts[bin] > 0 {
      total += Double(counts[bin]) * Double(LatencyScale.middle(ofBin: bin))
    }
    return total
  }
}
