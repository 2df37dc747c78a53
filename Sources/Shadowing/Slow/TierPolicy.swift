public import Forecasting
public import Primitives

/// Which tier the live copy of an extent belongs on.
public struct TierPolicy: Sendable, Equatable {
  /// Why it belongs there.
  public enum Cause: Sendable, Equatable {
    /// Its volume is pinned to the tier.
    case pinned
    /// Its volume never uses the tier that it is on.
    case forbidden
    /// Nobody has accessed it for so many seconds.
    case cold(seconds: UInt32)
    /// Its volatility score.
    case volatility(Float)
  }

  /// The tiers that have stores which outlive the process, the fastest first, without those that the volume
  /// never uses.
  public let tiers: [Int]
  /// From which score on an extent belongs on which tier: the first bound is tier 0's.
  public var thresholds: TierThresholds
  /// After so long without an access, an extent belongs on the slowest tier; nil: never.
  public var archiveAfterSeconds: UInt32?

  private let rules: TierRules

  /// - Parameters:
  ///   - tiers: all that there are, but for those of volatile stores.
  ///   - rules: what the volume is told. A pin to a tier that there is not pins nothing.
  public init(
    tiers: Set<Int>, thresholds: TierThresholds = .standard, rules: TierRules = TierRules(),
    archiveAfterSeconds: UInt32? = nil
  ) {
    self.tiers = tiers.filter { !rules.never.contains($0) }.sorted()
    self.thresholds = thresholds
    self.rules = rules
    self.archiveAfterSeconds = archiveAfterSeconds
  }

  /// The tier that an extent goes to which has to leave for a hotter one; nil if there is none.
  func tier(below tier: Int) -> Int? { tiers.first { $0 > tier } }

  /// The tier for an extent, which may be where it is.
  ///
  /// - Parameters:
  ///   - current: the tier of its live copy.
  ///   - score: its volatility score.
  ///   - idleSeconds: for how long nobody has accessed it; nil if nobody knows.
  public func tier(current: Int, score: Float, idleSeconds: UInt32?) -> (tier: Int, cause: Cause) {
    guard let slowest = tiers.last else { return (current, .volatility(score)) }
    if let pin = rules.pin, tiers.contains(pin) { return (pin, .pinned) }
    let isForbidden = rules.never.contains(current)
    if let archiveAfterSeconds, let idleSeconds, idleSeconds >= archiveAfterSeconds, !isForbidden {
      return (max(slowest, current), .cold(seconds: idleSeconds))
    }
    let bounds = thresholds.bounds.count
    let step = thresholds.tier(score: score, current: isForbidden ? nil : min(current, bounds))
    let wanted = tiers.first { $0 >= step } ?? slowest
    if isForbidden { return (wanted, .forbidden) }
    // Below all bounds one tier is as good as another.
    return (step == bounds ? max(wanted, current) : wanted, .volatility(score))
  }
}
