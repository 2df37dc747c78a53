/// How much slower than usual a series has been of late: the median of the last verdicts, so that a few slow
/// intervals say nothing, and most of them everything.
struct SlownessWindow: Sendable, Equatable {
  /// One comparison of a latency with what is usual.
  struct Verdict: Sendable, Equatable {
    /// The latency divided by the most that is usual, by the store's history or its peers'.
    var ratio: Double
    /// The same by its history alone; 0 without one.
    var ownRatio: Double
    var latencyNanoseconds: Double
    var mostNanoseconds: Double
    var bytesPerSecond: Double
    /// The most that is usual was taken from the store's peers, not from its own history.
    var isByPeers: Bool
  }

  /// Verdicts that the median is of.
  static let length = 7

  private var verdicts: [Verdict] = []
  private var oldest = 0
  private var idleSeconds = 0.0

  /// A verdict that nothing has followed holds for so long, then fades by halves.
  private static let holdSeconds = 60.0
  private static let fadeHalfLifeSeconds = 300.0

  /// Adds a verdict.
  mutating func add(_ verdict: Verdict) {
    idleSeconds = 0
    if verdicts.count < Self.length {
      verdicts.append(verdict)
    } else {
      verdicts[oldest] = verdict
      oldest = (oldest + 1) % Self.length
    }
  }

  /// Lets time pass in which there was nothing to compare.
  mutating func idle(seconds: Double) {
    idleSeconds += seconds
  }

  /// The middle verdict; nil of less than half a window.
  var median: Verdict? {
    guard verdicts.count > Self.length / 2 else { return nil }
    // Of an even number the smaller of the two.
    var middle = verdicts.sorted { $0.ratio < $1.ratio }[(verdicts.count - 1) / 2]
    if idleSeconds > Self.holdSeconds {
      let left = Decay.factor(
        seconds: idleSeconds - Self.holdSeconds, halfLifeSeconds: Self.fadeHalfLifeSeconds)
      middle.ratio = min(middle.ratio, 1 + max(0, middle.ratio - 1) * left)
      middle.ownRatio = min(middle.ownRatio, middle.ratio)
    }
    return middle
  }
}
