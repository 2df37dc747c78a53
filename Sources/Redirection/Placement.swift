public import ExtentMap
public import Primitives
import Synchronization

/// A slot picked for an extent, and the stores that were tried before it.
public struct SlotPlacement: Sendable {
  var store = StoreID(rawValue: 0)
  var slot: UInt64 = 0
  /// The slot as an extent's address.
  var address: MapEntry { MapEntry(store: store, slot: slot) }
  /// One bit per store that had no room after all.
  private var tried: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)

  mutating func exclude(_ store: StoreID) {
    let bit: UInt64 = 1 << UInt64(store.rawValue % 64)
    switch store.rawValue / 64 {
    case 0: tried.0 |= bit
    case 1: tried.1 |= bit
    case 2: tried.2 |= bit
    default: tried.3 |= bit
    }
  }

  func isExcluded(_ store: StoreID) -> Bool {
    let bit: UInt64 = 1 << UInt64(store.rawValue % 64)
    switch store.rawValue / 64 {
    case 0: return tried.0 & bit != 0
    case 1: return tried.1 & bit != 0
    case 2: return tried.2 & bit != 0
    default: return tried.3 & bit != 0
    }
  }
}

/// Free space of all stores, and the choice of where a new extent goes: the tier that its volume is pinned
/// to, else the lowest tier number with room, within a tier the store with the largest share of free space;
/// to a store that is not well only if no other is left, and to one of a tier that its volume is never to use
/// only if there is none of those either.
public final class Placement: Sendable {
  /// Used only under the lock.
  private final class Candidate: @unchecked Sendable {
    let store: StoreID
    let place: StorePlace
    /// Whether live copies may lie there.
    let holdsLiveCopies: Bool
    /// Takes no new extents.
    var isExcluded = false
    /// Takes new extents only if no other store does.
    var isLastResort = false
    var allocator: SlotAllocator

    init(store: StoreID, place: StorePlace, holdsLiveCopies: Bool, allocator: consuming SlotAllocator) {
      self.store = store
      self.place = place
      self.holdsLiveCopies = holdsLiveCopies
      self.allocator = allocator
    }

    func rank(beside live: Candidate) -> (Int, Int, Int, Double, Double) {
      let rank = place.rank(for: live.place.tier, freeShare: freeShare)
      return (isLastResort ? 1 : 0, rank.0, rank.1, rank.2, rank.3)
    }

    var freeShare: Double {
      Double(allocator.freeBytes) / Double(max(allocator.capacityBytes, 1))
    }
  }

  private let candidates = Mutex<[Candidate]>([])

  /// No store yet.
  public init() {}

  /// Adds a store, with the slots that are in use marked in `allocator`.
  ///
  /// - Parameter holdsLiveCopies: false for a store that gets only shadows.
  public func add(
    _ store: StoreID, at place: StorePlace, holdsLiveCopies: Bool = true, allocator: consuming SlotAllocator
  ) {
    let candidate = Candidate(
      store: store, place: place, holdsLiveCopies: holdsLiveCopies, allocator: allocator)
    candidates.withLock { list in
      list.append(candidate)
      list.sort { ($0.place.tier, $0.store) < ($1.place.tier, $1.store) }
    }
  }

  /// Takes a store out if nothing lies on it.
  ///
  /// - Returns: bytes in use; not 0 means that the store stays.
  public func remove(_ store: StoreID) -> UInt64 {
    candidates.withLock { list in
      guard let index = list.firstIndex(where: { $0.store == store }) else { return 0 }
      let used = list[index].allocator.usedBytes
      if used == 0 { list.remove(at: index) }
      return used
    }
  }

  /// Keeps new extents and copies away from a store, or lets them come again; slots that are taken stay so.
  public func setExcluded(_ store: StoreID, _ isExcluded: Bool) {
    candidates.withLock { list in
      list.first { $0.store == store }?.isExcluded = isExcluded
    }
  }

