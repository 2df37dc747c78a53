import ExtentMap
public import Primitives

/// Shadows that are made because reads are foreseen: no volume asked for them, and they may go at any time.
extension CopyRules {
  /// An extent is to have a shadow on a faster tier.
  ///
  /// What the volume wants comes first: an extent that has fewer copies gets none of these, and there stays
  /// room for one more copy, so that it can be moved. Copies that are not counted on need not be apart from
  /// others.
  ///
  /// - Parameters:
  ///   - fast: the stores to choose from.
  ///   - headroomBytes: what must stay free in each of them, by its number.
  ///   - reason: why it is made, in words.
  public func foreshadow(
    _ copies: ExtentCopies, among fast: [StoreID], headroomBytes: [StoreID: UInt64], reason: String
  ) -> Result<Move, Objection> {
    guard independentCopies(copies) >= wanted.copies else {
      return .failure(Objection(description: "it has fewer copies than the volume wants"))
    }
    guard copies.shadows.count + 1 < ShadowLine.shadowsMax else {
      return .failure(Objection(description: "it has as many copies as leave room to move it"))
    }
    var candidates = stores.filter { fast.contains($0.id) }
    for index in candidates.indices {
      let headroom = headroomBytes[candidates[index].id] ?? 0
      candidates[index].freeBytes -= min(headroom, candidates[index].freeBytes)
    }
    let present = stores.filter { copies.stores.contains($0.id) && !fast.contains($0.id) }
    // It may be the heir if the live copy's store fails, so it has to outlive the process.
    return TargetChoice(extentBytes: extentBytes, tier: candidates.first?.tier, never: tiers.never)
      .best(among: candidates + present, beside: copies.stores)
      .mapError { Objection(description: $0.description) }
      .map { Move(.replicate, volume: copies.volume, extent: copies.extent, to: $0, reason: reason) }
  }

  /// Whether an extent has a shadow in one of these stores that the volume does not want: one more than it
  /// needs to survive what it is to survive.
  ///
  /// - Returns: the store of the shadow; nil if there is none, or it is needed.
  public func spareShadow(_ copies: ExtentCopies, in fast: [StoreID]) -> StoreID? {
    copies.shadows.map(\.store).first { store in
      guard fast.contains(store), case .success(_?) = drop(copies, from: store) else { return false }
      return true
    }
  }
}
