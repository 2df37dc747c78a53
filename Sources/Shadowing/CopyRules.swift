import ExtentMap
public import Primitives

/// Decides what is to become of an extent's copies, given what its volume wants and what the stores are like.
///
/// Pure: the same input gives the same moves, whoever asks.
public struct CopyRules: Sendable {
  /// A store can not do what is wanted: why, in words.
  public struct Objection: Error, Equatable, CustomStringConvertible {
    /// For people.
    public var description: String
  }

  /// All stores of the pool.
  public var stores: [StoreCandidate]
  /// What people call the volume.
  public var volumeName: String
  /// Bytes of its extents.
  public var extentBytes: UInt64
  /// What it wants to survive.
  public var wanted: Redundancy
  /// On which tiers it belongs.
  public var tiers: TierRules

  /// Rules for one volume.
  public init(
    stores: [StoreCandidate], volumeName: String, extentBytes: UInt64, wanted: Redundancy,
    tiers: TierRules = TierRules()
  ) {
    self.stores = stores
    self.volumeName = volumeName
    self.extentBytes = extentBytes
    self.wanted = wanted
    self.tiers = tiers
  }

  // MARK: Protection

  /// How many failures of the volume's domain can happen one by one before the last copy is gone: copies that
  /// count are up to date, on stores that last and are to stay, and no two of them share a domain.
  public func independentCopies(_ copies: ExtentCopies) -> Int {
    independent(copies.goodStores)
  }

  /// The next move on the way to what the volume wants; nil if it has it.
  public func protect(_ copies: ExtentCopies) -> Result<Move?, TargetChoice.Refusal> {
    if wanted.protection != .none,
      let stale = copies.shadows.first(where: { !$0.isSynced && isUsable($0.store) })
    {
      return .success(
        move(.resync, copies, to: stale.store, reason: "its shadow lacks what was written meanwhile"))
    }
    // One that lacks something will lack nothing soon, or is left behind as the volume wants it.
    let count = independent(copies.stores)
    guard count < wanted.copies else { return .success(nil) }
    let choice = TargetChoice(extentBytes: extentBytes, domain: wanted.across, never: tiers.never)
    let reason = "\(volumeName) wants \(wanted.copies) copies"
    return choice.best(among: stores, beside: copies.stores).flatMap { target in
      isFull(copies)
        ? replace(copies, with: target, reason).map(Optional.some)
        : .success(move(.replicate, copies, to: target, reason: reason))
    }
  }

  private func isFull(_ copies: ExtentCopies) -> Bool { copies.shadows.count == ShadowLine.shadowsMax }

  /// Has another store get a copy in place of a shadow that does not count, rather one that lacks something,
  /// and never the last good one that can be read.
  private func replace(
    _ copies: ExtentCopies, with target: StoreID, _ reason: String
  ) -> Result<Move, TargetChoice.Refusal> {
    let count = independent(copies.stores)
    let useless = copies.shadows.filter { shadow in
      independent(copies.stores.filter { $0 != shadow.store }) == count
        && copies.goodStores.contains { $0 != shadow.store && isReadable($0) }
    }
    guard let shadow = useless.first(where: { !$0.isSynced }) ?? useless.first else {
      return .failure(TargetChoice.Refusal(reasons: [Self.full]))
    }
    return .success(
      Move(
        .replace, volume: copies.volume, extent: copies.extent, to: target, from: shadow.store, reason: reason
      ))
  }

  private static let full = "it has as many copies as it can have"

  private func isReadable(_ store: StoreID) -> Bool {
    stores.contains { $0.id == store && !$0.hasFailed && $0.fitness != .away && $0.fitness != .lost }
  }

  private func isUsable(_ store: StoreID) -> Bool {
    stores.contains { $0.id == store && $0.objection == nil && !$0.isVolatile }
  }

  private func isForbidden(_ store: StoreID) -> Bool {
    stores.contains { $0.id == store && tiers.never.contains($0.tier) }
  }

  private func independent(_ places: [StoreID]) -> Int {
    var chosen: [StoreCandidate] = []
    for store in stores where places.contains(store.id) && store.keepsCopies {
      if !chosen.contains(where: { $0.shares(wanted.across, with: store) }) { chosen.append(store) }
    }
    return chosen.count
  }

  // MARK: Evacuation

  /// The next move on the way to have nothing of the extent left in a store, which has a copy of it.
  public func evacuate(
    _ copies: ExtentCopies, from store: StoreID, reason: String = "its store is being drained"
  ) -> Result<Move, TargetChoice.Refusal> {
    let isLive = copies.live == store
    // A copy elsewhere that may take over makes this quick.
    if let move = promote(copies, from: store, reason: reason), !isForbidden(move.target) {
      return .success(move)
    }
    let remaining = copies.goodStores.filter { $0 != store }
    if !isLive, independent(remaining) >= wanted.copies {
      return .success(move(.drop, copies, to: store, reason: reason))
    }
    let choice = TargetChoice(
      extentBytes: extentBytes, domain: wanted.across, tier: isLive ? tiers.pin : nil, never: tiers.never)
    let result = choice.best(
      among: stores, beside: copies.stores.filter { $0 != store }, replacing: store
    ).flatMap { target in
      isFull(copies)
        ? replace(copies, with: target, reason)
        : .success(
          Move(
            .migrate, volume: copies.volume, extent: copies.extent, to: target, from: store,
            isSourceLive: isLive, reason: reason))
    }
    // The last way out: a shadow that was left behind catches up, to take over.
    if isLive, case .failure = result,
      let stale = copies.shadows.first(where: {
        !$0.isSynced && isUsable($0.store) && !isForbidden($0.store)
      })
    {
      return .success(move(.resync, copies, to: stale.store, reason: reason))
    }
    return result
  }

