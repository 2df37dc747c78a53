import Glibc
import Synchronization

/// Traps when an object that belongs to one thread at a time is used by another.
///
/// The first use claims the object for the thread; `release()` makes it free to be claimed again.
struct ThreadConfinement: ~Copyable, Sendable {
  private let owner = Atomic<UInt>(0)

  func check() {
    let current = UInt(pthread_self())
    if owner.load(ordering: .relaxed) == current { return }
    let (claimed, _) = owner.compareExchange(expected: 0, desired: current, ordering: .acquiring)
    precondition(claimed, "used by a thread that does not own it")
  }

  func release() {
    check()
    owner.store(0, ordering: .releasing)
  }
}
