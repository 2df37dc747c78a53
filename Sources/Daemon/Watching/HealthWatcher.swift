import Health
import Measurement
import NBDService
import Platform
import Primitives
import Redirection
import Shadowing
import Stores
import Synchronization

/// Looks at every store once a second, and has done what its health calls for.
final class HealthWatcher: Sendable {
  private struct State {
    var monitor: HealthMonitor
    var watched: [StoreID: WatchedStore] = [:]
    var groups: [String: Int] = [:]
    /// Its own clock: it stands still while the process does.
    var nanoseconds: UInt64 = 0
    var lastNanoseconds: UInt64?
  }

  private let pool: Pool
  private let mover: Mover
  private let media: MediaWatch?
  private let settings: HealthSettings
  /// Whether anything is done; otherwise it only watches.
  let acts: Bool
  private let state: Mutex<State>
  private let looks = Recurrence()
  private let log = Log("health")

  private static let intervalMilliseconds = 1000

  /// - Throws: `system` if the thread that asks devices can not be started.
  init(_ pool: Pool, _ mover: Mover, _ configuration: Configuration.Health) throws(GnomonError) {
    self.pool = pool
    self.mover = mover
    settings = HealthSettings(configuration)
    acts = configuration.act
    media = try MediaWatch(configuration)
    state = Mutex(State(monitor: HealthMonitor(settings: settings)))
  }

  /// Begins to watch.
  func start() {
    looks.start { [self] in
      tick(at: MonotonicClock.nanoseconds())
      return Self.intervalMilliseconds
    }
  }

  /// Watches no more and does no more; then calls back.
  func stop(_ done: @escaping @Sendable () -> Void) {
    looks.stop { [media] in
      if let media { media.stop(done) } else { done() }
    }
  }

  // MARK: One look

  private func tick(at now: UInt64) {
    let stores = pool.stores
    let events = state.withLock { state in
      let seconds = state.lastNanoseconds.map { Double(now - $0) / 1e9 } ?? 0
      state.lastNanoseconds = now
      state.nanoseconds += UInt64(min(seconds, SampleTaker.intervalSecondsMax) * 1e9)
      meet(stores, &state)
      for store in stores { observe(store, seconds: seconds, &state) }
      return decide(&state)
    }
    for event in events { tell(event) }
    mover.observeClients()
    guard acts else { return }
    for store in stores { carryOut(store) }
  }

  /// Begins to watch stores that are new, and ends it for those that are gone.
  private func meet(_ stores: [any Store], _ state: inout State) {
    for (id, watched) in state.watched where !stores.contains(where: { $0.record.uuid == watched.uuid }) {
      state.watched[id] = nil
      state.monitor.remove(id)
      pool.setFitness(id, .well)
    }
    for store in stores where state.watched[store.record.id] == nil {
      let record = store.record
      // Stores that may be compared: of one tier, and reached in one way.
      let kind = "\(record.tier) \(record.kind) \(record.cache)"
      let group = state.groups[kind] ?? state.groups.count
      state.groups[kind] = group
      state.watched[record.id] = WatchedStore(uuid: record.uuid)
      state.monitor.add(record.id, group: group)
    }
  }

  private func observe(_ store: any Store, seconds: Double, _ state: inout State) {
    let id = store.record.id
    var counts = StoreCounts()
    for reactor in pool.reactors { reactor.meters.read(id, into: &counts) }
    guard var sample = state.watched[id]?.taker.take(counts, seconds: seconds) else { return }
    sample.hasLostWrites = pool.shared.stores.hasFailed(id)
    let space = pool.shared.placement.space(of: id)
    sample.space = SpaceUse(usedBytes: space.usedBytes, capacityBytes: space.usedBytes + space.freeBytes)
    if case .remote(let remote) = store.access {
      let status = remote.status
      sample.connection = status.state == .connected ? .connected : .disconnected
      sample.reconnects = status.breaks - min(status.breaks, state.watched[id]?.breaks ?? 0)
      state.watched[id]?.breaks = status.breaks
    }
    sample.media = media?.look(at: store)?.summary
    state.monitor.observe(sample, of: id)
  }

  // MARK: Deciding

  private func decide(_ state: inout State) -> [HealthEvent] {
    let volumes = pool.exports.volumes
    let shared = pool.shared
    let volatile = Set(pool.stores.filter { !$0.mayHoldLiveCopies }.map(\.record.id))
    let out = Set(state.watched.keys.filter { state.monitor.standing(of: $0).state == .satOut })
    let troubled = state.watched.keys.filter { id in
      state.monitor.standing(of: id).state != .serving
        || state.monitor.score(of: id) ?? 0 >= settings.satOutScore - settings.marginScore
    }
    let census =
      troubled.isEmpty
      ? nil
      : Census(of: Set(troubled), in: volumes) { id in
        !out.contains(id) && !volatile.contains(id) && !shared.stores.hasFailed(id)
      }
    return state.monitor.decide(
      at: state.nanoseconds, satOutMax: Self.satOutMax(volumes, storeCount: state.watched.count)
    ) { census?.redundancy[$0] ?? StoreRedundancy(onlyCopies: 0) }
  }

