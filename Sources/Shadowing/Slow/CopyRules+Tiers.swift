import ExtentMap
import Primitives

extension CopyRules {
  /// The live copy is to lie on a tier, of whose stores one is chosen: one that has a shadow already, if
  /// there is any.
  ///
  /// - Returns: nil if it lies there already.
  public func retier(_ copies: ExtentCopies, to tier: Int, reason: String) -> Result<Move?, Objection> {
    let isThere: (StoreID) -> Bool = { id in stores.contains { $0.id == id && $0.tier == tier } }
    if isThere(copies.live) { return .success(nil) }
    if let shadow = copies.shadows.first(where: { $0.isSynced && isThere($0.store) }),
      case .success(let move) = relocate(copies, to: shadow.store, reason: reason)
    {
      return .success(move)
    }
    let staying = copies.stores.filter { $0 != copies.live }
    let candidates = stores.filter { $0.tier == tier || staying.contains($0.id) || $0.id == copies.live }
    return TargetChoice(extentBytes: extentBytes, domain: wanted.across, tier: tier)
      .best(among: candidates, beside: staying, replacing: copies.live)
      .mapError { Objection(description: $0.description) }
      .flatMap { relocate(copies, to: $0, reason: reason) }
  }
}
