public import Platform
import Synchronization

/// Messages to a reactor from other threads, delivered through an eventfd that its ring waits for.
///
/// The eventfd is written only when the reactor may be asleep, so a burst of messages costs one wake-up.
public final class Inbox<Message: Sendable>: Sendable {
  /// What the reactor's ring reads to learn that there are messages.
  public let event: EventFD
  private let messages = Mutex<[Message]>([])
  private let signalled = Atomic<Bool>(false)

  /// An empty inbox.
  ///
  /// - Throws: EMFILE or ENFILE if there is no descriptor left.
  public init() throws(SystemError) {
    event = try EventFD()
  }

  /// Appends a message and wakes the reactor if needed. May be called from any thread.
  public func post(_ message: Message) {
    messages.withLock { $0.append(message) }
    if !signalled.exchange(true, ordering: .acquiringAndReleasing) { event.signal() }
  }

  /// Takes all messages, oldest first. Called by the reactor when the eventfd completes.
  public func takeAll() -> [Message] {
    // Cleared before the messages are taken: whoever posts after that signals again.
    signalled.store(false, ordering: .sequentiallyConsistent)
    return messages.withLock { list in
      let taken = list
      list.removeAll(keepingCapacity: true)
      return taken
    }
  }
}
