import ExtentMap
import NBDService
import Platform
import Primitives
import Redirection
import Shadowing
import Stores
import Synchronization

/// Has the moves of all jobs carried out: a few at a time, and never two of one extent.
///
/// It keeps nothing of its own that must survive: an interrupted move leaves a shadow that lacks something,
/// which is found again by whoever looks after the volume's copies, and a store that is being drained is
/// marked so in the catalog.
final class Mover: Sendable {
  private struct State {
    var jobs: [MoveJob] = []
    var nextNumber = 1
    var waiting: [Int: [Move]] = [:]
    var busy: Set<ExtentKey> = []
    /// Moves of a job that are under way.
    var running: [Int: Int] = [:]
    /// Volumes that are about to go or to be cut, and how many want them to be left alone.
    var excluded: [VolumeID: Int] = [:]
    var memory = MoveMemory()
    var turn = 0
    var isStopping = false
    var nap: Task<Void, Never>?
    var isWoken = false
    var task: Task<Void, Never>?

    var runningCount: Int { running.values.reduce(0, +) }
    /// Likewise without those that have a bound of their own.
    var boundCount: Int { runningCount - (running[Mover.predictionNumber] ?? 0) }
  }

  /// Jobs that have ended are remembered so long, for people who ask.
  private static let endedJobsMax = 64
  /// Jobs of people that are under way at a time.
  static let jobsMax = 64
  /// When nothing is to be done, how long until plans are asked again.
  private static let idleMilliseconds = 500
  /// Every so many moves the least urgent job has its turn: a drain of hours must not keep what is written
  /// meanwhile from being protected.
  private static let turns = 4

  /// Promotions that are begun beyond `moves.inFlight`: what copies may be waiting for the very store that is
  /// to be done without.
  private static let promotionsInFlight = 2

  /// Moves of prediction that are under way at a time, beyond `moves.inFlight`: what is foreseen is worth
  /// nothing once it has come.
  private static let predictionsInFlight = 8
  private static let predictionNumber = -1

  /// How long the end of what is under way in a volume is waited for, in seconds: moves are given up after
  /// their step, but one that hangs in a store may never end.
  private static let excludeSeconds: UInt64 = 30

  /// Looks after the copies that volumes want, for ever; not among `jobs`.
  let protection: MoveJob
  /// Shadows ahead of reads; nil if nobody predicts. Not among `jobs` either.
  let prediction: MoveJob?
  let hands: MoveHands
  private let inFlightMax: Int
  private let excludeSeconds: UInt64
  private let state = Mutex(State())
  private let log = Log("mover")

  /// - Parameter prediction: where the moves of prediction come from; nil if nobody predicts.
  init(
    _ pool: Pool, _ settings: Configuration.Moves, prediction plan: (any MovePlan)? = nil,
    excludeSeconds: UInt64 = excludeSeconds
  ) {
    self.excludeSeconds = excludeSeconds
    hands = MoveHands(pool, settings)
    prediction = plan.map { plan in
      MoveJob(number: Self.predictionNumber, "shadows ahead of reads", .prediction, plan: plan)
    }
    protection = MoveJob(
      number: 0, "keep the copies that volumes want", .protection, plan: ProtectionPlan(hands.view))
    inFlightMax = settings.inFlight
  }

  /// What plans see of the pool.
  var view: PlanningView { hands.view }

  // MARK: Jobs

  /// Jobs that are there and some that have been, oldest first.
  var jobs: [MoveJob] { state.withLock { $0.jobs } }

  /// Whether people have as many jobs under way as they may.
  var isFull: Bool {
    jobs.count { $0.progress.endedNanoseconds == nil && $0.priority == .request } >= Self.jobsMax
  }

  /// Takes a job; it is begun at once.
  @discardableResult
  func submit(
    _ title: String, _ priority: MoveJob.Priority, drains: StoreID? = nil, _ plan: some MovePlan
  ) -> MoveJob {
    let job = state.withLock { state in
      let ended = state.jobs.filter { $0.progress.endedNanoseconds != nil }
      if ended.count >= Self.endedJobsMax { state.jobs.removeAll { $0 === ended[0] } }
      let job = MoveJob(number: state.nextNumber, title, priority, drains: drains, plan: plan)
      state.nextNumber += 1
      state.jobs.append(job)
      return job
    }
    log.info("job begun", ["job": job.number, "what": title])
    wake()
    return job
  }

  func job(_ number: Int) -> MoveJob? { jobs.first { $0.number == number } }

  /// Begins to empty a store that is marked as being drained.
  @discardableResult
  func drain(_ store: any Store) -> MoveJob {
    let id = store.record.id
    return submit(
      "drain \(store.record.name)", .evacuation, drains: id, DrainPlan(hands.view, draining: id))
  }

