import Shadowing

/// What a plan has to say when it is asked.
struct PlannedMoves {
  /// The next few moves.
  var moves: [Move] = []
  /// Extents that can not be moved as was wanted, and will not be asked for again.
  var refusedCount = 0
  /// What stands in the way now; nil: nothing.
  var complaint: String?
  /// There is more to look at: ask again soon, even if there are no moves yet.
  var isLooking = false
  /// There will be no more.
  var isEnd = false
}

/// Where a job's moves come from.
protocol MovePlan: AnyObject, Sendable {
  /// Whether it finds extents again whose moves have failed, or were not begun.
  var triesAgain: Bool { get }
  /// The next moves. Called by one task at a time.
  func next() -> PlannedMoves
  /// A move that it has handed out is over, or was not begun: its volume is about to go. Any thread.
  func ended(_ move: Move, _ end: MoveCourse.End, bytes: UInt64)
  /// Bytes of extents that are still to be moved, as far as is known.
  func leftBytes(after progress: MoveJob.Progress) -> UInt64?
}

extension MovePlan {
  /// Most plans look at the maps again.
  func ended(_ move: Move, _ end: MoveCourse.End, bytes: UInt64) {}
}
