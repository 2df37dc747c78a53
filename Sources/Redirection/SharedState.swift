public import ExtentMap
import Primitives
import Synchronization

/// What the redirectors of a pool share. Everything here may be used from any thread.
public final class SharedState: Sendable {
  /// What the data path knows of the stores.
  public let stores = StoreTable()
  /// Free slots, and where a new extent goes.
  public let placement = Placement()
  /// Map changes that the catalog does not have yet.
  public let changes: MapChanges
  /// Slots on their way from retired to free.
  public let reclaimer: Reclaimer
  /// Extents that were mapped lately and are to have shadows.
  public let fresh = FreshExtents()
  /// What has failed.
  public let faults = FaultLedger()
  let flushes: FlushCoordinator
  let ranges = RangeLocks()
  /// Operations parked in all redirectors: whoever releases something looks here before waking peers.
  let parkedCount = Atomic<Int>(0)
  /// Operations parked in all redirectors.
  package var parkedOperations: Int { parkedCount.load(ordering: .sequentiallyConsistent) }
  /// Redirectors of the pool, one per reactor.
  public let redirectorCount: Int

  /// State for 1 to 255 redirectors.
  ///
  /// - Parameters:
  ///   - changesMax: map changes that may wait for the catalog.
  ///   - slotsMax: slots that may be on their way back.
  public init(
    redirectorCount: Int, changesMax: Int = MapChanges.waitingMax, slotsMax: Int = Reclaimer.pendingMax
  ) {
    precondition((1...255).contains(redirectorCount))
    self.redirectorCount = redirectorCount
    changes = MapChanges(limit: changesMax, stores: stores)
    reclaimer = Reclaimer(redirectorCount: redirectorCount, limit: slotsMax)
    flushes = FlushCoordinator(stores: stores, changes: changes)
  }

  /// Unmaps extents from the front of a range, which the catalog has forgotten and clients have left. Stores
  /// may still have writes to do there that nobody waits for: the slots go the way of all others.
  ///
  /// - Parameters:
  ///   - extents: where to look; what has been looked at is removed from it.
  ///   - slotsMax: how many slots are given up at most, give or take the shadows of one extent.
  /// - Returns: whether the caller must start a grace period.
  public func drop(_ extents: inout Range<UInt64>, of map: ExtentMap, slotsMax: Int) -> Bool {
    let slots = map.unmap(&extents, entriesMax: slotsMax).map {
      RetiredSlot(store: $0.store, slot: $0.slot, slotBytes: map.view.extentBytes)
    }
    if Canary.reusesDroppedSlotsAtOnce.isOut {
      for slot in slots { placement.release(slot.store, slot: slot.slot, slotBytes: slot.slotBytes) }
      return false
    }
    return reclaimer.add(slots)
  }
}