  /// As many stores as the volume that wants the fewest copies can do without, and never all. Volumes that
  /// want only one are not asked: a store that has such an extent is not sat out at all.
  private static func satOutMax(_ volumes: [Volume], storeCount: Int) -> Int {
    let spare = volumes.map(\.redundancy.copies).filter { $0 > 1 }.min().map { $0 - 1 } ?? 1
    return min(spare, storeCount - 1)
  }

  private func tell(_ event: HealthEvent) {
    let name = pool.store(event.store)?.record.name ?? "\(event.store.rawValue)"
    let fields: KeyValuePairs<String, any Sendable> = [
      "store": name, "from": event.from.rawValue, "to": event.to.rawValue,
      "score": Int(event.score.rounded()),
      "why": event.reasons.isEmpty ? "it is well again" : event.reasons.joined(separator: "; "),
      "acts": acts,
    ]
    if event.to == .serving {
      log.info("a store is used as before", fields)
    } else {
      log.warning("a store's health calls for something", fields)
    }
  }

  // MARK: Carrying out

  /// Sees to it that what is done with a store is what its state calls for.
  private func carryOut(_ store: any Store) {
    let id = store.record.id
    guard
      let (report, seconds) = state.withLock({ state in
        state.monitor.report(of: id).map { ($0, Self.seconds(in: $0, state)) }
      })
    else { return }
    let fitness = StoreFitness(report.state, seconds: seconds)
    if pool.fitness(of: id) != fitness {
      pool.setFitness(id, fitness)
      mover.lookAgain()
    }
    let why = report.reasons.first ?? "score \(Int(report.score.rounded()))"
    let isUsed = pool.shared.placement.space(of: id).usedBytes > 0
    let (old, isDue) = state.withLock { state in
      state.watched[id]?.turn(to: report.state, isUsed: isUsed) ?? (nil, false)
    }
    if let old { mover.cancel(old) }
    if isDue {
      let job =
        report.state == .evacuating
        ? mover.evacuate(store, because: why) : mover.promoteAway(from: store, because: why)
      state.withLock { $0.watched[id]?.job = job }
    }
    if report.state != .serving || report.score >= settings.noNewPlacementsScore - settings.marginScore {
      probe(store)
    }
  }

  private static func seconds(in report: HealthReport, _ state: State) -> UInt64 {
    (state.nanoseconds - min(state.nanoseconds, report.sinceNanoseconds)) / 1_000_000_000
  }

  /// Asks a store how it is, unless it owes an answer or can not be reached.
  private func probe(_ store: any Store) {
    if case .memory = store.access { return }
    if case .remote(let remote) = store.access, remote.status.state != .connected { return }
    let id = store.record.id
    let isFree = state.withLock { state in
      guard state.watched[id]?.isProbed == false else { return false }
      state.watched[id]?.isProbed = true
      return true
    }
    guard isFree else { return }
    let reactors = pool.reactors
    reactors[Int(id.rawValue) % reactors.count].post(
      .probe(
        id,
        done: { [weak self] in
          self?.state.withLock { $0.watched[id]?.isProbed = false }
        }))
  }

  // MARK: Telling

  /// What is known of a store; nil if it is not watched yet.
  func view(of store: any Store) -> StoreHealthView? {
    state.withLock { state in
      guard let watched = state.watched[store.record.id], watched.uuid == store.record.uuid,
        let report = state.monitor.report(of: store.record.id)
      else { return nil }
      return StoreHealthView(
        report: report, seconds: Self.seconds(in: report, state), latest: watched.taker.latest,
        totals: watched.taker.totals, media: media?.status(of: store))
    }
  }

  /// The score and the state of a store, without the work of a report.
  func summary(of store: any Store) -> (score: Double, state: HealthState)? {
    state.withLock { state in
      state.monitor.score(of: store.record.id).map {
        ($0, state.monitor.standing(of: store.record.id).state)
      }
    }
  }
}

extension StoreFitness {
  /// How long a store may be out before its copies are made anew elsewhere, in seconds.
  private static let lostAfterSeconds: UInt64 = 600

  init(_ state: HealthState, seconds: UInt64) {
    self =
      switch state {
      case .serving: .well
      case .noNewPlacements, .returning: .poor
      case .evacuating: .leaving
      case .satOut: seconds < Self.lostAfterSeconds ? .away : .lost
      }
  }
}

extension HealthSettings {
  init(_ configuration: Configuration.Health) {
    self.init()
    noNewPlacementsScore = Double(configuration.noNewPlacementsScore)
    evacuateScore = Double(configuration.evacuateScore)
    satOutScore = Double(configuration.satOutScore)
    actAfterSeconds = Double(configuration.actAfterSeconds)
    sitOutAfterSeconds = Double(configuration.sitOutAfterSeconds)
    comeBackAfterSeconds = Double(configuration.comeBackAfterSeconds)
    returnAfterSeconds = Double(configuration.returnAfterSeconds)
  }
}
