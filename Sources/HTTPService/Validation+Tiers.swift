public import Primitives

/// The tiers that a pool has stores of.
public struct PoolTiers: Sendable, Equatable {
  /// Tiers of all stores.
  public let all: TierSet
  /// Those with a store that may hold live copies.
  public let lasting: TierSet

  /// Takes the tier of each store, and whether that may hold live copies.
  public init(_ stores: [(tier: Int, lasts: Bool)]) {
    all = TierSet(stores.map(\.tier))
    lasting = TierSet(stores.filter(\.lasts).map(\.tier))
  }
}

extension Validation {
  /// Checks what can be known of tier rules without looking at the volume and the pool.
  public static func check(_ change: TierRulesChange) throws(GnomonError) {
    if let tier = change.pin?.tier, !(0...Tier.max).contains(tier) {
      throw GnomonError(.invalid, "there can be no tier \(tier)", remedy: TierRulesChange.hint)
    }
    if case .tier(let tier)? = change.pin, change.never?.contains(tier) == true {
      throw GnomonError(
        .invalid, "a volume can not be pinned to \(Tier.name(tier)) and never have copies there",
        remedy: "leave \(Tier.name(tier)) out of one of them")
    }
  }

  /// Checks a change of a volume's tier rules against those that it has and against the pool. What is not
  /// said is not looked at: stores may have gone since.
  ///
  /// - Returns: the rules after the change.
  /// - Throws: `invalid` if the pool has no such tiers, `conflict` if what stays says the opposite.
  public static func check(
    _ change: TierRulesChange, on rules: TierRules = TierRules(), of volume: String, among tiers: PoolTiers
  ) throws(GnomonError) -> TierRules {
    try check(change)
    let pin: Int? = change.pin?.tier
    for tier in (pin.map { [$0] } ?? []) + (change.never?.tiers ?? []) where !tiers.all.contains(tier) {
      throw GnomonError(
        .invalid, "no store of the pool is of \(Tier.name(tier))", cause: "there are \(tiers.all)",
        remedy: "name one of these, or add a store of \(Tier.name(tier)) first")
    }
    if let pin, !tiers.lasting.contains(pin) {
      throw GnomonError(
        .invalid, "volume \(volume) can not be pinned to \(Tier.name(pin))",
        cause: "its stores are memory, which may hold shadows only, never a live copy",
        remedy: "pin it to another tier, or add a store of \(Tier.name(pin)) that lasts first")
    }
    if let never = change.never, !never.isEmpty, tiers.lasting.tiers.allSatisfy(never.contains) {
      throw GnomonError(
        .invalid, "volume \(volume) would have no tier left to lie on",
        cause: "the stores that may hold live copies are of \(tiers.lasting)",
        remedy: "leave one of these out")
    }
    let result = change.applied(to: rules)
    guard !result.isContradictory else {
      let word = result.pinWord
      let others = TierSet(result.never.tiers.filter { $0 != result.pin })
      throw change.pin == nil
        ? GnomonError(
          .conflict, "volume \(volume) is pinned to \(word)", cause: "so it is to have its live copies there",
          remedy: "unpin it, or pin it to another tier: --pin none --never \(result.never)")
        : GnomonError(
          .conflict, "volume \(volume) is never to have copies on \(word)",
          remedy: "allow it there, too: --pin \(word) --never \(others)")
    }
    return result
  }
}
