import ExtentMap
import Primitives
import Redirection
import Shadowing
import Synchronization

/// Keeps as many copies as each volume wants, and makes equal again those that lack something. Never ends.
final class ProtectionPlan: MovePlan {
  private struct State {
    var cursor = ExtentCursor()
    /// Of this pass, and of the one before: a pass takes more than one call.
    var complaint: String?
    var lastComplaint: String?
  }

  private let view: PlanningView
  private let state = Mutex(State())
  /// Few: what was written just now comes before the rest of what a pass has found.
  private static let movesPerCall = 16
  private static let refusalsPerCall = 64

  init(_ view: PlanningView) {
    self.view = view
  }

  let triesAgain = true

  func next() -> PlannedMoves {
    let volumes = view.volumes
    let fresh = view.pool.shared.fresh.take(Self.movesPerCall)
    return state.withLock { state in
      var look = Look(stores: view.stores)
      for fresh in fresh {
        guard let volume = volumes.first(where: { $0.id == fresh.volume }),
          fresh.extent < volume.map.extentCount
        else { continue }
        look.look(at: volume, fresh.extent)
      }
      state.complaint = look.complaint ?? state.complaint
      if look.planned.moves.isEmpty {
        let stop = state.cursor.advance(volumes) { volume, extent, entry in
          if !entry.isShadowed && volume.redundancy.copies == 1 { return true }
          look.look(at: volume, extent)
          return look.planned.moves.count < Self.movesPerCall && look.refusals < Self.refusalsPerCall
        }
        state.complaint = look.complaint ?? state.complaint
        if stop == .end {
          state.lastComplaint = state.complaint
          state.complaint = nil
        }
      }
      look.planned.isLooking = !fresh.isEmpty
      look.planned.complaint = state.complaint ?? state.lastComplaint
      return look.planned
    }
  }

  /// What one call finds.
  private struct Look {
    private struct Kind: Hashable {
      var volume: VolumeID
      var signature: CopySignature
    }

    var stores: [StoreCandidate]
    var planned = PlannedMoves()
    var refusals = 0
    var complaint: String?
    /// Extents like these have what they want: most are alike.
    private var content: Set<Kind> = []
    private var last: Kind?

    init(stores: [StoreCandidate]) {
      self.stores = stores
    }

    mutating func look(at volume: Volume, _ extent: UInt64) {
      let view = volume.map.view
      let entry = view.entry(extent)
      guard entry.isMapped else { return }
      let kind = Kind(volume: volume.id, signature: CopySignature(view, extent, entry))
      if kind == last || content.contains(kind) { return }
      guard let copies = ExtentCopies(view, extent) else { return }
      switch PlanningView.rules(for: volume, stores).protect(copies) {
      case .success(nil):
        content.insert(kind)
        last = kind
      case .success(let move?):
        planned.moves.append(move)
        stores.plan(move, bytes: volume.extentBytes)
      case .failure(let refusal):
        refusals += 1
        complaint = "extent \(extent) of \(volume.name) has too few copies: \(refusal)"
      }
    }
  }

  func leftBytes(after progress: MoveJob.Progress) -> UInt64? { nil }
}
