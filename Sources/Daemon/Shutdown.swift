import Glibc
import Platform
import Synchronization

/// The signals that end the daemon, kept from interrupting any thread.
struct SignalSet: @unchecked Sendable {
  private var set: sigset_t

  /// Blocks SIGTERM and SIGINT in this thread and all that it starts, and ignores SIGPIPE.
  init() {
    var signals = sigset_t()
    unsafe sigemptyset(&signals)
    unsafe sigaddset(&signals, SIGTERM)
    unsafe sigaddset(&signals, SIGINT)
    unsafe pthread_sigmask(SIG_BLOCK, &signals, nil)
    signal(SIGPIPE, SIG_IGN)
    set = signals
  }

  /// Waits for one of the signals; returns its name.
  func wait() -> String {
    var signals = set
    var number: Int32 = 0
    while unsafe sigwait(&signals, &number) != 0 {}
    return number == SIGTERM ? "SIGTERM" : "SIGINT"
  }
}

/// Calls back when it has been ticked a number of times.
final class Countdown: Sendable {
  private let left: Atomic<Int>
  private let done: @Sendable () -> Void

  init(_ count: Int, _ done: @escaping @Sendable () -> Void) {
    left = Atomic(count)
    self.done = done
  }

  func tick() {
    if left.subtract(1, ordering: .acquiringAndReleasing).newValue == 0 { done() }
  }
}

/// A failure that another thread reports.
final class Outcome: Sendable {
  private let text = Mutex<String?>(nil)

  var value: String? { text.withLock { $0 } }

  func set(_ value: String?) {
    text.withLock { $0 = value }
  }
}

/// The service manager that started the daemon, if any (sd_notify(3)).
enum ServiceManager {
  static func notify(_ message: String) {
    guard let name = unsafe getenv("NOTIFY_SOCKET") else { return }
    unsafe UnixAddress.sendDatagram(message, to: String(cString: name))
  }
}