  /// Has new extents go to a store only if no other has room, or lets them come again as they did.
  public func setLastResort(_ store: StoreID, _ isLastResort: Bool) {
    candidates.withLock { list in
      list.first { $0.store == store }?.isLastResort = isLastResort
    }
  }

  /// Picks and takes a slot for a new extent; false if every store that is left is full.
  ///
  /// - Parameter rules: those of its volume.
  func allocate(
    slotBytes: UInt64, by rules: TierRules = TierRules(), _ placement: inout SlotPlacement
  ) -> Bool {
    candidates.withLock { list in
      var full = placement
      while let index = best(in: list, by: rules, excluding: full) {
        let store = list[index].store
        if let slot = list[index].allocator.allocate(slotBytes: slotBytes) {
          placement.store = store
          placement.slot = slot
          return true
        }
        full.exclude(store)
      }
      return false
    }
  }

  /// Picks and takes a slot for one more copy of a new extent, in the store that suits best
  /// (`StorePlace.rank`).
  ///
  /// - Parameters:
  ///   - copies: the others, the live one first.
  ///   - domain: what no two may share.
  ///   - never: tiers that get none.
  ///   - placement: the stores to keep away from; then the slot.
  /// - Returns: false if no store will do.
  func allocate(
    beside copies: CopySet, across domain: FailureDomain, never: TierSet = TierSet(), slotBytes: UInt64,
    _ placement: inout SlotPlacement
  ) -> Bool {
    candidates.withLock { list in
      let present = (0..<copies.count).compactMap { number in
        list.first { $0.store == copies[number].store }
      }
      guard let live = present.first else { return false }
      var best: Candidate?
      for candidate in list {
        guard candidate.holdsLiveCopies, !candidate.isExcluded, !placement.isExcluded(candidate.store),
          !never.contains(candidate.place.tier), candidate.allocator.freeBytes >= slotBytes,
          !present.contains(where: {
            $0 === candidate || $0.place.shares(domain, with: candidate.place)
          })
        else { continue }
        if best.map({ candidate.rank(beside: live) < $0.rank(beside: live) }) ?? true { best = candidate }
      }
      guard let best, let slot = best.allocator.allocate(slotBytes: slotBytes) else { return false }
      placement.store = best.store
      placement.slot = slot
      return true
    }
  }

  /// Takes a slot of one store; nil if it is full, or takes none.
  func allocate(on store: StoreID, slotBytes: UInt64) -> UInt64? {
    candidates.withLock { list in
      guard let index = list.firstIndex(where: { $0.store == store && !$0.isExcluded }) else { return nil }
      return list[index].allocator.allocate(slotBytes: slotBytes)
    }
  }

  /// Returns a slot that nothing refers to any more.
  public func release(_ store: StoreID, slot: UInt64, slotBytes: UInt64) {
    candidates.withLock { list in
      guard let index = list.firstIndex(where: { $0.store == store }) else { return }
      list[index].allocator.release(slot: slot, slotBytes: slotBytes)
    }
  }

  /// Bytes in use and free of a store.
  public func space(of store: StoreID) -> (usedBytes: UInt64, freeBytes: UInt64) {
    candidates.withLock { list in
      guard let candidate = list.first(where: { $0.store == store }) else { return (0, 0) }
      return (candidate.allocator.usedBytes, candidate.allocator.freeBytes)
    }
  }

  private func best(in list: [Candidate], by rules: TierRules, excluding full: SlotPlacement) -> Int? {
    var best: (index: Int, rank: (Int, Int, Int, Int), freeShare: Double)?
    for (index, candidate) in list.enumerated()
    where candidate.holdsLiveCopies && !candidate.isExcluded && !full.isExcluded(candidate.store) {
      let tier = candidate.place.tier
      let fit = rules.fit(tier)
      let rank = (fit == .forbidden ? 1 : 0, candidate.isLastResort ? 1 : 0, fit.rawValue, tier)
      if let best, best.rank < rank { continue }
      let freeShare = candidate.freeShare
      if let best, best.rank == rank, best.freeShare >= freeShare { continue }
      best = (index, rank, freeShare)
    }
    return best?.index
  }
}
