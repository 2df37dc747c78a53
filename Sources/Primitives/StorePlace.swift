/// Where a store is and what it costs: what decides how well it goes with the stores of other copies.
public struct StorePlace: Sendable, Equatable {
  /// 0 is the fastest.
  public var tier: Int
  /// Where it is.
  public var region: String
  /// Where in the region.
  public var zone: String
  /// In which machine.
  public var node: String
  /// Cost per GiB and month.
  public var cost: Double

  /// Takes all as they are; the defaults are those of a store that nobody said anything about.
  public init(tier: Int = 0, region: String = "", zone: String = "", node: String = "", cost: Double = 0) {
    self.tier = tier
    self.region = region
    self.zone = zone
    self.node = node
    self.cost = cost
  }

  /// Where the catalog says that a store is.
  public init(_ record: StoreRecord) {
    self.init(
      tier: record.tier, region: record.region, zone: record.zone, node: record.node, cost: record.cost)
  }

  /// Whether a failure of one of two different stores may be a failure of the other. Those of which nobody
  /// said where they are count as being in one place.
  public func shares(_ domain: FailureDomain, with other: StorePlace) -> Bool {
    switch domain {
    case .store: false
    case .node: region == other.region && zone == other.zone && node == other.node
    case .zone: region == other.region && zone == other.zone
    case .region: region == other.region
    }
  }

  /// How well a copy suits here that is wanted in a tier, least is best: of that tier or the nearest to it
  /// (of two, the slower: the faster is for the hot), the cheapest, and of those the one with the largest
  /// share of free space.
  public func rank(for wanted: Int, freeShare: Double) -> (Int, Int, Double, Double) {
    (abs(tier - wanted), tier < wanted ? 1 : 0, cost, -freeShare)
  }
}
