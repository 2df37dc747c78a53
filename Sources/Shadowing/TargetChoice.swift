public import Primitives

/// A store as a choice between stores sees it.
public struct StoreCandidate: Sendable, Equatable {
  /// Its number.
  public var id: StoreID
  /// What people call it.
  public var name: String
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
  /// Bytes for slots that are free, and in all.
  public var freeBytes: UInt64
  /// Bytes for slots.
  public var capacityBytes: UInt64
  /// Whether what it holds is gone with the process.
  public var isVolatile: Bool
  /// Whether a synchronization has failed there: it can be read and no more.
  public var hasFailed: Bool
  /// Whether its copies are being moved away.
  public var isDraining: Bool
  /// How far its health lets anybody count on it.
  public var fitness: StoreFitness

  /// Why it takes no new copies; nil if it does.
  public var objection: String? {
    hasFailed ? "has failed" : isDraining ? "is being drained" : fitness.objection
  }

  /// Whether copies there count as such: they outlive the process, and are to stay. A store that is expected
  /// back soon has its copies still.
  var keepsCopies: Bool {
    !isVolatile && !hasFailed && !isDraining && (fitness.objection == nil || fitness == .away)
  }

  /// A store; the defaults are those of one that nobody said anything about.
  public init(
    id: StoreID, name: String, tier: Int, region: String = "", zone: String = "", node: String = "",
    cost: Double = 0, freeBytes: UInt64, capacityBytes: UInt64, isVolatile: Bool = false,
    hasFailed: Bool = false, isDraining: Bool = false, fitness: StoreFitness = .well
  ) {
    self.id = id
    self.name = name
    self.tier = tier
    self.region = region
    self.zone = zone
    self.node = node
    self.cost = cost
    self.freeBytes = freeBytes
    self.capacityBytes = capacityBytes
    self.isVolatile = isVolatile
    self.hasFailed = hasFailed
    self.isDraining = isDraining
    self.fitness = fitness
  }

  /// Where it is and what it costs.
  var place: StorePlace { StorePlace(tier: tier, region: region, zone: zone, node: node, cost: cost) }

  /// Whether a failure of one may be a failure of the other. Stores of which nobody said where they are count
  /// as being in one place.
  public func shares(_ domain: FailureDomain, with other: StoreCandidate) -> Bool {
    id == other.id || place.shares(domain, with: other.place)
  }
}

/// Chooses the store for one more copy of an extent.
public struct TargetChoice: Sendable {
  /// No store will do: for each, why not.
  public struct Refusal: Error, Equatable, CustomStringConvertible {
    /// In words, one for each store.
    public var reasons: [String]

    /// The reasons.
    public var description: String {
      reasons.isEmpty ? "there is no other store" : reasons.joined(separator: "; ")
    }
  }

  /// Bytes of the extent.
  public var extentBytes: UInt64
  /// What the copies must not share.
  public var domain: FailureDomain
  /// Whether it may become the live copy: then it must outlive the process.
  public var mayBeLive: Bool
  /// The tier that is wanted; nil: the nearest to that of the copy that it stands beside or replaces.
  public var tier: Int?
  /// Tiers on which the volume is to have no copies.
  public var never: TierSet

  /// A choice; the defaults are those of a shadow that may take over.
  public init(
    extentBytes: UInt64, domain: FailureDomain = .store, mayBeLive: Bool = true, tier: Int? = nil,
    never: TierSet = TierSet()
  ) {
    self.extentBytes = extentBytes
    self.domain = domain
    self.mayBeLive = mayBeLive
    self.tier = tier
    self.never = never
  }

  /// The best store: rather one that is well, then see `StorePlace.rank`.
  ///
  /// - Parameters:
  ///   - stores: all stores of the pool.
  ///   - copies: the stores of the copies that will be there beside it.
  ///   - leaving: a store whose copy it replaces: it is no target, and may share everything with it.
  public func best(
    among stores: [StoreCandidate], beside copies: [StoreID], replacing leaving: StoreID? = nil
  ) -> Result<StoreID, Refusal> {
    let present = stores.filter { copies.contains($0.id) }
    var reasons: [String] = []
    var best: StoreCandidate?
    let wanted = tier ?? stores.first { $0.id == leaving ?? copies.first }?.tier ?? 0
    for store in stores where store.id != leaving {
      if let objection = objection(to: store, beside: present) {
        reasons.append("\(store.name) \(objection)")
      } else if best.map({ rank(store, wanted) < rank($0, wanted) }) ?? true {
        best = store
      }
    }
    return best.map { .success($0.id) } ?? .failure(Refusal(reasons: reasons))
  }

  /// Why a store can not be chosen, as the end of a sentence; nil if it can. Copies that do not count need
  /// not be apart from others.
  ///
  /// - Parameter present: the stores of the copies that will be there beside it.
  func objection(to store: StoreCandidate, beside present: [StoreCandidate]) -> String? {
    if present.contains(where: { $0.id == store.id }) { return "has a copy already" }
    if let objection = objectionToUse(of: store) { return objection }
    if store.freeBytes < extentBytes {
      return store.capacityBytes < extentBytes ? "is too small" : "is full"
    }
    if let other = present.first(where: { $0.keepsCopies && store.shares(domain, with: $0) }) {
      return "is in the same \(domain) as \(other.name)"
    }
    return nil
  }

  /// Why a copy that a store has can not be put to use.
  func objectionToUse(of store: StoreCandidate) -> String? {
    if let objection = store.objection { return objection }
    if never.contains(store.tier) {
      return "is of \(Tier.name(store.tier)), where the volume is never to have copies"
    }
    return mayBeLive && store.isVolatile ? "is volatile" : nil
  }

  private func rank(_ store: StoreCandidate, _ wanted: Int) -> (Int, Int, Int, Double, Double, UInt8) {
    let freeShare = Double(store.freeBytes) / Double(max(store.capacityBytes, 1))
    let rank = store.place.rank(for: wanted, freeShare: freeShare)
    return (store.fitness == .well ? 0 : 1, rank.0, rank.1, rank.2, rank.3, store.id.rawValue)
  }
}
