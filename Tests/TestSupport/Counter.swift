import Synchronization

/// A number that threads count up together.
package final class Counter: Sendable {
  private let number = Atomic<Int>(0)

  /// Starts at 0.
  package init() {}

  /// What has been counted so far.
  package var value: Int { number.load(ordering: .acquiring) }

  /// Counts one more.
  package func add() {
    number.add(1, ordering: .acquiringAndReleasing)
  }
}
