import Platform
import Primitives
import Shadowing
import Synchronization

/// The moves of prediction on their way from the thread that decides to the mover, and what became of them on
/// the way back.
final class PredictionPlan: MovePlan {
  /// A move that is over.
  struct Ended: Sendable {
    var move: Move
    var end: MoveCourse.End
    var bytes: UInt64
    var nanoseconds: UInt64
  }

  private struct State {
    /// Copies to make, oldest first.
    var copies: [Move] = []
    /// Copies to give up: quick, and they make room.
    var drops: [Move] = []
    var ended: [Ended] = []
  }

  /// Copies that wait at a time. What waits for longer than so many take is too late anyway.
  static let copiesMax = 32
  private static let movesPerCall = 4

  private let state = Mutex(State())

  let triesAgain = false

  /// Takes a copy to be made.
  ///
  /// - Returns: the one that has waited for longest and is not made any more, if there are too many.
  func offer(copy: Move) -> Move? {
    state.withLock { state in
      state.copies.append(copy)
      return state.copies.count > Self.copiesMax ? state.copies.removeFirst() : nil
    }
  }

  /// Takes a copy to be given up.
  func offer(drop: Move) { state.withLock { $0.drops.append(drop) } }

  /// Takes a copy back that is not wanted any more.
  ///
  /// - Returns: false if it was begun already.
  func withdraw(_ extent: UInt64, of volume: VolumeID) -> Bool {
    state.withLock { state in
      guard let index = state.copies.firstIndex(where: { $0.extent == extent && $0.volume == volume }) else {
        return false
      }
      state.copies.remove(at: index)
      return true
    }
  }

  /// Whether one more copy finds room without putting another out.
  var hasRoom: Bool { state.withLock { $0.copies.count < Self.copiesMax } }

  /// What has ended since the last call.
  func takeEnded() -> [Ended] {
    state.withLock { state in
      defer { state.ended.removeAll(keepingCapacity: true) }
      return state.ended
    }
  }

  // MARK: MovePlan

  func next() -> PlannedMoves {
    state.withLock { state in
      var planned = PlannedMoves()
      let drops = min(state.drops.count, Self.movesPerCall)
      planned.moves = Array(state.drops.prefix(drops))
      state.drops.removeFirst(drops)
      let copies = min(state.copies.count, Self.movesPerCall - drops)
      planned.moves += state.copies.prefix(copies)
      state.copies.removeFirst(copies)
      planned.isLooking = !state.drops.isEmpty || !state.copies.isEmpty
      return planned
    }
  }

  func ended(_ move: Move, _ end: MoveCourse.End, bytes: UInt64) {
    let now = MonotonicClock.nanoseconds()
    state.withLock { $0.ended.append(Ended(move: move, end: end, bytes: bytes, nanoseconds: now)) }
  }

  func leftBytes(after progress: MoveJob.Progress) -> UInt64? { nil }
}
