import ExtentMap
import NBDService
import Platform
import Primitives
import Redirection
import Shadowing
import Synchronization

/// Carries out one move: has reactors take its steps, and spends from the budget. In between clients have
/// their turn.
final class MoveHands: Sendable {
  let pool: Pool
  /// What plans see of the pool.
  let view: PlanningView
  private let budget: Mutex<MovementBudget>
  private let clients: ClientWatch

  /// How long until a step is tried again that found no room, or that failed while a move is given up.
  private static let pauseMilliseconds = 20

  init(_ pool: Pool, _ settings: Configuration.Moves) {
    self.pool = pool
    view = PlanningView(pool: pool, replaceAfterSeconds: settings.replaceAfterSeconds)
    budget = Mutex(MovementBudget(bytesPerSecond: settings.bytesPerSecond))
    clients = ClientWatch(pool)
  }

  /// Whether a store is sat out: what is being moved there is given up.
  func isOut(_ store: StoreID) -> Bool { pool.shared.stores.isSatOut(store) }

  /// Moves go slower while clients suffer from them.
  func observeClients(isMoving: Bool) {
    guard let look = clients.look(at: MonotonicClock.nanoseconds(), isMoving: isMoving) else { return }
    budget.withLock { $0.observe(slowdown: look.slowdown, seconds: look.seconds, isMoving: isMoving) }
  }

  /// The volume of a move; nil if it is not on offer now.
  func volume(of move: Move) -> Volume? { pool.exports.volume(move.volume) }

  /// Takes the steps of a move, one after the other.
  ///
  /// - Parameter shouldStop: asked after each step: whether nobody wants the move any more.
  /// - Returns: how it ended, and the bytes that were copied.
  func carryOut(
    _ move: Move, of volume: Volume, shouldStop: @Sendable () -> Bool
  ) async -> (end: MoveCourse.End, bytes: UInt64) {
    guard move.extent < volume.map.extentCount,
      let copies = ExtentCopies(volume.map.view, move.extent), move.applies(to: copies)
    else { return (.gone, 0) }
    guard (try? volume.map.makeShadowLine(move.extent)) != nil else {
      return (.failed(.begin, .failed(ErrorNumber.noMemory)), 0)
    }
    var course = MoveCourse(move)
    var copied: UInt64 = 0
    while course.end == nil, let (step, target) = course.next {
      let (outcome, bytes) = await take(step, volume, move.extent, target)
      copied += bytes
      course.ended(outcome)
      if outcome == .busy || (outcome.isTrouble && course.end == nil) {
        try? await Task.sleep(for: .milliseconds(Self.pauseMilliseconds))
      }
      if shouldStop() { course.cancel() }
      await pause(after: bytes)
    }
    return (course.end ?? .cancelled, copied)
  }

  private func take(
    _ step: MoveStep, _ volume: Volume, _ extent: UInt64, _ target: StoreID
  ) async -> (MoveOutcome, UInt64) {
    let reactors = pool.reactors
    let stride = budget.withLock { $0.isShared ? CopyStride.short : .long }
    return await withCheckedContinuation { continuation in
      reactors[Int(extent % UInt64(reactors.count))].post(
        .move(step, volume, extent: extent, target: target, stride) {
          continuation.resume(returning: ($0, $1))
        })
    }
  }

  private func pause(after bytes: UInt64) async {
    guard bytes > 0 else { return }
    observeClients(isMoving: true)
    let wait = budget.withLock { $0.spend(bytes, at: MonotonicClock.nanoseconds()) }
    if wait > 0 { try? await Task.sleep(for: .nanoseconds(wait)) }
  }
}

extension MoveOutcome {
  /// Whether something stood in the way.
  var isTrouble: Bool {
    switch self {
    case .done, .more, .busy, .gone: false
    case .refused, .crowded, .full, .corrupt, .failed: true
    }
  }

  /// In words, as the end of a sentence.
  var words: String {
    switch self {
    case .done: "is done"
    case .more: "finds that clients write faster than it copies"
    case .busy: "has to wait"
    case .gone: "finds nothing to do"
    case .refused: "is not possible in the state that the copies are in"
    case .crowded: "finds that the extent has as many copies as it can have"
    case .full: "finds no room in the store"
    case .corrupt: "reads back something else than it wrote"
    case .failed(let errno): "fails: " + SystemError.text(of: errno)
    }
  }
}