  /// Begins to empty a store because it is failing.
  func evacuate(_ store: any Store, because reason: String) -> MoveJob {
    let id = store.record.id
    return submit(
      "evacuate \(store.record.name): \(reason)", .evacuation,
      DrainPlan(
        hands.view, draining: id, reason: "its store is failing: \(reason)", leastProtectedFirst: true))
  }

  /// Begins to have shadows elsewhere take over what is live in a store.
  func promoteAway(from store: any Store, because reason: String) -> MoveJob {
    submit(
      "let shadows take over from \(store.record.name): \(reason)", .promotion,
      PromotionPlan(hands.view, from: store.record.id, reason: "its store is sat out: \(reason)"))
  }

  /// Looks how clients fare, which moves will have to spare. Every second or so.
  func observeClients() { hands.observeClients(isMoving: isMoving) }

  /// Whether anything is being moved now.
  var isMoving: Bool { state.withLock { $0.runningCount > 0 } }

  /// Something has changed that plans go by.
  func lookAgain() { wake() }

  /// The job that empties a store; nil if there is none under way.
  func drain(of store: StoreID) -> MoveJob? {
    jobs.last { $0.drains == store && !$0.progress.isCancelled && $0.progress.endedNanoseconds == nil }
  }

  /// A job is to end; what it has begun is given back.
  func cancel(_ job: MoveJob) {
    job.cancel()
    wake()
  }

  /// Why extents of a volume lie where they do, as far as it is remembered.
  func reasons(of volume: VolumeID) -> [UInt64: String] {
    state.withLock { $0.memory.reasons(of: volume) }
  }

  // MARK: Volumes that go

  /// Nothing of the volume is moved from here on, until `include`. Moves under way are given up.
  ///
  /// - Throws: `conflict` if they do not end; then it is as if it had not been called.
  func exclude(_ volume: Volume) async throws(GnomonError) {
    state.withLock { $0.excluded[volume.id, default: 0] += 1 }
    let deadline = MonotonicClock.nanoseconds() + excludeSeconds * 1_000_000_000
    while state.withLock({ $0.busy.contains { $0.volume == volume.id } }) {
      guard MonotonicClock.nanoseconds() < deadline else {
        include(volume.id)
        throw GnomonError(
          .conflict, "copies of volume \(volume.name) are being moved or scrubbed",
          cause: "that did not end within \(excludeSeconds) s",
          remedy: "see `gnomon store list`, and try again")
      }
      try? await Task.sleep(for: .milliseconds(2))
    }
  }

  func include(_ volume: VolumeID) {
    state.withLock { state in
      guard let count = state.excluded[volume] else { return }
      state.excluded[volume] = count == 1 ? nil : count - 1
    }
  }

  /// Keeps everybody from moving copies of an extent, until it is released.
  ///
  /// - Returns: false if they are being moved now, or are to be left alone.
  func claim(_ extent: ExtentKey) -> Bool {
    state.withLock { $0.excluded[extent.volume] == nil && $0.busy.insert(extent).inserted }
  }

  func release(_ extent: ExtentKey) {
    state.withLock { _ = $0.busy.remove(extent) }
    wake()
  }

  /// Whether somebody waits until nothing of the volume is moved any more.
  func isExcluded(_ volume: VolumeID) -> Bool { state.withLock { $0.excluded[volume] != nil } }

  /// Drops all shadows of an extent of a volume that is excluded.
  func dropShadows(of volume: Volume, _ extent: UInt64) async throws(GnomonError) {
    precondition(state.withLock { $0.excluded[volume.id] != nil }, "somebody else may move it")
    while let shadow = ExtentCopies(volume.map.view, extent)?.shadows.first {
      let move = Move(.drop, volume: volume.id, extent: extent, to: shadow.store, reason: "")
      let (end, _) = await hands.carryOut(move, of: volume, shouldStop: { false })
      guard end == .done || end == .gone else {
        throw GnomonError(.system, "a shadow of volume \(volume.name) can not be dropped", cause: "\(end)")
      }
    }
  }

  // MARK: The work

  /// Begins to work: first of all on what was under way when the pool was served last.
  func start() {
    for store in hands.pool.stores where store.record.isDraining { drain(store) }
    let task = Task { await run() }
    state.withLock { $0.task = task }
  }

  /// No move is begun any more, and those under way are given up; then calls back.
  func stop(_ done: @escaping @Sendable () -> Void) {
    let task = state.withLock { state in
      state.isStopping = true
      return state.task
    }
    wake()
    Task {
      await task?.value
      done()
    }
  }

  private func run() async {
    while !state.withLock({ $0.isStopping }) {
      switch nextMove() {
      case .move(let job, let move): begin(move, of: job)
      case .later: await rest(milliseconds: 1)
      case .none: await rest(milliseconds: Self.idleMilliseconds)
      }
    }
    while state.withLock({ $0.runningCount > 0 }) { await rest(milliseconds: Self.idleMilliseconds) }
  }

