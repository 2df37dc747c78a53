import ExtentMap
import Primitives
import Redirection
import Shadowing
import Synchronization

/// What somebody asks for, of some extents of a volume: each is tried once.
final class RequestPlan: MovePlan {
  typealias Rule = @Sendable (CopyRules, ExtentCopies) -> Result<Move?, CopyRules.Objection>

  private let view: PlanningView
  private let volume: Volume
  private let rule: Rule
  private let rest: Mutex<[Range<UInt64>]>
  /// Moves that there were to be made when it was asked for.
  private let expected: Int
  private static let movesPerCall = 64
  private static let looksPerCall: UInt64 = 1 << 17

  let triesAgain = false

  /// Looks at all extents before anything is done.
  ///
  /// - Throws: `conflict` if none of those that are concerned can be moved so.
  init(_ view: PlanningView, _ volume: Volume, _ extents: [Range<UInt64>], _ rule: @escaping Rule)
    throws(GnomonError)
  {
    self.view = view
    self.volume = volume
    self.rule = rule
    rest = Mutex(extents)
    let rules = PlanningView.rules(for: volume, view.stores)
    let mapView = volume.map.view
    // Of those with the same copies, one is judged for all: there may be millions, and who asks waits.
    var verdicts: [CopySignature: Bool] = [:]
    var count = 0
    var refusal: String?
    for range in extents {
      for extent in range {
        let entry = mapView.entry(extent)
        guard entry.isMapped else { continue }
        let signature = CopySignature(mapView, extent, entry)
        if let isMoved = verdicts[signature] {
          if isMoved { count += 1 }
          continue
        }
        guard let copies = ExtentCopies(mapView, extent) else { continue }
        let verdict = rule(rules, copies)
        if case .failure(let objection) = verdict { refusal = refusal ?? "extent \(extent): \(objection)" }
        let isMoved = if case .success(_?) = verdict { true } else { false }
        verdicts[signature] = isMoved
        if isMoved { count += 1 }
      }
    }
    if count == 0, let refusal {
      throw GnomonError(.conflict, "nothing of volume \(volume.name) can be moved so", cause: refusal)
    }
    expected = count
  }

  func next() -> PlannedMoves {
    var rules = PlanningView.rules(for: volume, view.stores)
    return rest.withLock { rest in
      var planned = PlannedMoves()
      var looks = Self.looksPerCall
      while let range = rest.first, planned.moves.count < Self.movesPerCall, looks > 0 {
        looks -= 1
        let extent = range.lowerBound
        if extent + 1 < range.upperBound {
          rest[0] = extent + 1..<range.upperBound
        } else {
          rest.removeFirst()
        }
        guard extent < volume.map.extentCount, let copies = ExtentCopies(volume.map.view, extent) else {
          continue
        }
        switch rule(rules, copies) {
        case .success(nil): break
        case .success(let move?):
          planned.moves.append(move)
          rules.stores.plan(move, bytes: volume.extentBytes)
        case .failure(let objection):
          planned.refusedCount += 1
          planned.complaint = "extent \(extent): \(objection)"
        }
      }
      planned.isLooking = !rest.isEmpty
      planned.isEnd = rest.isEmpty
      return planned
    }
  }

  func leftBytes(after progress: MoveJob.Progress) -> UInt64? {
    let handled = progress.done + progress.skipped + progress.failed
    return UInt64(max(0, expected - handled)) * volume.extentBytes
  }
}
