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
}
