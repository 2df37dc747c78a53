import Platform
import Primitives
import Shadowing
import Synchronization

/// Work that somebody wants done: many moves, planned as they are needed.
final class MoveJob: Sendable {
  /// How urgent it is; lower goes first.
  enum Priority: Int, Comparable {
    /// Copies are to take the places of those that can not be reached: nothing is copied.
    case promotion
    /// A store is to be emptied.
    case evacuation
    /// Reads are foreseen, or come already: worth something only at once. Has its own bound of moves in
    /// flight.
    case prediction
    /// A person waits for it.
    case request
    /// Copies are fewer, or lack more, than the volume wants.
    case protection
    /// Extents are not on the tier that they belong on.
    case tiering

    static func < (first: Priority, second: Priority) -> Bool { first.rawValue < second.rawValue }
  }

  /// What has become of it so far.
  struct Progress: Sendable {
    /// Moves that ended as they were meant.
    var done = 0
    /// Moves that were not needed any more.
    var skipped = 0
    var failed = 0
    var bytes: UInt64 = 0
    /// What stands in the way, or why the last move failed.
    var complaint: String?
    var isCancelled = false
    var endedNanoseconds: UInt64?
  }

  private struct State {
    var progress = Progress()
    var rate = MovementRate()
    var planComplaint: String?
    var failuresInARow = 0
    var restsUntil: UInt64 = 0
    var isPlanned = false
    var lastSuccessNanoseconds: UInt64
  }

  let number: Int
  /// What it is, in words.
  let title: String
  let priority: Priority
  /// The store that it empties, if that is what it does.
  let drains: StoreID?
  let startedNanoseconds: UInt64
  let plan: any MovePlan
  private let state: Mutex<State>

  /// After so many failures one after the other a job that tries again rests.
  private static let failuresMax = 4
  private static let restNanoseconds: UInt64 = 1_000_000_000
  private static let heldNanoseconds: UInt64 = 1_000_000_000

  init(number: Int, _ title: String, _ priority: Priority, drains: StoreID? = nil, plan: any MovePlan) {
    self.number = number
    self.title = title
    self.priority = priority
    self.drains = drains
    self.plan = plan
    startedNanoseconds = MonotonicClock.nanoseconds()
    state = Mutex(State(lastSuccessNanoseconds: startedNanoseconds))
  }

  var progress: Progress {
    state.withLock { state in
      var progress = state.progress
      progress.complaint = state.planComplaint ?? progress.complaint
      return progress
    }
  }

  /// Bytes per second in the last seconds.
  var bytesPerSecond: Double {
    state.withLock { $0.rate.bytesPerSecond(at: MonotonicClock.nanoseconds()) }
  }

  var leftBytes: UInt64? { plan.leftBytes(after: progress) }

  /// Whether it has ended or was cancelled: no more is planned.
  var isOver: Bool { state.withLock { $0.isPlanned || $0.progress.isCancelled } }

  /// Whether something stands in its way, and nothing has been moved for a while.
  var isHeld: Bool {
    state.withLock { state in
      (state.planComplaint ?? state.progress.complaint) != nil
        && MonotonicClock.nanoseconds() > state.lastSuccessNanoseconds + Self.heldNanoseconds
    }
  }

  /// Whether it rests, because nothing succeeds.
  var isResting: Bool { state.withLock { $0.restsUntil > MonotonicClock.nanoseconds() } }

  /// The next moves, and whether to ask again soon.
  func nextMoves() -> (moves: [Move], isLooking: Bool) {
    let planned = plan.next()
    state.withLock { state in
      state.progress.failed += planned.refusedCount
      if plan.triesAgain {
        state.planComplaint = planned.complaint
      } else if let complaint = planned.complaint {
        state.progress.complaint = complaint
      }
      if planned.isEnd { state.isPlanned = true }
    }
    return (planned.moves, planned.isLooking)
  }

  func ended(_ end: MoveCourse.End, bytes: UInt64, of move: Move) {
    plan.ended(move, end, bytes: bytes)
    let now = MonotonicClock.nanoseconds()
    state.withLock { state in
      state.progress.bytes += bytes
      state.rate.add(bytes, at: now)
      switch end {
      case .done:
        state.progress.done += 1
        state.lastSuccessNanoseconds = now
        state.failuresInARow = 0
        if plan.triesAgain { state.progress.complaint = nil }
      case .gone, .cancelled: state.progress.skipped += 1
      case .failed(let step, let outcome):
        state.progress.failed += 1
        state.progress.complaint = "extent \(move.extent): \(step) \(outcome.words)"
        state.failuresInARow += 1
        if plan.triesAgain, state.failuresInARow >= Self.failuresMax {
          state.restsUntil = now + Self.restNanoseconds
        }
      }
    }
  }

  /// Moves that were planned, but whose volume is about to go.
  func skip(_ moves: [Move]) {
    for move in moves { plan.ended(move, .cancelled, bytes: 0) }
    state.withLock { $0.progress.skipped += moves.count }
  }

  /// It is to end. One that has ended stays as it is.
  func cancel() {
    state.withLock { state in
      if state.progress.endedNanoseconds == nil { state.progress.isCancelled = true }
    }
  }

  func end() {
    state.withLock { state in
      if state.progress.endedNanoseconds == nil {
        state.progress.endedNanoseconds = MonotonicClock.nanoseconds()
        // What failed was tried again until it succeeded.
        if plan.triesAgain && !state.progress.isCancelled {
          state.progress.complaint = nil
          state.planComplaint = nil
        }
      }
    }
  }
}
