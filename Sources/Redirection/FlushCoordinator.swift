import ExtentMap
import NBDWire
import Primitives
import Synchronization

/// Groups flushes of all redirectors: one round of fdatasync and one commit serve all that wait.
///
/// A flush covers every write that was acknowledged before it arrived. It joins the running round if
/// nothing has been written since that round began; otherwise it waits for the next.
final class FlushCoordinator: Sendable {
  struct Waiter {
    var redirector: UInt8
    var token: UInt64
    /// The volume that it flushes; `none` for all of them.
    var view: ExtentMapView
  }

  enum Entry {
    /// Nothing has been written since the last flush.
    case clean
    /// The caller leads a round: it synchronizes the dirty stores, commits, and calls `finish`.
    case lead
    /// A round will answer.
    case wait
  }

  private struct State {
    var isRunning = false
    /// Somebody needs another round after the running one, and does not wait for it.
    var isAnotherDue = false
    var lastCommitError: NBDErrno?
    var current: [Waiter] = []
    var next: [Waiter] = []
    var finished: [Waiter] = []
  }

  private let state = Mutex(State())
  private let stores: StoreTable
  private let changes: MapChanges

  init(stores: StoreTable, changes: MapChanges) {
    self.stores = stores
    self.changes = changes
  }

  func enter(_ waiter: Waiter) -> Entry {
    state.withLock { state in
      let isDirty = stores.isAnyDirty || !changes.isEmpty
      if state.isRunning {
        if isDirty { state.next.append(waiter) } else { state.current.append(waiter) }
        return .wait
      }
      if !isDirty { return .clean }
      state.isRunning = true
      state.current.append(waiter)
      return .lead
    }
  }

  /// Why the last round could not commit its map changes; nil if it could.
  var lastCommitError: NBDErrno? { state.withLock { $0.lastCommitError } }

  /// Starts a round that nobody waits for, or has it follow the one that is running.
  ///
  /// - Returns: whether the caller leads it.
  func enterInBackground() -> Bool {
    state.withLock { state in
      guard stores.isAnyDirty || !changes.isEmpty else { return false }
      if state.isRunning {
        state.isAnotherDue = true
        return false
      }
      state.isRunning = true
      return true
    }
  }

  /// Begins the round that the caller leads: cuts the map changes, then takes the dirty stores.
  ///
  /// In this order: a change is made only after its data was written and its store marked, so a change
  /// inside the cut finds its store among those taken.
  ///
  /// - Returns: whether there are map changes to commit.
  func begin(_ synchronize: (StoreID) -> Void) -> Bool {
    state.withLock { _ in
      let hasChanges = changes.cut()
      stores.takeDirty(synchronize)
      return hasChanges
    }
  }

  /// Ends a round: calls `answer` for everyone it served.
  ///
  /// - Parameter commitError: why map changes stay pending, if they do.
  /// - Returns: whether the caller leads another round at once.
  func finish(commitError: NBDErrno?, _ answer: (Waiter) -> Void) -> Bool {
    state.withLock { state in
      state.lastCommitError = commitError
      swap(&state.current, &state.finished)
      swap(&state.current, &state.next)
      // Not after a failure: whoever needed it will try again, and the next may fail the same way.
      let isAnotherDue = state.isAnotherDue && commitError == nil && (stores.isAnyDirty || !changes.isEmpty)
      state.isAnotherDue = false
      state.isRunning = isAnotherDue || !state.current.isEmpty
      for waiter in state.finished { answer(waiter) }
      state.finished.removeAll(keepingCapacity: true)
      return state.isRunning
    }
  }
}
