public import Primitives

/// What is to change of a volume's tier rules.
public struct TierRulesChange: Encodable, Sendable, Equatable {
  /// Where live copies are to belong.
  public enum Pin: Sendable, Equatable {
    /// On the fastest tier that has room.
    case anywhere
    /// On this tier, as long as it has room.
    case tier(Int)

    /// The tier; nil if it is pinned to none.
    public var tier: Int? {
      if case .tier(let tier) = self { tier } else { nil }
    }
  }

  /// nil: as it is.
  public var pin: Pin?
  /// The tiers that get no copies, all of them; nil: as it is.
  public var never: TierSet?

  /// What is not said stays.
  public init(pin: Pin? = nil, never: TierSet? = nil) {
    self.pin = pin
    self.never = never
  }

  /// How to write tiers, for messages.
  public static let hint = "a tier is written tier0 (the fastest) or 0, up to \(Tier.name(Tier.max)); or none"

  /// Whether nothing changes.
  public var isEmpty: Bool { pin == nil && never == nil }

  /// The rules after the change. They may be contradictory.
  public func applied(to rules: TierRules = TierRules()) -> TierRules {
    TierRules(pin: pin.map(\.tier) ?? rules.pin, never: never ?? rules.never)
  }

  private enum CodingKeys: String, CodingKey {
    case pin, never
  }

  /// As in the body of a request: a `pin` of null is none, one that is not there stays.
  public func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    switch pin {
    case nil: break
    case .anywhere?: try container.encodeNil(forKey: .pin)
    case .tier(let tier)?: try container.encode(tier, forKey: .pin)
    }
    try container.encodeIfPresent(never, forKey: .never)
  }
}

/// What is to change of how a volume is kept: the body of `PATCH /v1/volumes/{name}`.
public struct VolumeSettings: Encodable, Sendable, Equatable {
  /// What it is to survive.
  public var redundancy: RedundancyChange
  /// On which tiers it belongs.
  public var tiers: TierRulesChange

  /// What is not said stays.
  public init(redundancy: RedundancyChange = RedundancyChange(), tiers: TierRulesChange = TierRulesChange()) {
    self.redundancy = redundancy
    self.tiers = tiers
  }

  /// Whether nothing changes.
  public var isEmpty: Bool { redundancy.isEmpty && tiers.isEmpty }

  /// One object with the fields of both.
  public func encode(to encoder: any Encoder) throws {
    try redundancy.encode(to: encoder)
    try tiers.encode(to: encoder)
  }
}
