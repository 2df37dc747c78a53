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

  /// What becomes of somebody whose round has ended.
  enum Verdict {
    /// He is answered.
    case now
    /// He is told that what he has written is not durable: he waits no longer for a store.
    case failed
    /// He needs another round.
    case again
    /// He needs a store that the round did without, and waits for it.
    case later
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
    /// Rounds are numbered from 1: the last that began, and the last that ended, did without no store, and
    /// committed.
    var begun: UInt64 = 0
    var ended: UInt64 = 0
    var current: [Waiter] = []
    var next: [Waiter] = []
    var finished: [Waiter] = []
    /// Those who need a store that is late.
    var late: [Waiter] = []
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

  /// The numbers of the last round that began, and of the last that ended, did without no store, and
  /// committed.
  var rounds: (begun: UInt64, ended: UInt64) { state.withLock { ($0.begun, $0.ended) } }

  /// Whether no round is running, and there is nothing for another one: everything that has been written is
  /// durable, where that is still possible, and the catalog has all changes.
  var isClean: Bool {
    state.withLock { state in
      !state.isRunning && !stores.isAnyDirty && changes.isEmpty && !stores.isAnySynchronizingLate
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
  /// - Parameter skip: called with the stores that the round does without from the beginning.
  /// - Returns: whether there are map changes to commit.
  func begin(at now: UInt64, _ synchronize: (StoreID) -> Void, skip: (StoreID) -> Void) -> Bool {
    state.withLock { state in
      state.begun += 1
      let hasChanges = changes.cut()
      stores.takeDirty(at: now, synchronize, skip: skip)
      return hasChanges
    }
  }

  /// A store that was late has ended its synchronization: those who need it go on.
  ///
  /// - Returns: whether the caller leads a round for them.
  func storeReturned() -> Bool {
    state.withLock { state in
      guard !state.late.isEmpty else { return false }
      if state.isRunning {
        state.next.append(contentsOf: state.late)
      } else {
        state.current.append(contentsOf: state.late)
      }
      state.late.removeAll()
      defer { state.isRunning = true }
      return !state.isRunning
    }
  }

  /// Ends a round: calls `answer` for everyone it served.
  ///
  /// - Parameters:
  ///   - commitError: why map changes stay pending, if they do.
  ///   - isWhole: whether all stores that were dirty have been synchronized.
  ///   - answering: false if those it served need another round.
  ///   - judge: whether somebody is answered.
  /// - Returns: whether the caller leads another round at once.
  func finish(
    commitError: NBDErrno?, isWhole: Bool = true, answering: Bool = true,
    judge: (Waiter) -> Verdict = { _ in .now },
    answer: (Waiter, _ hasFailed: Bool) -> Void
  ) -> Bool {
    state.withLock { state in
      state.lastCommitError = commitError
      if isWhole && commitError == nil { state.ended = state.begun }
      if !answering {
        state.current.append(contentsOf: state.next)
        state.next.removeAll()
        return true
      }
      swap(&state.current, &state.finished)
      swap(&state.current, &state.next)
      for waiter in state.finished {
        switch judge(waiter) {
        case .now: answer(waiter, false)
        case .failed: answer(waiter, true)
        case .again: state.current.append(waiter)
        case .later: state.late.append(waiter)
        }
      }
      // Not after a failure: whoever needed it will try again, and the next may fail the same way.
      let isAnotherDue = state.isAnotherDue && commitError == nil && (stores.isAnyDirty || !changes.isEmpty)
      state.isAnotherDue = false
      state.isRunning = isAnotherDue || !state.current.isEmpty
      state.finished.removeAll(keepingCapacity: true)
      return state.isRunning
    }
  }
}
