public import NBDWire
public import Primitives
public import Redirection
public import Stores

/// What other threads tell a reactor.
public enum ReactorMessage: Sendable {
  /// Serve a client that another reactor or the service manager has accepted.
  case adopt(socket: Int32, peer: String)
  /// Learn how a store is reached, or with nil that it is gone; then call back.
  case setStore(StoreID, StoreAccess?, done: @Sendable () -> Void)
  /// Something about a remote store.
  case remote(StoreID, RemoteMessage)
  /// Something was released: try parked operations again.
  case retryParked
  /// A commit has ended: 0 or -errno.
  case committed(token: UInt64, result: Int32)
  /// A flush round has ended for an operation of this reactor.
  case deliver(token: UInt64, errno: UInt32)
  /// Pass a grace period.
  case grace
  /// Flush a volume, or all of them, for the control plane.
  case flush(Volume?, done: @Sendable (NBDErrno?) -> Void)
  /// Take a step of a move, for the control plane.
  case move(
    MoveStep, Volume, extent: UInt64, target: StoreID, CopyStride,
    done: @Sendable (MoveOutcome, UInt64) -> Void)
  /// Take a step of reading a copy for its checksum, for the control plane.
  case scan(Scan, Volume, extent: UInt64, done: @Sendable (ScanOutcome, UInt64) -> Void)
  /// Read and write a block of a store's scratch area; then call back.
  case probe(StoreID, done: @Sendable () -> Void)
  /// Take all extents that are at rest out of the activity log; then call back.
  case endActivity(@Sendable () -> Void)
  /// Finish what is in flight, refuse the rest, close all connections; then call back.
  case shutDown(@Sendable () -> Void)
  /// End the thread.
  case stop
}

/// What reactors ask of the control plane.
public protocol PoolBackground: AnyObject, Sendable {
  /// Commits the map changes that are cut, then calls back with 0 or -errno. Any thread.
  func commitMapChanges(_ done: @escaping @Sendable (Int32) -> Void)
  /// Discards and releases the slots that the reclaimer holds ready, then has reactors retry.
  func reclaimSlots()
  /// Tells people what failed. Any thread; must not wait for anything.
  func report(_ faults: [Fault])
}
