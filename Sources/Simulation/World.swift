import Catalog
import ExtentMap
package import NBDWire
import Platform
package import Primitives
package import Redirection
import Shadowing
import Stores

/// A pool, its disks, its clients, and what they have been promised, in virtual time: everything that happens
/// follows from one seed.
///
/// The redirectors, the map, the wire's encoders and rules, and the catalog with SQLite under it are the real
/// ones. Around them are a driver for each reactor, the catalog's and the reclaim thread as workers, disks
/// with a live and a durable image, and clients. All of these are components that schedule what they do next
/// on one event queue; a further component needs no more than that. What is volatile is a `Life`: a crash
/// drops it, and another one begins with what the disks have kept.
package final class World {
  package let plan: WorldPlan
  package var generator: SeededGenerator
  package var faults: Faults {
    didSet { fileSystem.disk.faults = faults }
  }
  var model = Model()
  package let stores: [WorldStore]
  package internal(set) var volumes: [WorldVolume]
  var fileSystem: SimulatedFileSystem
  var queue = EventQueue()
  var trace: Trace
  private var currentLife: Life?

  /// Directives under way, oldest first.
  package internal(set) var jobs: [Job] = []
  /// Jobs that a test keeps from being executed, or from ending.
  package var holds: (Job) -> Bool = { _ in false } {
    didSet {
      let waiting = held
      held = []
      waiting.forEach(resume)
    }
  }
  var held: [Job] = []
  /// Stores whose file system has no room, whatever they were created for.
  package var fullStores: Set<UInt8> = []
  /// Moves under way.
  var moves: [WorldMove] = []
  var nextMoveNumber = 0
  /// How moves have ended, by number.
  var moveEnds: [Int: (MoveCourse.End, UInt64)] = [:]
  /// Extents that are being sealed or scrubbed.
  var scrubs: [WorldScrub] = []
  var nextScrubNumber = 0
  /// What scrubs have found.
  var scrubFindings: [(volume: Int, extent: UInt64, finding: ScrubCourse.Finding)] = []
  /// Bits of copies have flipped: reads may return anything.
  var isRotten = false
  /// Takes finished operations instead of their connections.
  package var onFinished: ((Redirector, UInt32) -> Void)?

  /// By number; those that are closed too.
  var connections: [Connection] = []
  var nextCookie: UInt64 = 1
  /// How requests ended, by cookie.
  package internal(set) var outcomes: [UInt64: NBDErrno?] = [:]
  /// Requests that the plan's clients may still make.
  var requestsLeft = 0
  /// A volume that is about to be cut: nothing new begins there.
  var excludedVolume: Int?
  /// Nothing begins any more: what is under way ends.
  var isSettling = false
  /// Flushes and durable requests that have been acknowledged: the moments at which a crash tells most.
  var promiseCount = 0
  /// Stores whose servers are away.
  var awayStores: Set<UInt8> = []
  /// Synchronizations that have been executed.
  package internal(set) var synchronizeCount = 0
  /// What has happened, for people.
  package internal(set) var figures = Figures()

  /// Numbers that tell how much a world has seen.
  package struct Figures: Sendable {
    /// Requests that were answered.
    package var requests = 0
    /// Those that were answered with an error.
    package var errors = 0
    /// Power cuts, those inside the catalog's work and inside recovery included.
    package var crashes = 0
    /// Stops and starts in good order.
    package var restarts = 0
    /// Steps of moves.
    package var moveSteps = 0
    /// Steps of reading extents for their checksums.
    package var scanSteps = 0
    /// Extents that were sealed, and scrubbed; bad copies that were healed.
    package var seals = 0
    package var scrubs = 0
    package var healed = 0
    /// Volumes that were cut.
    package var cuts = 0
    /// Stores that went away.
    package var outages = 0
    /// What was done without what took too long.
    var missed = MissedDeadlines()
    /// Events of the queue.
    package var events = 0
    /// Nanoseconds of virtual time.
    package var nanoseconds: UInt64 = 0

    package init() {}

    /// What was done without what took too long, in words.
    package var missedDeadlines: String {
      "\(missed.hedgedReads) reads sent twice, \(missed.writes) late writes, "
        + "\(missed.synchronizations) late synchronizations"
    }

    package mutating func add(_ other: Figures) {
      requests += other.requests
      errors += other.errors
      crashes += other.crashes
      restarts += other.restarts
      moveSteps += other.moveSteps
      scanSteps += other.scanSteps
      seals += other.seals
      scrubs += other.scrubs
      healed += other.healed
      cuts += other.cuts
      outages += other.outages
      missed.add(other.missed)
      events += other.events
      nanoseconds += other.nanoseconds
    }
  }

  /// More events than any world that comes to rest has.
  private static let eventsMax = 400_000
  static let directory = "/pool"

  /// A world at the beginning of its first life.
  package init(seed: UInt64, _ plan: WorldPlan, tracing: Bool = false) throws {
    self.plan = plan
    generator = SeededGenerator(seed: seed)
    faults = plan.faults
    stores = plan.stores
    volumes = try plan.volumes.enumerated().map { number, volume in
      try WorldVolume(number: number, extentBytes: volume.extentBytes, sizeBytes: volume.sizeBytes)
    }
    trace = Trace(isKept: tracing)
    requestsLeft = plan.requests
    fileSystem = SimulatedFileSystem(SimulatedDisk(seed: generator.next()))
    try Catalog.create(
      at: Self.directory, in: fileSystem.name, pool: PoolRecord(uuid: UUID128(high: 3, low: seed)),
      stores: stores.enumerated().map { $0.element.record(number: $0.offset) },
      volumes: volumes.map(\.record))
    for volume in volumes { model.addVolume(cellCount: volume.cellCount) }
    try begin()
  }

  package var digest: UInt64 { trace.digest }

  /// The last things that happened, in words; empty if the world was not told to keep them.
  package func story(_ count: Int) -> [String] { trace.last(count) }

  var life: Life {
    guard let currentLife else { preconditionFailure("between two lives") }
    return currentLife
  }

  /// What the redirectors of this life share.
  package var shared: SharedState { life.shared }
  /// The redirectors of this life.
  package var redirectors: [Redirector] { life.reactors.map(\.redirector) }
  /// Requests that are not answered yet.
  package var pendingCount: Int { connections.reduce(0) { $0 + $1.pending.count } }
  /// Whether some store has failed to synchronize in this life.
  package var hasFailedStore: Bool { life.hasFailedStore }

  // MARK: Time

  /// Has something happen later.
  func after(
    _ delay: UInt64, _ label: StaticString, _ detail: UInt64, _ body: @escaping () throws -> Void
  ) {
    queue.schedule(after: delay, label, detail, body)
  }

  /// A delay between two, in nanoseconds; short ones are as likely as long ones.
  func latency(_ least: UInt64, _ most: UInt64) -> UInt64 {
    let doublings = (most / least).leadingZeroBitCount
    let scale = least << UInt64(generator.below(64 - doublings))
    return scale + generator.next() % scale
  }

  /// Lets the next thing happen; false if nothing is going to.
  @discardableResult
  package func step() throws -> Bool {
    guard let event = queue.popFirst() else { return false }
    figures.events += 1
    guard figures.events < Self.eventsMax else {
      throw BrokenPromise(
        "it never comes to rest; \(jobs.count) jobs, \(waiting)")
    }
    trace.note(event)
    try event.body()
    if fileSystem.disk.isOff { try crash() }
    return true
  }

  /// Who waits, and for what there is to wait.
  var waiting: String {
    let parked = redirectors.map {
      "\($0.waitingCounts.parked) parked, \($0.waitingCounts.forSpace) for space"
    }
    let held = volumes.enumerated().flatMap { number, volume in
      volume.committed.indices.compactMap { extent -> String? in
        let entry = volume.map.view.entry(UInt64(extent))
        guard entry.isGated || entry.isRanged || entry.writers > 0 else { return nil }
        return "\(number):\(extent) gated \(entry.isGated) ranged \(entry.isRanged) writers \(entry.writers)"
      }
    }
    return "redirectors \(parked), extents \(held), changes \(shared.changes.pendingCount), "
      + "slots on their way \(shared.reclaimer.pendingCount), "
      + "jobs \(jobs.map { "\($0.directive.kind)" })"
  }

  func post(_ message: WorldMessage, to number: Int) {
    after(latency(100, 100_000), "message", UInt64(number)) { [self] in life.reactors[number].take(message) }
  }

  func post(_ message: WorldMessage, toAllBut excluded: Int?) {
    for number in 0..<plan.redirectors where number != excluded { post(message, to: number) }
  }

  // MARK: Lives

  /// Opens the pool as the disks have it, and goes on.
  private func begin() throws {
    currentLife = nil
    let opened = try recover()
    currentLife = opened
    for number in 0..<plan.redirectors where plan.flushInterval > 0 { tick(number) }
    for _ in 0..<plan.moves { planMove() }
    for _ in 0..<plan.seals { planSeal() }
    if plan.cutsVolumes { planCut() }
    planOutage()
    for store in awayStores.sorted() { planReturn(of: store) }
    fileSystem.disk.faults = faults
  }

  private func tick(_ number: Int) {
    after(plan.flushInterval, "tick", UInt64(number)) { [self] in
      if isSettling { return }
      life.reactors[number].redirector.flushInBackground()
      life.reactors[number].redirector.sweepActivity()
      life.reactors[number].wake()
      tick(number)
    }
  }

  /// Power goes at this very moment; what comes back is checked against the promises.
  package func crash() throws {
    fileSystem.disk.turnOff()
    for job in jobs where !job.isExecuted { executeInPart(job) }
    end()
    figures.crashes += 1
    trace.fold(0xc4a5)
    trace.say("power cut")
    restorePower()
    try begin()
    try verifyRecovered()
    resumeClients()
  }

  /// The daemon is stopped in good order and started again.
  func restart() throws {
    try verifyAtRest()
    try endActivity()
    // Such a daemon is not stopped in good order: its last flush fails.
    if life.hasFailedStore { return try crash() }
    life.catalog?.close()
    end()
    wipeVolatileStores()
    figures.restarts += 1
    trace.say("restart")
    try begin()
    try verifyRecovered()
    resumeClients()
  }

  /// Forgets everything that is not on a disk.
  func end() {
    for reactor in currentLife?.reactors ?? [] { figures.missed.add(reactor.redirector.missedDeadlines) }
    queue.removeAll()
    jobs.removeAll()
    moves.removeAll()
    scrubs.removeAll()
    held.removeAll()
    excludedVolume = nil
    for connection in connections { connection.isClosed = true }
    connections.removeAll()
    currentLife = nil
  }

  func restorePower() {
    fileSystem.disk.crash()
    for store in stores { store.disk.crash { [self] _ in generator.chance(2) } }
    wipeVolatileStores()
  }

  /// The process has ended.
  private func wipeVolatileStores() {
    for store in stores where store.isVolatile { store.disk.wipe() }
  }
}
