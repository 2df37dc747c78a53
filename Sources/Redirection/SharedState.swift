import Synchronization

/// What the redirectors of a pool share. Everything here may be used from any thread.
public final class SharedState: Sendable {
  public let stores = StoreTable()
  public let placement = Placement()
  public let changes = MapChanges()
  public let reclaimer: Reclaimer
  let flushes: FlushCoordinator
  let ranges = RangeLocks()
  /// Operations parked in all redirectors: whoever releases something looks here before waking peers.
  let parkedCount = Atomic<Int>(0)
  public let redirectorCount: Int

  public init(redirectorCount: Int) {
    precondition((1...255).contains(redirectorCount))
    self.redirectorCount = redirectorCount
    reclaimer = Reclaimer(redirectorCount: redirectorCount)
    flushes = FlushCoordinator(stores: stores, changes: changes)
  }
}
