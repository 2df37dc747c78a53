/// Ranks extents by the accesses that are expected of them: the volatility score, from 0 (coldest) to 1
/// (hottest).
///
/// The score is the share of touched extents of which fewer accesses are expected, by a histogram over the
/// logarithm; so thresholds mean the same on busy and on idle volumes.
public struct VolatilityScale: Sendable, Equatable {
  private var counts: [UInt32]
  private var total: UInt32 = 0

  /// Steps of the logarithm: from 2⁻³² accesses to 2³², four to a doubling.
  private static let steps = 256
  private static let stepsPerDoubling: Float = 4

  /// A scale of which nothing is known.
  public init() {
    counts = Array(repeating: 0, count: Self.steps)
  }

  /// Takes in one extent.
  ///
  /// - Parameter expectedAccesses: not negative.
  public mutating func add(_ expectedAccesses: Float) {
    counts[Self.step(expectedAccesses)] += 1
    total += 1
  }

  /// The score of an extent: 0 if nothing is expected of it. Extents alike are ranked in the middle of
  /// their like.
  public func score(_ expectedAccesses: Float) -> Float {
    guard total > 0, expectedAccesses > 0 else { return 0 }
    let step = Self.step(expectedAccesses)
    let below = counts[..<step].reduce(0, +)
    return (Float(below) + Float(counts[step]) / 2) / Float(total)
  }

  private static func step(_ expectedAccesses: Float) -> Int {
    guard expectedAccesses > 0 else { return 0 }
    // The exponent, and the leading bits of the significand as a linear stand-in for the logarithm's rest.
    let exponent = Float(expectedAccesses.exponent) + expectedAccesses.significand - 1
    return min(max(Int(exponent * stepsPerDoubling) + steps / 2, 0), steps - 1)
  }
}

/// Which tier an extent belongs on by its volatility score, with hysteresis.
public struct TierThresholds: Sendable, Equatable {
  /// For each tier but the lowest, from which score on an extent belongs there; falling.
  public let bounds: [Float]
  /// By how much a score must pass a bound before the extent moves.
  public let margin: Float

  /// 0.8 for tier 0, 0.4 for tier 1.
  public static let standard = TierThresholds(bounds: [0.8, 0.4], margin: 0.05)!

  /// Thresholds; nil if the bounds do not fall, lie outside 0 to 1, or are closer than the margins allow.
  public init?(bounds: [Float], margin: Float) {
    guard margin >= 0, bounds.allSatisfy({ $0 >= 0 && $0 <= 1 }),
      zip(bounds, bounds.dropFirst()).allSatisfy({ $0 - $1 > 2 * margin })
    else { return nil }
    self.bounds = bounds
    self.margin = margin
  }

  /// The tier for a score, counted from 0 for the fastest.
  ///
  /// - Parameter current: where the extent is; nil: nowhere yet.
  public func tier(score: Float, current: Int?) -> Int {
    guard let current else { return bounds.firstIndex { score >= $0 } ?? bounds.count }
    let up = bounds.firstIndex { score >= $0 + margin } ?? bounds.count
    let down = bounds.firstIndex { score >= $0 - margin } ?? bounds.count
    return min(max(current, down), up)
  }
}
