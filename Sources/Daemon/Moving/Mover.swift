import ExtentMap
import NBDService
import Platform
import Primitives
import Redirection
import Shadowing
import Synchronization

/// Carries out the moves of all jobs: a few at a time, within a budget, and never two of one extent.
///
/// What a move does to an extent it does in steps that a reactor takes; in between clients have their turn.
/// It keeps nothing of its own that must survive: an interrupted move leaves a shadow that lacks something,
/// which is found again by whoever looks after the volume's copies.
final class Mover: Sendable {
  private struct ExtentKey: Hashable {
    var volume: VolumeID
    var extent: UInt64
  }

  private struct State {
    var jobs: [MoveJob] = []
    var nextNumber = 1
    var waiting: [Int: [Move]] = [:]
    var busy: Set<ExtentKey> = []
    var running = 0
    var excluded: [VolumeID: Int] = [:]
    var budget: MovementBudget
    var isStopping = false
  }

  /// Jobs that have ended are remembered so long, for people who ask.
  private static let endedJobsMax = 64
  /// When nothing is to be done, how long until jobs are asked again.
  private static let idleMilliseconds = 500

  private let pool: Pool
  private let inFlightMax: Int
  private let state: Mutex<State>
  private let log = Log("mover")

  init(_ pool: Pool, inFlightMax: Int, bytesPerSecond: UInt64) {
    self.pool = pool
    self.inFlightMax = inFlightMax
    state = Mutex(State(budget: MovementBudget(bytesPerSecond: bytesPerSecond)))
  }

  // MARK: Jobs

  /// Jobs that are there and some that have been, oldest first.
  var jobs: [MoveJob] { state.withLock { $0.jobs } }

  /// Takes a job; it is begun at once.
  @discardableResult
  func submit(_ title: String, _ priority: MoveJob.Priority, _ plan: some MovePlan) -> MoveJob {
    let job = state.withLock { state in
      let job = MoveJob(number: state.nextNumber, title, priority, plan: plan)
      state.nextNumber += 1
      state.jobs.append(job)
      let ended = state.jobs.filter { $0.progress.endedNanoseconds != nil }
      if ended.count > Self.endedJobsMax { state.jobs.removeAll { $0 === ended[0] } }
      return job
    }
    log.info("job begun", ["job": job.number, "what": title])
    return job
  }

  func job(_ number: Int) -> MoveJob? { jobs.first { $0.number == number } }

  // MARK: Volumes that go

  /// Nothing of the volume is moved from here on, until `include`.
  func exclude(_ volume: VolumeID) async {
    state.withLock { $0.excluded[volume, default: 0] += 1 }
    while state.withLock({ $0.busy.contains { $0.volume == volume } }) {
      try? await Task.sleep(for: .milliseconds(2))
    }
  }

  func include(_ volume: VolumeID) {
    state.withLock { state in
      guard let count = state.excluded[volume] else { return }
      state.excluded[volume] = count == 1 ? nil : count - 1
    }
  }

  // MARK: The work

  /// Works until `stop`.
  func run() async {
    while !state.withLock({ $0.isStopping }) {
      if let (job, move) = nextMove() {
        Task {
          let (end, bytes) = await carryOut(move, of: job)
          finish(move, of: job, end, bytes)
        }
      } else {
        try? await Task.sleep(for: .milliseconds(isIdle ? Self.idleMilliseconds : 1))
      }
    }
    while state.withLock({ $0.running > 0 }) { try? await Task.sleep(for: .milliseconds(2)) }
  }

  /// No step is taken any more; `run` returns when the last one has ended.
  func stop() {
    state.withLock { $0.isStopping = true }
  }

  private var isIdle: Bool { state.withLock { $0.running == 0 } }

  /// The most urgent move that can be begun now.
  private func nextMove() -> (MoveJob, Move)? {
    guard state.withLock({ $0.running < inFlightMax }) else { return nil }
    for job in jobs.filter({ $0.progress.endedNanoseconds == nil }).sorted(by: { $0.priority < $1.priority })
    {
      if let move = takeMove(of: job) { return (job, move) }
      guard state.withLock({ $0.waiting[job.number]?.isEmpty ?? true }) else { continue }
      guard let moves = job.nextMoves() else {
        if state.withLock({ $0.running }) == 0 { endJob(job) }
        continue
      }
      state.withLock { $0.waiting[job.number] = moves }
      if let move = takeMove(of: job) { return (job, move) }
    }
    return nil
  }

