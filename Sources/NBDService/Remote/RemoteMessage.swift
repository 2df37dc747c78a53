import Glibc
public import Primitives
import Redirection
public import Stores
import Synchronization

/// What the owner of a remote store is told by others, and tells them.
public enum RemoteMessage: Sendable {
  /// A directive of another reactor.
  case order(RemoteOrder)
  /// An order of this reactor has ended: bytes, 0 or -errno.
  case done(token: UInt64, result: Int32)
  /// A command of the control plane.
  case command(RemoteCommand, offset: UInt64, length: UInt64, done: @Sendable (Int32) -> Void)
  /// There is a connection.
  case connected(RemoteConnector, RemoteConnection)
  /// There is none yet.
  case failed(RemoteConnector, GnomonError)
}

/// A directive for a store that another reactor owns. Its buffer belongs to the sender, who leaves it alone
/// until the order is done.
public struct RemoteOrder: @unchecked Sendable {
  let directive: Directive
  /// Who is told of the end.
  let reactor: UInt8
}

/// The control plane's way to a store's owner, open as long as that serves.
final class RemoteInbox: RemoteChannel {
  private let store: StoreID
  private let reactor: ReactorHandle
  private let isOpen = Mutex(true)

  init(_ store: StoreID, _ reactor: ReactorHandle) {
    self.store = store
    self.reactor = reactor
  }

  func perform(
    _ command: RemoteCommand, offset: UInt64, length: UInt64, _ done: @escaping @Sendable (Int32) -> Void
  ) {
    let isPosted = isOpen.withLock { isOpen in
      if isOpen {
        reactor.post(.remote(store, .command(command, offset: offset, length: length, done: done)))
      }
      return isOpen
    }
    if !isPosted { done(-RemoteErrno.shutdown) }
  }

  /// No command comes after this.
  func close() {
    isOpen.withLock { $0 = false }
  }
}
