import ExtentMap
import Primitives
import Redirection
import Shadowing
import Synchronization

/// Moves everything off a store: pass after pass, until nothing lies there.
final class DrainPlan: MovePlan {
  /// Which extents a pass looks at.
  private enum Pass {
    /// Those that would be lost with the store.
    case leastProtected
    case all
  }

  private struct State {
    var cursor = ExtentCursor()
    var pass: Pass
    var foundInPass = 0
    /// Of this pass, and of the one before: a pass takes more than one call.
    var complaint: String?
    var lastComplaint: String?
  }

  private let view: PlanningView
  private let store: StoreID
  private let reason: String
  private let state: Mutex<State>
  private static let movesPerCall = 64
  /// If so many extents can not go, those behind them will not either: that is not worth looking at all the
  /// time.
  private static let refusalsPerCall = 64

  /// - Parameters:
  ///   - reason: why each extent is moved, in words.
  ///   - leastProtectedFirst: what has no other good copy goes before the rest.
  init(
    _ view: PlanningView, draining store: StoreID, reason: String = "its store is being drained",
    leastProtectedFirst: Bool = false
  ) {
    self.view = view
    self.store = store
    self.reason = reason
    state = Mutex(State(pass: leastProtectedFirst ? .leastProtected : .all))
  }

  let triesAgain = true

  func next() -> PlannedMoves {
    var stores = view.stores
    let volumes = view.volumes
    return state.withLock { state in
      var planned = PlannedMoves()
      var refusals = 0
      let stop = state.cursor.advance(volumes) { volume, extent, entry in
        let view = volume.map.view
        guard entry.store == store || view.shadows(of: extent, entry)?.number(in: store) != nil,
          let copies = ExtentCopies(view, extent)
        else { return true }
        if state.pass == .leastProtected && copies.goodStores.contains(where: { $0 != store }) { return true }
        state.foundInPass += 1
        switch PlanningView.rules(for: volume, stores).evacuate(copies, from: store, reason: reason) {
        case .success(let move):
          planned.moves.append(move)
          stores.plan(move, bytes: volume.extentBytes)
        case .failure(let refusal):
          refusals += 1
          let copies = volume.redundancy.copies
          let wish = copies > 1 ? ", which wants \(copies) copies," : ""
          state.complaint = "extent \(extent) of \(volume.name)\(wish) can not go: \(refusal)"
        }
        return planned.moves.count < Self.movesPerCall && refusals < Self.refusalsPerCall
      }
      planned.isLooking = stop == .bound
      planned.complaint = state.complaint ?? state.lastComplaint
      if stop == .end { endPass(&state, &planned) }
      return planned
    }
  }

  private func endPass(_ state: inout State, _ planned: inout PlannedMoves) {
    if state.pass == .leastProtected {
      state.pass = .all
      planned.isLooking = true
    } else if state.foundInPass == 0 {
      // An extent that was being placed when the drain began, and slots that are on their way back.
      let used = leftBytes ?? 0
      planned.isEnd = used == 0
      planned.complaint = nil
      if used > 0 { state.complaint = "\(ByteSize(rawValue: used)) are on their way back" }
    }
    state.lastComplaint = state.complaint
    state.complaint = nil
    state.foundInPass = 0
  }

  private var leftBytes: UInt64? { view.pool.shared.placement.space(of: store).usedBytes }

  func leftBytes(after progress: MoveJob.Progress) -> UInt64? { leftBytes }
}
