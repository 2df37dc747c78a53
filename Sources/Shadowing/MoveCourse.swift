public import Primitives
public import Redirection

/// The course of one move: which step comes next, given how the last one ended. It does nothing itself.
///
/// Whatever happens, and whenever it stops, the extent keeps its live copy; a move that can not be ended
/// gives back what it has begun.
public struct MoveCourse: Sendable {
  /// How a move has ended.
  public enum End: Sendable, Equatable {
    /// As it was meant.
    case done
    /// The extent or its shadow has gone meanwhile: there is nothing left to do.
    case gone
    /// It can not be done: the step that failed, and why.
    case failed(MoveStep, MoveOutcome)
    /// Whoever wanted it wants it no more.
    case cancelled
  }

  private let kind: MoveKind
  private let target: StoreID
  private let source: StoreID?
  private var steps: [MoveStep]
  private var settlesLeft = Self.settlesMax
  private var verdict = End.done

  /// The store has a copy now that was not there before.
  private var hasNewCopy = false

  /// How often the extent may be written to at the wrong moment before the move gives up: a last pass finds
  /// too much left, or the new copy lacks something when it is to become the live one.
  static let settlesMax = 64

  /// The course of a move, at its beginning.
  public init(_ move: Move) {
    kind = move.kind
    target = move.target
    source = move.source
    steps =
      switch move.kind {
      case .replicate, .resync: [.begin, .fill, .settle]
      case .migrate: [.begin, .fill, .settle] + (move.isSourceLive ? [.promote, .drop] : [.drop])
      case .promote: move.isTargetSynced ? [.promote] : [.begin, .fill, .settle, .promote]
      case .drop: [.drop]
      case .replace: [.drop, .begin, .fill, .settle]
      }
  }

  /// The next step, and the store of the shadow that it is about; nil at the end.
  public var next: (step: MoveStep, target: StoreID)? {
    guard let step = steps.first else { return nil }
    // Once the new copy is the live one, the old one is a shadow.
    let isSource = step == .drop && (kind == .migrate || kind == .replace) && verdict == .done
    return (step, isSource ? source! : target)
  }

  /// How it went; nil as long as there are steps.
  public var end: End? { steps.isEmpty ? verdict : nil }

  /// Nobody wants the move any more: what it has begun is given back.
  public mutating func cancel() {
    guard let step = steps.first, verdict == .done else { return }
    // Past the promotion only the end of the old copy is left: that is quicker than to go back.
    if step == .drop && kind == .migrate { return }
    giveUp(at: step, .cancelled)
  }

  /// Takes notice of how the next step has ended.
  public mutating func ended(_ outcome: MoveOutcome) {
    guard let step = steps.first else { preconditionFailure("a step after the last") }
    switch outcome {
    case .done:
      if step == .begin && kind == .migrate { hasNewCopy = true }
      steps.removeFirst()
    case .busy:
      break
    case .more where step == .leave:
      steps.removeFirst()
    case .more where step == .settle && settlesLeft == 0:
      giveUp(at: step, .failed(step, .more))
    case .more where step == .settle:
      settlesLeft -= 1
      steps.insert(.fill, at: 0)
    case .more:
      break
    case .refused where step == .promote && verdict == .done && settlesLeft > 0:
      // Since the last pass, a write has gone on without the new copy, for whose store it was too slow.
      settlesLeft -= 1
      steps.insert(contentsOf: [.begin, .fill, .settle], at: 0)
    case .gone:
      steps = []
      if verdict == .done { verdict = .gone }
    case .failed where step == .leave:
      // Nothing else ends the filling; what stood in the way will pass.
      break
    case .refused, .crowded, .full, .corrupt, .failed:
      if verdict == .done { giveUp(at: step, .failed(step, outcome)) } else { steps.removeFirst() }
    }
  }

  private mutating func giveUp(at step: MoveStep, _ verdict: End) {
    self.verdict = verdict
    switch step {
    case .leave, .drop: steps = []
    // The new copy was made for this; without the promotion it is one too many.
    case .begin, .promote: steps = hasNewCopy ? [.drop] : []
    // Of a shadow that was there before, what it has got is kept.
    case .fill, .settle: steps = kind == .resync || kind == .promote ? [.leave] : [.leave, .drop]
    }
  }
}