  /// Has another copy take the place of the live one, if that lies in a store; nil if none can. One on a tier
  /// that the volume is never to use does so only if there is no other.
  public func promote(_ copies: ExtentCopies, from store: StoreID, reason: String) -> Move? {
    guard copies.live == store else { return nil }
    let heirs = copies.shadows.filter { $0.isSynced && $0.store != store && isUsable($0.store) }
    guard let heir = heirs.first(where: { !isForbidden($0.store) }) ?? heirs.first else { return nil }
    return move(.promote, copies, to: heir.store, reason: reason)
  }

  // MARK: What people ask for

  /// The live copy is to lie in a store; the old one goes, unless there would be too few then.
  ///
  /// - Returns: nil if it lies there already.
  public func relocate(
    _ copies: ExtentCopies, to target: StoreID, reason: String = "somebody moved it"
  ) -> Result<Move?, Objection> {
    guard copies.live != target else { return .success(nil) }
    if let objection = objection(to: target, copies, replacing: copies.live, mayBeLive: true) {
      return .failure(objection)
    }
    let remaining = copies.stores.filter { $0 != copies.live }
    if let shadow = copies.shadow(in: target),
      independent(remaining) < min(wanted.copies, independent(copies.stores))
    {
      var promotion = move(.promote, copies, to: target, reason: reason)
      promotion.isTargetSynced = shadow.isSynced
      return .success(promotion)
    }
    return .success(
      Move(
        .migrate, volume: copies.volume, extent: copies.extent, to: target, from: copies.live, reason: reason)
    )
  }

  /// A store is to have a shadow.
  ///
  /// - Returns: nil if it has a copy that is up to date.
  public func replicate(_ copies: ExtentCopies, to target: StoreID) -> Result<Move?, Objection> {
    guard !copies.goodStores.contains(target) else { return .success(nil) }
    if let objection = objection(to: target, copies, replacing: nil, mayBeLive: false) {
      return .failure(objection)
    }
    let kind = copies.shadow(in: target) == nil ? MoveKind.replicate : .resync
    return .success(move(kind, copies, to: target, reason: "somebody copied it"))
  }

  /// A store is to give up its shadow.
  ///
  /// - Returns: nil if it has none.
  public func drop(_ copies: ExtentCopies, from store: StoreID) -> Result<Move?, Objection> {
    let name = name(of: store)
    guard copies.live != store else {
      return .failure(Objection(description: "its live copy lies in \(name): move that elsewhere first"))
    }
    guard let shadow = copies.shadow(in: store) else { return .success(nil) }
    // A live copy on a store that has failed may be gone with the next failure.
    if shadow.isSynced, !copies.goodStores.contains(where: { $0 != store && !hasFailed($0) }) {
      return .failure(Objection(description: "the copy in \(name) is its last good one"))
    }
    let good = copies.goodStores
    guard independent(good.filter { $0 != store }) >= min(wanted.copies, independent(good)) else {
      return .failure(
        Objection(description: "\(volumeName) wants \(wanted.copies) copies: lower that, or drain \(name)"))
    }
    return .success(move(.drop, copies, to: store, reason: "somebody dropped it"))
  }

  private func hasFailed(_ store: StoreID) -> Bool { stores.first { $0.id == store }?.hasFailed ?? true }

  private func name(of store: StoreID) -> String { stores.first { $0.id == store }?.name ?? "the store" }

  private func objection(
    to target: StoreID, _ copies: ExtentCopies, replacing leaving: StoreID?, mayBeLive: Bool
  ) -> Objection? {
    guard let store = stores.first(where: { $0.id == target }) else {
      return Objection(description: "there is no such store")
    }
    let isNew = !copies.stores.contains(target)
    if isNew, isFull(copies) { return Objection(description: Self.full) }
    let choice = TargetChoice(
      extentBytes: extentBytes, domain: wanted.across, mayBeLive: mayBeLive, never: tiers.never)
    let others = copies.stores.filter { $0 != leaving && $0 != target }
    let objection =
      isNew
      ? choice.objection(to: store, beside: stores.filter { others.contains($0.id) })
      : choice.objectionToUse(of: store)
    return objection.map { Objection(description: "\(store.name) \($0)") }
  }

  private func move(_ kind: MoveKind, _ copies: ExtentCopies, to target: StoreID, reason: String) -> Move {
    Move(kind, volume: copies.volume, extent: copies.extent, to: target, reason: reason)
  }
}
