import Platform
import Primitives
import Shadowing
import Synchronization

/// Work that somebody wants done: many moves, planned as they are needed.
final class MoveJob: Sendable {
  /// How urgent it is; lower goes first.
  enum Priority: Int, Comparable {
    /// A store is about to fail.
    case evacuation
    /// A person waits for it.
    case request
    /// Copies are fewer, or lack more, than the volume wants.
    case protection

    static func < (first: Priority, second: Priority) -> Bool { first.rawValue < second.rawValue }
  }

  /// What has become of it so far.
  struct Progress: Sendable {
    var done = 0
    var skipped = 0
    var failed = 0
    var bytes: UInt64 = 0
    /// Moves that are left, as far as is known.
    var left: Int?
    /// Why the last move failed, or none can be made.
    var complaint: String?
    var isCancelled = false
    var endedNanoseconds: UInt64?
  }

  let number: Int
  /// What it is, in words.
  let title: String
  let priority: Priority
  let startedNanoseconds: UInt64
  private let plan: any MovePlan
  private let state = Mutex(Progress())

  init(number: Int, _ title: String, _ priority: Priority, plan: any MovePlan) {
    self.number = number
    self.title = title
    self.priority = priority
    self.plan = plan
    startedNanoseconds = MonotonicClock.nanoseconds()
  }

  var progress: Progress { state.withLock { $0 } }

  /// The next moves; empty if there is none now, nil if there will be none.
  func nextMoves() -> [Move]? {
    if progress.isCancelled { return nil }
    let (moves, left, complaint) = plan.next()
    state.withLock {
      $0.left = left
      if let complaint { $0.complaint = complaint }
    }
    return moves
  }

  func ended(_ end: MoveCourse.End, bytes: UInt64, of move: Move) {
    state.withLock { state in
      state.bytes += bytes
      switch end {
      case .done: state.done += 1
      case .gone, .cancelled: state.skipped += 1
      case .failed(let step, let outcome):
        state.failed += 1
        state.complaint = "extent \(move.extent): \(step) \(outcome.words)"
      }
    }
  }

  func cancel() {
    state.withLock { $0.isCancelled = true }
  }

  func end() {
    state.withLock { if $0.endedNanoseconds == nil { $0.endedNanoseconds = MonotonicClock.nanoseconds() } }
  }
}

/// Where a job's moves come from. Called by one task at a time.
protocol MovePlan: AnyObject, Sendable {
  /// The next few moves (nil: that was all), how many are left if that is known, and what stands in the way.
  func next() -> (moves: [Move]?, left: Int?, complaint: String?)
}