  private func rest(milliseconds: Int) async {
    let nap = Task<Void, Never> { try? await Task.sleep(for: .milliseconds(milliseconds)) }
    let isWoken = state.withLock { state in
      state.nap = nap
      return state.isWoken
    }
    if isWoken { nap.cancel() }
    await nap.value
    state.withLock { state in
      state.nap = nil
      state.isWoken = false
    }
  }

  private func wake() {
    state.withLock { state in
      state.isWoken = true
      state.nap?.cancel()
    }
  }

  private enum Next {
    case move(MoveJob, Move)
    /// None now, but a plan is looking for some.
    case later
    case none
  }

  /// The most urgent move that can be begun now.
  private func nextMove() -> Next {
    let (jobs, isTurned) = state.withLock { state in
      (state.jobs, state.turn % Self.turns == Self.turns - 1)
    }
    var order = jobs.filter { $0.progress.endedNanoseconds == nil }
    if let prediction { order.append(prediction) }
    order.append(protection)
    order.sort { $0.priority < $1.priority }
    if isTurned { order.reverse() }
    var isLooking = false
    for job in order where hasRoom(for: job) {
      if let move = takeMove(of: job) { return .move(job, move) }
      if hasWaiting(job) { continue }
      if job.isOver {
        if state.withLock({ $0.running[job.number] == nil }) { end(job) }
        continue
      }
      if job.isResting { continue }
      isLooking = plan(job) || isLooking
      if let move = takeMove(of: job) { return .move(job, move) }
      if job.isOver { isLooking = true }
    }
    return isLooking ? .later : .none
  }

  /// Whether one more move of a job may be begun.
  private func hasRoom(for job: MoveJob) -> Bool {
    state.withLock { state in
      switch job.priority {
      case .prediction: state.running[job.number] ?? 0 < Self.predictionsInFlight
      case .promotion: state.boundCount < inFlightMax + Self.promotionsInFlight
      default: state.boundCount < inFlightMax
      }
    }
  }

  private func hasWaiting(_ job: MoveJob) -> Bool {
    state.withLock { !($0.waiting[job.number]?.isEmpty ?? true) }
  }

  /// - Returns: whether the plan wants to be asked again soon.
  private func plan(_ job: MoveJob) -> Bool {
    // Of extents that are being moved now, the plan knows only what was: a plan that tries again finds them
    // later.
    let busy = job.plan.triesAgain ? state.withLock { $0.busy } : []
    var (moves, isLooking) = job.nextMoves()
    let now = MonotonicClock.nanoseconds()
    state.withLock { state in
      if job.plan.triesAgain {
        moves.removeAll { busy.contains(ExtentKey($0)) || state.memory.rests(ExtentKey($0), at: now) }
      }
      state.waiting[job.number] = moves
    }
    return isLooking
  }

  private func takeMove(of job: MoveJob) -> Move? {
    state.withLock { state in
      guard let waiting = state.waiting[job.number] else { return nil }
      if job.progress.isCancelled {
        state.waiting[job.number] = nil
        return nil
      }
      let kept = waiting.filter { state.excluded[$0.volume] == nil }
      if kept.count < waiting.count {
        job.skip(waiting.filter { state.excluded[$0.volume] != nil })
        state.waiting[job.number] = kept
      }
      guard let index = kept.firstIndex(where: { !state.busy.contains(ExtentKey($0)) }) else { return nil }
      let move = kept[index]
      state.waiting[job.number]!.remove(at: index)
      state.busy.insert(ExtentKey(move))
      state.running[job.number, default: 0] += 1
      state.turn += 1
      return move
    }
  }

  private func begin(_ move: Move, of job: MoveJob) {
    Task {
      var (end, bytes) = (MoveCourse.End.gone, UInt64(0))
      if let volume = hands.volume(of: move) {
        (end, bytes) = await hands.carryOut(move, of: volume) {
          job.progress.isCancelled || self.hands.isOut(move.target)
            || self.state.withLock { $0.isStopping || $0.excluded[move.volume] != nil }
        }
      }
      finish(move, of: job, end, bytes)
    }
  }

  private func finish(_ move: Move, of job: MoveJob, _ end: MoveCourse.End, _ bytes: UInt64) {
    job.ended(end, bytes: bytes, of: move)
    state.withLock { state in
      state.memory.note(end, of: move, at: MonotonicClock.nanoseconds())
      state.busy.remove(ExtentKey(move))
      let running = state.running[job.number]! - 1
      state.running[job.number] = running == 0 ? nil : running
    }
    wake()
    guard case .failed(let step, let outcome) = end else { return }
    log.debug(
      "move failed",
      [
        "job": job.number, "volume": move.volume.rawValue, "extent": move.extent, "step": "\(step)",
        "why": outcome.words,
      ])
  }

  private func end(_ job: MoveJob) {
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
}
