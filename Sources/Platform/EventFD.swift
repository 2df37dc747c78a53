import CLinux
import Glibc

/// A counter that another thread can wait for: how a reactor is woken from outside its ring.
public struct EventFD: ~Copyable, Sendable {
  /// For whoever waits for it in a ring.
  public let descriptor: FileDescriptor

  /// A counter at zero.
  ///
  /// - Throws: EMFILE or ENFILE if there is no descriptor left.
  public init() throws(SystemError) {
    let raw = eventfd(0, gnomon_efd_cloexec)
    guard raw >= 0 else { throw SystemError("eventfd") }
    descriptor = FileDescriptor(owning: raw, subject: "eventfd")
  }

  /// Adds one; never blocks in practice (the counter would have to reach 2⁶⁴ − 1).
  public func signal() {
    var one: UInt64 = 1
    _ = unsafe Glibc.write(descriptor.raw, &one, 8)
  }

  /// Blocks until somebody has signalled, and takes all signals so far.
  public func take() {
    var count: UInt64 = 0
    while unsafe Glibc.read(descriptor.raw, &count, 8) < 0 && errno == EINTR {}
  }

  /// Blocks until somebody has signalled, and leaves the signal for others who wait.
  public func wait() {
    take()
    signal()
  }

  /// Like `wait()`, but gives up after a time.
  ///
  /// - Returns: whether there was a signal.
  public func wait(milliseconds: Int32) -> Bool {
    let deadline = MonotonicClock.nanoseconds() + UInt64(max(0, milliseconds)) * 1_000_000
    while true {
      // Looked at once even if there is no time at all.
      let now = min(MonotonicClock.nanoseconds(), deadline)
      var entry = pollfd(fd: descriptor.raw, events: Int16(POLLIN), revents: 0)
      if unsafe poll(&entry, 1, Int32((deadline - now + 999_999) / 1_000_000)) > 0 { return true }
      guard now < deadline else { return false }
    }
  }
}
