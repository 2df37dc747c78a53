import CLinux
import Glibc

/// A counter that another thread can wait for: how a reactor is woken from outside its ring.
public struct EventFD: ~Copyable, Sendable {
  public let descriptor: FileDescriptor

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

  /// Blocks until somebody has signalled, and leaves the signal for others who wait.
  public func wait() {
    var count: UInt64 = 0
    while unsafe Glibc.read(descriptor.raw, &count, 8) < 0 && errno == EINTR {}
    signal()
  }
}
