/// How well a tier suits a volume, the best first.
public enum TierFit: Int, Sendable {
  /// Live copies belong there, or anywhere.
  case wanted
  /// They may be there, and belong elsewhere.
  case allowed
  /// The tier gets no copies.
  case forbidden
}

/// On which tiers the copies of a volume belong, and on which they do not.
///
/// Rules for what is placed: no write fails, and none waits, because of them.
public struct TierRules: Sendable, Equatable {
  /// The tier on which live copies belong as long as it has room; nil: the fastest that has.
  public var pin: Int?
  /// Tiers that get no copies. A new extent goes there only if no other store takes it.
  public var never: TierSet

  /// What stands for no tier.
  public static let noneWord = "none"

  /// The default leaves the choice to the pool. No tier may be in both.
  public init(pin: Int? = nil, never: TierSet = TierSet()) {
    self.pin = pin
    self.never = never
  }

  /// Whether they say one thing and its opposite.
  public var isContradictory: Bool { pin.map(never.contains) ?? false }

  /// How well a tier suits a live copy.
  public func fit(_ tier: Int) -> TierFit {
    if never.contains(tier) { return .forbidden }
    return pin == nil || pin == tier ? .wanted : .allowed
  }

  /// What people call the pin: `tier0`, or `none`.
  public var pinWord: String { pin.map(Tier.name) ?? Self.noneWord }
}
