import Glibc
import Platform
import Primitives
import Ring
import Stores
import Synchronization

/// Gets one connection to a remote store, on a thread of its own: names are resolved, servers waited for, and
/// the store is checked, all of which blocks. It tries until it is told to stop.
public final class RemoteConnector: Sendable {
  private let store: NBDStore
  private let inbox: Inbox<ReactorMessage>
  private let isStopped = Atomic<Bool>(false)

  /// A stop is noticed after so long, in milliseconds.
  private static let sliceMilliseconds = 50

  private init(_ store: NBDStore, _ inbox: Inbox<ReactorMessage>) {
    self.store = store
    self.inbox = inbox
  }

  /// Starts trying. What comes of it is told to the reactor; each failure too.
  ///
  /// - Throws: EAGAIN if no thread can be had.
  static func start(
    _ store: NBDStore, _ backoff: Backoff, inbox: Inbox<ReactorMessage>
  ) throws(SystemError) -> RemoteConnector {
    let connector = RemoteConnector(store, inbox)
    _ = try NativeThread(name: "gnomon-connect") { connector.run(backoff) }
    return connector
  }

  /// Nothing more is wanted. What still comes is not for the reactor.
  func stop() {
    isStopped.store(true, ordering: .releasing)
  }

  /// Whether a message from this connector is still of interest.
  var isWanted: Bool { !isStopped.load(ordering: .acquiring) }

  private func run(_ initial: Backoff) {
    var backoff = initial
    while sleep(milliseconds: backoff.next()) {
      do throws(GnomonError) {
        let connection = try store.connect()
        inbox.post(.remote(store.record.id, .connected(self, connection)))
        return
      } catch {
        inbox.post(.remote(store.record.id, .failed(self, error)))
      }
    }
  }

  /// - Returns: false if it was stopped meanwhile.
  private func sleep(milliseconds: Int) -> Bool {
    var left = milliseconds
    while left > 0, isWanted {
      let slice = min(left, Self.sliceMilliseconds)
      usleep(UInt32(slice) * 1000)
      left -= slice
    }
    return isWanted
  }
}
