import Primitives
import Synchronization

/// Keeps slots that the catalog no longer refers to until no operation in flight can touch them.
///
/// A reader takes an extent's address from the map without telling anybody. So before a slot is used
/// again, every redirector passes a *grace period*: all requests that it had started before the period
/// began have ended, down to the kernel's last completion (invariant 3).
public final class Reclaimer: Sendable {
  private struct State {
    /// Waiting for the next grace period.
    var waiting: [RetiredSlot] = []
    /// In the running grace period.
    var inGrace: [RetiredSlot] = []
    /// Safe to discard and reuse.
    var ready: [RetiredSlot] = []
    /// Taken to be discarded, and not free yet.
    var releasingCount = 0
    var redirectorsLeft = 0
  }

  private let state = Mutex(State())
  private let redirectorCount: Int
  private let limit: Int
  private let changes = Atomic<Int>(0)

  /// So many slots may be on their way back: then nobody gives up another (invariant 11). Changes that wait
  /// for the catalog, and trims in their turn, may still add theirs.
  public static let pendingMax = 1 << 17

  init(redirectorCount: Int, limit: Int = Reclaimer.pendingMax) {
    self.redirectorCount = redirectorCount
    self.limit = limit
  }

  /// Whether as many slots are on their way back as may.
  var isFull: Bool { pendingCount >= limit }

  /// Adds slots whose unmapping is durable.
  ///
  /// - Returns: whether the caller must start a grace period.
  func add(_ slots: [RetiredSlot]) -> Bool {
    state.withLock { state in
      state.waiting.append(contentsOf: slots)
      return startIfIdle(&state)
    }
  }

  /// One redirector has passed the period.
  ///
  /// - Returns: whether slots became ready, and whether another period starts.
  func passed() -> (isReady: Bool, startsAnother: Bool) {
    state.withLock { state in
      precondition(state.redirectorsLeft > 0)
      state.redirectorsLeft -= 1
      guard state.redirectorsLeft == 0 else { return (false, false) }
      state.ready.append(contentsOf: state.inGrace)
      state.inGrace.removeAll()
      return (true, startIfIdle(&state))
    }
  }

  /// Takes the slots that may be discarded and released now. They count as pending until `released(_:)`.
  public func takeReady() -> [RetiredSlot] {
    state.withLock { state in
      let slots = state.ready
      state.ready.removeAll()
      state.releasingCount += slots.count
      return slots
    }
  }

  /// So many of the slots that were taken are free now: whoever waits for space may try again.
  public func released(_ count: Int) {
    state.withLock { state in
      precondition(state.releasingCount >= count)
      state.releasingCount -= count
    }
    spaceChanged()
  }

  /// Changes whenever it is worth looking for space again.
  var spaceChanges: Int { changes.load(ordering: .sequentiallyConsistent) }

  func spaceChanged() {
    changes.add(1, ordering: .sequentiallyConsistent)
  }

  /// Slots that are neither in use nor free yet.
  public var pendingCount: Int {
    state.withLock { $0.waiting.count + $0.inGrace.count + $0.ready.count + $0.releasingCount }
  }

  private func startIfIdle(_ state: inout State) -> Bool {
    guard state.redirectorsLeft == 0, !state.waiting.isEmpty else { return false }
    state.redirectorsLeft = redirectorCount
    swap(&state.waiting, &state.inGrace)
    return true
  }
}