  private func takeMove(of job: MoveJob) -> Move? {
    state.withLock { state in
      guard let waiting = state.waiting[job.number] else { return nil }
      let index = waiting.firstIndex { move in
        !state.busy.contains(ExtentKey(volume: move.volume, extent: move.extent))
          && state.excluded[move.volume] == nil
      }
      guard let index else {
        // Volumes that go have no moves any more.
        state.waiting[job.number]?.removeAll { state.excluded[$0.volume] != nil }
        return nil
      }
      let move = state.waiting[job.number]!.remove(at: index)
      state.busy.insert(ExtentKey(volume: move.volume, extent: move.extent))
      state.running += 1
      return move
    }
  }

  private func finish(_ move: Move, of job: MoveJob, _ end: MoveCourse.End, _ bytes: UInt64) {
    job.ended(end, bytes: bytes, of: move)
    state.withLock { state in
      state.busy.remove(ExtentKey(volume: move.volume, extent: move.extent))
      state.running -= 1
    }
    if case .failed(let step, let outcome) = end {
      log.debug(
        "move failed",
        [
          "job": job.number, "volume": move.volume.rawValue, "extent": move.extent, "step": "\(step)",
          "why": outcome.words,
        ])
    }
  }

  private func endJob(_ job: MoveJob) {
    job.end()
    state.withLock { $0.waiting[job.number] = nil }
    let progress = job.progress
    log.info(
      progress.isCancelled ? "job cancelled" : "job done",
      [
        "job": job.number, "what": job.title, "moves": progress.done, "failed": progress.failed,
        "bytes": progress.bytes,
      ])
  }

  // MARK: One move

  private func carryOut(_ move: Move, of job: MoveJob) async -> (MoveCourse.End, UInt64) {
    guard let volume = pool.exports.volumes.first(where: { $0.id == move.volume }),
      makeLine(volume, move.extent)
    else { return (.gone, 0) }
    var course = MoveCourse(move)
    var copied: UInt64 = 0
    var hasReported = false
    while course.end == nil, let (step, target) = course.next {
      let (outcome, bytes) = await take(step, volume, move.extent, target)
      copied += bytes
      if outcome.isTrouble && !hasReported {
        hasReported = true
        if case .failed(let errno) = outcome {
          log.warning(
            "a step of a move has failed",
            [
              "job": job.number, "volume": volume.name, "extent": move.extent, "step": "\(step)",
              "errno": errno,
            ])
        }
      }
      course.ended(outcome)
      if outcome == .busy || (outcome.isTrouble && course.end == nil) {
        try? await Task.sleep(for: .milliseconds(20))
      }
      if job.progress.isCancelled || state.withLock({ $0.isStopping }) { course.cancel() }
      await pause(after: bytes)
    }
    return (course.end ?? .cancelled, copied)
  }

  private func makeLine(_ volume: Volume, _ extent: UInt64) -> Bool {
    guard extent < volume.map.extentCount else { return false }
    return (try? volume.map.makeShadowLine(extent)) != nil
  }

  private func take(
    _ step: MoveStep, _ volume: Volume, _ extent: UInt64, _ target: StoreID
  ) async -> (MoveOutcome, UInt64) {
    let reactors = pool.reactors
    return await withCheckedContinuation { continuation in
      reactors[Int(extent % UInt64(reactors.count))].post(
        .move(step, volume, extent: extent, target: target) { continuation.resume(returning: ($0, $1)) })
    }
  }

  private func pause(after bytes: UInt64) async {
    guard bytes > 0 else { return }
    let wait = state.withLock { $0.budget.spend(bytes, at: MonotonicClock.nanoseconds()) }
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
    case .busy: "finds no room"
    case .gone: "finds nothing to do"
    case .refused: "is not possible in the state that the copies are in"
    case .crowded: "finds that the extent has as many copies as it can have"
    case .full: "finds the store full"
    case .corrupt: "reads back something else than it wrote"
    case .failed(let errno): "fails: " + SystemError.text(of: errno)
    }
  }
}
