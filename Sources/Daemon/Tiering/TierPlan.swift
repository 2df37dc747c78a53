import Shadowing
import Synchronization

/// The moves of one round of the slow loop: each is tried once, and the next round sees what is left.
final class TierPlan: MovePlan {
  private let rest: Mutex<ArraySlice<TierSurvey.Planned>>
  private let bytes: UInt64
  private let count: Int
  private static let movesPerCall = 16

  let triesAgain = false

  init(_ moves: [TierSurvey.Planned]) {
    rest = Mutex(moves[...])
    bytes = moves.reduce(0) { $0 + $1.bytes }
    count = moves.count
  }

  func next() -> PlannedMoves {
    rest.withLock { rest in
      var planned = PlannedMoves()
      planned.moves = rest.prefix(Self.movesPerCall).map(\.move)
      rest = rest.dropFirst(Self.movesPerCall)
      planned.isLooking = !rest.isEmpty
      planned.isEnd = rest.isEmpty
      return planned
    }
  }

  func leftBytes(after progress: MoveJob.Progress) -> UInt64? {
    let left = max(0, count - progress.done - progress.skipped - progress.failed)
    return count == 0 ? 0 : bytes / UInt64(count) * UInt64(left)
  }
}
