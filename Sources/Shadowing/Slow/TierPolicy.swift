public import Forecasting

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
  /// The tier to which the volume is pinned.
  public let pin: Int?
  /// After so long without an access, an extent belongs on the slowest tier; nil: never.
  public var archiveAfterSeconds: UInt32?

  private let never: Set<Int>

  /// - Parameters:
  ///   - tiers: all that there are, but for those of volatile stores.
  ///   - pin: one of them; another one is as good as none.
  ///   - never: those that the volume does not use.
  public init(
    tiers: Set<Int>, thresholds: TierThresholds = .standard, pin: Int? = nil, never: Set<Int> = [],
    archiveAfterSeconds: UInt32? = nil
  ) {
    let allowed = tiers.subtracting(never)
    self.tiers = allowed.sorted()
    self.thresholds = thresholds
    self.pin = pin.flatMap { allowed.contains($0) ? $0 : nil }
    self.never = never
    self.archiveAfterSeconds = archiveAfterSeconds
  }

  /// The tier for an extent, which may be where it is.
  ///
  /// - Parameters:
  ///   - current: the tier of its live copy.
  ///   - score: its volatility score.
  ///   - idleSeconds: for how long nobody has accessed it; nil if nobody knows.
  public func tier(current: Int, score: Float, idleSeconds: UInt32?) -> (tier: Int, cause: Cause) {
    guard let slowest = tiers.last else { return (current, .volatility(score)) }
    if let pin { return (pin, .pinned) }
    let isForbidden = never.contains(current)
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
