import Catalog
import ExtentMap
import Glibc
import HTTPService
import NBDService
import NBDWire
import Platform
import Primitives
import Redirection
import Shadowing
import Stores
import Synchronization

/// The control plane of a running pool.
///
/// Looking is possible at any time; what changes the pool happens one after the other (`exclusively`).
actor PoolControl: ControlPlane {
  let pool: Pool
  let mover: Mover
  let scrubber: Scrubber
  let watcher: HealthWatcher
  let loads: LoadWatcher
  let forecasts = LoadForecasts()
  /// nil if nobody predicts.
  let predictor: Predictor?
  /// nil if extents stay where they are.
  let tiering: Tiering?
  let configuration: Configuration
  private let listeners: [String]
  private let turnstile = Turnstile()
  private let startedNanoseconds = MonotonicClock.nanoseconds()

  init(
    _ pool: Pool, _ mover: Mover, _ scrubber: Scrubber, _ watcher: HealthWatcher, _ loads: LoadWatcher,
    _ predictor: Predictor?, _ tiering: Tiering?, configuration: Configuration, listeners: [String]
  ) {
    self.pool = pool
    self.mover = mover
    self.scrubber = scrubber
    self.watcher = watcher
    self.loads = loads
    self.predictor = predictor
    self.tiering = tiering
    self.configuration = configuration
    self.listeners = listeners
  }

  // MARK: What there is

  func pool() async throws(GnomonError) -> PoolInfo {
    let stores = try await stores()
    let volumes = pool.exports.volumes
    return PoolInfo(
      uuid: pool.record.uuid.description, directory: pool.directory, storeCount: stores.count,
      volumeCount: volumes.count, sizeBytes: stores.reduce(0) { $0 + $1.sizeBytes },
      usedBytes: stores.reduce(0) { $0 + $1.usedBytes }, freeBytes: stores.reduce(0) { $0 + $1.freeBytes },
      provisionedBytes: volumes.reduce(0) { $0 + $1.sizeBytes })
  }

  func stores() async throws(GnomonError) -> [StoreInfo] {
    pool.stores.map(info)
  }

  func info(_ store: any Store) -> StoreInfo {
    let space = pool.shared.placement.space(of: store.record.id)
    var info = StoreInfo(
      store.record, usedBytes: space.usedBytes, freeBytes: space.freeBytes, state: state(of: store),
      errors: errors(of: store), connection: connection(of: store))
    info.draining = pool.isDraining(store.record.id)
    let drain = mover.drain(of: store.record.id)
    info.drainJob = drain?.number
    info.complaint = drain?.progress.complaint
    info.health = healthSummary(of: store)
    return info
  }

  func connection(of store: any Store) -> StoreConnection? {
    guard case .remote(let remote) = store.access else { return nil }
    let status = remote.status
    return StoreConnection(
      state: StoreConnection.State(status.state), seconds: status.ageNanoseconds / 1_000_000_000,
      breaks: status.breaks, lastError: status.lastError)
  }

  private func errors(of store: any Store) -> StoreErrorCounts {
    let (faults, id) = (pool.shared.faults, store.record.id)
    return StoreErrorCounts(
      reads: faults.count(.read, store: id), writes: faults.count(.write, store: id),
      newExtents: faults.count(.prepare, store: id), synchronizations: faults.count(.synchronize, store: id))
  }

  private func state(of volume: Volume) -> VolumeState {
    pool.shared.stores.hasLostWrites(of: volume.map.view.marks) ? .failed : .online
  }

  private func state(of store: any Store) -> StoreState {
    let (stores, id) = (pool.shared.stores, store.record.id)
    return stores.hasFailed(id) ? .failed : stores.isAway(id) ? .offline : .online
  }

  func volumes() async throws(GnomonError) -> [VolumeInfo] {
    pool.exports.volumes.map(info)
  }

  func info(_ volume: Volume) -> VolumeInfo {
    VolumeInfo(
      name: volume.name, uuid: volume.uuid.description, sizeBytes: volume.sizeBytes,
      extentBytes: volume.extentBytes, readOnly: volume.isReadOnly,
      mappedBytes: volume.map.mappedCount() * volume.extentBytes,
      connections: pool.exports.attachments(volume.name), state: state(of: volume),
      redundancy: volume.redundancy, tiers: volume.tiers, lackingExtents: lackingCount(volume))
  }

  /// Extents that have fewer copies than the volume wants.
  private func lackingCount(_ volume: Volume) -> UInt64 {
    guard volume.redundancy.copies > 1 else { return 0 }
    let rules = PlanningView.rules(for: volume, mover.view.stores)
    let view = volume.map.view
    var verdicts: [CopySignature: Bool] = [:]
    var count: UInt64 = 0
    for extent in 0..<volume.map.extentCount {
      let entry = view.entry(extent)
      guard entry.isMapped else { continue }
      let signature = CopySignature(view, extent, entry)
      if let isLacking = verdicts[signature] {
        if isLacking { count += 1 }
      } else if let copies = ExtentCopies(view, extent) {
        let isLacking = rules.independentCopies(copies) < volume.redundancy.copies
        verdicts[signature] = isLacking
        if isLacking { count += 1 }
      }
    }
    return count
  }

  func status() async throws(GnomonError) -> Status {
    let reactors = pool.reactors
    var total = Traffic.Counts()
    for reactor in reactors { total.add(reactor.traffic.counts) }
    let volumes = pool.exports.volumes
    return Status(
      version: Version.current, pid: getpid(),
      uptimeSeconds: (MonotonicClock.nanoseconds() - startedNanoseconds) / 1_000_000_000,
      directory: pool.directory, listeners: listeners, reactors: reactors.count,
      connections: reactors.reduce(0) { $0 + $1.connectionCount.load(ordering: .relaxed) },
      io: IOCounters(total),
      volumes: volumes.map {
        VolumeStatus(
          name: $0.name, state: state(of: $0), connections: pool.exports.attachments($0.name),
          io: IOCounters($0.traffic.counts))
      },
      stores: pool.stores.map { store in
        let space = pool.shared.placement.space(of: store.record.id)
        return StoreStatus(
          name: store.record.name, state: state(of: store), usedBytes: space.usedBytes,
          freeBytes: space.freeBytes, errors: errors(of: store), connection: connection(of: store))
      },
      catalog: CatalogStatus(
        pendingChanges: pool.shared.changes.pendingCount, pendingSlots: pool.shared.reclaimer.pendingCount,
        commitErrors: pool.shared.faults.count(.commit),
        refusals: pool.shared.faults.count(.place) + pool.shared.faults.count(.refuse)),
      memory: MemoryStatus(
        residentBytes: ProcessMemory.residentBytes(),
        mapBytes: volumes.reduce(0) { $0 + $1.map.extentCount * 8 }))
  }

  // MARK: Changing

  /// Runs an operation while no other change is under way: what it has checked still holds after it waited.
  func exclusively<Value: Sendable>(
    _ operation: () async throws(GnomonError) -> Value
  ) async throws(GnomonError) -> Value {
    await turnstile.enter()
    defer { turnstile.leave() }
    return try await operation()
  }

  /// Makes everything acknowledged so far durable, and the map changes committed: of one volume, or of all.
  func flush(_ volume: Volume? = nil) async throws(GnomonError) {
    let error = await withCheckedContinuation { continuation in
      pool.reactors[0].post(.flush(volume) { continuation.resume(returning: $0) })
    }
    if let error {
      let what = volume.map { "volume " + $0.name } ?? "the pool"
      throw GnomonError(
        .system, "\(what) can not be flushed", cause: "\(error)", remedy: "see the daemon's log")
    }
  }

  /// How long an operation waits for slots that are on their way back, in milliseconds.
  private static let reclaimWaitMilliseconds: UInt64 = 2000

  /// Waits until slots that nothing refers to any more can be used again, but not for ever: a large volume's
  /// take long, and a request that hangs in a store holds up all.
  func waitForReclaim(until isEnough: () -> Bool = { false }) async {
    let deadline = MonotonicClock.nanoseconds() + Self.reclaimWaitMilliseconds * 1_000_000
    while pool.isReclaiming, !isEnough(), MonotonicClock.nanoseconds() < deadline {
      try? await Task.sleep(for: .milliseconds(5))
    }
    // The last slots have been taken by the thread that gives them back: let it finish.
    if !pool.isReclaiming { await pool.reclaimThread.perform {} }
  }
}

extension StoreConnection.State {
  init(_ state: RemoteStatus.State) {
    switch state {
    case .connected: self = .connected
    case .reconnecting: self = .reconnecting
    case .refused: self = .refused
    }
  }
}

extension IOCounters {
  init(_ counts: Traffic.Counts) {
    self.init(
      reads: counts.reads, writes: counts.writes, flushes: counts.flushes, trims: counts.trims,
      zeroes: counts.zeroes, readBytes: counts.bytesRead, writtenBytes: counts.bytesWritten,
      errors: counts.errors)
  }
}
