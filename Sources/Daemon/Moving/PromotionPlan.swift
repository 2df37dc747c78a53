import ExtentMap
import Primitives
import Redirection
import Shadowing
import Synchronization

/// Has shadows take over from the live copies in a store that is not used any more, wherever one can. Copies
/// nothing.
final class PromotionPlan: MovePlan {
  private struct State {
    var cursor = ExtentCursor()
    var foundInPass = 0
  }

  private let view: PlanningView
  private let store: StoreID
  private let reason: String
  private let state = Mutex(State())
  private static let movesPerCall = 256

  /// - Parameter reason: why each is promoted, in words.
  init(_ view: PlanningView, from store: StoreID, reason: String) {
    self.view = view
    self.store = store
    self.reason = reason
  }

  let triesAgain = true

  func next() -> PlannedMoves {
    let stores = view.stores
    let volumes = view.volumes
    return state.withLock { state in
      var planned = PlannedMoves()
      let stop = state.cursor.advance(volumes) { volume, extent, entry in
        guard entry.store == store, entry.isShadowed, let copies = ExtentCopies(volume.map.view, extent),
          let move = PlanningView.rules(for: volume, stores).promote(copies, from: store, reason: reason)
        else { return true }
        state.foundInPass += 1
        planned.moves.append(move)
        return planned.moves.count < Self.movesPerCall
      }
      planned.isLooking = stop == .bound
      if stop == .end {
        // What is promoted now is found once more, and only then not.
        planned.isEnd = state.foundInPass == 0
        state.foundInPass = 0
      }
      return planned
    }
  }

  func leftBytes(after progress: MoveJob.Progress) -> UInt64? { nil }
}
