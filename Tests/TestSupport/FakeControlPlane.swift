package import HTTPService
package import Primitives
import Synchronization

/// A control plane in memory: one pool with one store and one volume, and a record of what it was asked.
package final class FakeControlPlane: ControlPlane {
  private struct State {
    var stores: [StoreInfo]
    var volumes: [VolumeInfo]
    var failure: GnomonError?
    var delayMilliseconds = 0
    var job = JobInfo(
      number: 1, what: "move extents 7,9-12 of disk0 to slow", state: .done, done: 5, movedBytes: 5 << 20,
      seconds: 1)
    var request: MoveRequest?
    /// The drain is done after so many questions.
    var pollsUntilDone = 2
    var polls = 0
    var calls = 0
    var running = 0
    var runningMost = 0
  }

  private let state: Mutex<State>
  let scrubState = Mutex(FakeScrub())
  let hintState = Mutex<[HintInfo]>([])

  /// Starts with the store `fast` and the attached volume `disk0`.
  package init() {
    let store = StoreRecord(
      id: StoreID(rawValue: 0), uuid: UUID128(high: 1, low: 2), name: "fast", path: "/srv/fast.img",
      sizeBytes: 100 << 30, tier: 0)
    let volume = VolumeRecord(
      id: VolumeID(rawValue: 1), uuid: UUID128(high: 3, low: 4), name: "disk0", sizeBytes: 20 << 30)
    var info = StoreInfo(store, usedBytes: 1 << 20, freeBytes: (100 << 30) - (1 << 20), state: .online)
    info.health = StoreHealthSummary(score: 66.4, state: .noNewPlacements)
    state = Mutex(
      State(
        stores: [info],
        volumes: [VolumeInfo(volume, mappedBytes: 5 << 20, connections: 1)]))
  }

  /// Every call from now on fails with this error.
  package func fail(with error: GnomonError) {
    state.withLock { $0.failure = error }
  }

  /// Every call from now on takes this long.
  package func delay(milliseconds: Int) {
    state.withLock { $0.delayMilliseconds = milliseconds }
  }

  /// How often anything was asked for.
  package var calls: Int { state.withLock { $0.calls } }

  /// How many calls were under way at the same time, at most.
  package var callsAtOnce: Int { state.withLock { $0.runningMost } }

  func enter() async throws(GnomonError) {
    let (failure, delay) = state.withLock { state in
      state.calls += 1
      state.running += 1
      state.runningMost = max(state.runningMost, state.running)
      return (state.failure, state.delayMilliseconds)
    }
    defer { state.withLock { $0.running -= 1 } }
    if delay > 0 { try? await Task.sleep(for: .milliseconds(delay)) }
    if let failure { throw failure }
  }

  package func pool() async throws(GnomonError) -> PoolInfo {
    try await enter()
    return PoolInfo(
      uuid: UUID128(high: 5, low: 6).description, directory: "/srv/pool", storeCount: 1, volumeCount: 1,
      sizeBytes: 100 << 30, usedBytes: 1 << 20, freeBytes: (100 << 30) - (1 << 20), provisionedBytes: 20 << 30
    )
  }

  package func status() async throws(GnomonError) -> Status {
    try await enter()
    let io = IOCounters(reads: 10, writes: 5, flushes: 1, readBytes: 40_960, writtenBytes: 20_480)
    return Status(
      version: Version.current, pid: 4711, uptimeSeconds: 93_784, directory: "/srv/pool",
      listeners: ["nbd://127.0.0.1:10809", "nbd+unix:///?socket=/srv/pool/nbd.sock"], reactors: 2,
      connections: 1, io: io,
      volumes: [VolumeStatus(name: "disk0", connections: 1, io: io)],
      stores: [
        StoreStatus(name: "fast", state: .online, usedBytes: 1 << 20, freeBytes: (100 << 30) - (1 << 20))
      ],
      memory: MemoryStatus(residentBytes: 48 << 20, mapBytes: 160 << 10))
  }

  package func stores() async throws(GnomonError) -> [StoreInfo] {
    try await enter()
    return state.withLock { $0.stores }
  }

  package func health() async throws(GnomonError) -> [StoreHealthInfo] {
    try await enter()
    var health = StoreHealthInfo(
      name: "fast", score: 66.4, state: .noNewPlacements, stateSeconds: 93, hasBaseline: true,
      modes: [
        FailureModeInfo(
          mode: "fail-slow", score: 61.3,
          reason: "reads take 9.1 ms at 40 MB/s; usual at this load: at most 3.1 ms"),
        FailureModeInfo(mode: "space", score: 13.1, reason: "93 % full, full in about 3 h"),
      ],
      warnings: [HealthWarningInfo(.full, seconds: 10_800)],
      latest: StoreLoadInfo(
        seconds: 42.1,
        latencies: [
          LatencyInfo(
            operation: "read", size: "small", count: 4200, meanNanoseconds: 9_100_000,
            p50Nanoseconds: 8_900_000, p99Nanoseconds: 31_000_000),
          LatencyInfo(
            operation: "synchronize", size: nil, count: 12, meanNanoseconds: 850,
            p50Nanoseconds: 800, p99Nanoseconds: 2_100_000_000),
        ], readBytesPerSecond: 40 << 20, writtenBytesPerSecond: 0, operationsPerSecond: 99.8, queueDepth: 0.9),
      failed: OperationCounts(reads: 1), missedDeadlines: 7, inFlight: 1, usedBytes: 93 << 30,
      capacityBytes: 100 << 30)
    health.holdingBack = "it has the only synced copy of 3 extents"
    var media = MediaInfo(device: "/dev/sda", askedSecondsAgo: 240)
    media.hasPassed = true
    media.reallocatedSectors = 8
    media.temperature = 41
    health.media = media
    return [health]
  }

  package func addStore(_ request: StoreRequest) async throws(GnomonError) -> StoreInfo {
    try await enter()
    let record = StoreRecord(
      id: StoreID(rawValue: 1), uuid: UUID128(high: 7, low: 8), name: request.name, path: request.path,
      sizeBytes: request.sizeBytes, tier: request.tier, region: request.region, zone: request.zone,
      node: request.node, cost: request.cost, cache: request.cache)
    let info = StoreInfo(record, usedBytes: 0, freeBytes: request.sizeBytes, state: .online)
    let isNew = state.withLock { state in
      if state.stores.contains(where: { $0.name == request.name }) { return false }
      state.stores.append(info)
      return true
    }
    guard isNew else { throw GnomonError(.conflict, "there is a store '\(request.name)' already") }
    return info
  }

  package func removeStore(name: String) async throws(GnomonError) {
    try await enter()
    let isKnown = state.withLock { state in
      let count = state.stores.count
      state.stores.removeAll { $0.name == name }
      return state.stores.count < count
    }
    if !isKnown { throw GnomonError(.notFound, "there is no store '\(name)'") }
  }

  package func volumes() async throws(GnomonError) -> [VolumeInfo] {
    try await enter()
    return state.withLock { $0.volumes }
  }

  package func createVolume(_ request: VolumeRequest) async throws(GnomonError) -> VolumeInfo {
    try await enter()
    let record = VolumeRecord(
      id: VolumeID(rawValue: 2), uuid: UUID128(high: 9, low: 10), name: request.name,
      sizeBytes: request.sizeBytes, extentBytes: request.extentBytes ?? ExtentSize.standard,
      readOnly: request.readOnly, redundancy: request.redundancy.applied(),
      tiers: request.tiers.applied())
    let info = VolumeInfo(record, mappedBytes: 0, connections: 0)
    let isNew = state.withLock { state in
      if state.volumes.contains(where: { $0.name == request.name }) { return false }
      state.volumes.append(info)
      return true
    }
    guard isNew else { throw GnomonError(.conflict, "there is a volume '\(request.name)' already") }
    return info
  }

  package func resizeVolume(name: String, sizeBytes: UInt64, force: Bool) async throws(GnomonError)
    -> VolumeInfo
  {
    try await enter()
    let result: Result<VolumeInfo, GnomonError> = state.withLock { state in
      guard let index = state.volumes.firstIndex(where: { $0.name == name }) else {
        return .failure(GnomonError(.notFound, "there is no volume '\(name)'"))
      }
      if sizeBytes < state.volumes[index].sizeBytes, !force {
        return .failure(GnomonError(.conflict, "the volume would lose data", remedy: "add --force"))
      }
      state.volumes[index].sizeBytes = sizeBytes
      return .success(state.volumes[index])
    }
    return try result.get()
  }

  package func setVolume(name: String, _ change: VolumeSettings) async throws(GnomonError) -> VolumeInfo {
    try await enter()
    let result: Result<VolumeInfo, GnomonError> = state.withLock { state in
      guard let index = state.volumes.firstIndex(where: { $0.name == name }) else {
        return .failure(GnomonError(.notFound, "there is no volume '\(name)'"))
      }
      let wanted = change.redundancy
      if let copies = wanted.copies { state.volumes[index].copies = copies }
      if let across = wanted.across { state.volumes[index].across = across }
      if let protection = wanted.protection { state.volumes[index].protection = protection }
      if let pin = change.tiers.pin { state.volumes[index].pin = pin.tier }
      if let never = change.tiers.never { state.volumes[index].never = never }
      state.volumes[index].lackingExtents = 5
      return .success(state.volumes[index])
    }
    return try result.get()
  }

  package func extents(volume name: String, _ extents: ExtentSet) async throws(GnomonError) -> ExtentList {
    try await enter()
    guard name == "disk0" else { throw GnomonError(.notFound, "there is no volume '\(name)'") }
    let ranges = try extents.ranges(of: 20_480)
    var list = ExtentList(volume: name, extentBytes: ExtentSize.standard, runs: [])
    list.extentCount = 20_480
    // Two answers, to be put together.
    if ranges[0].lowerBound < 5 {
      list.runs.append(
        ExtentRun(
          first: 0, last: 4, live: "fast", tier: 0, shadows: [ShadowInfo(store: "slow", state: .synced)],
          why: "placed by tier"))
      list.next = 5
    } else {
      list.runs.append(ExtentRun(first: ranges[0].lowerBound, last: ranges[0].upperBound - 1))
    }
    return list
  }

  package func changeStore(name: String, _ change: StoreChange) async throws(GnomonError) -> StoreInfo {
    try await enter()
    let result: Result<StoreInfo, GnomonError> = state.withLock { state in
      guard let index = state.stores.firstIndex(where: { $0.name == name }) else {
        return .failure(GnomonError(.notFound, "there is no store '\(name)'"))
      }
      state.stores[index].draining = change.draining
      state.stores[index].drainJob = change.draining ? 2 : nil
      return .success(state.stores[index])
    }
    return try result.get()
  }

  package func jobs() async throws(GnomonError) -> JobList {
    try await enter()
    return state.withLock { state in
      state.polls += 1
      var drain = JobInfo(
        number: 2, what: "drain fast", state: .running, done: 3, skipped: 1, failed: 0, movedBytes: 3 << 20,
        bytesPerSecond: 1 << 20, leftBytes: 2 << 20, leftSeconds: 2, seconds: 3)
      if state.polls > state.pollsUntilDone { drain.state = .done }
      return JobList(
        jobs: [state.job, drain],
        protection: JobInfo(number: 0, what: "keep the copies that volumes want", state: .running, done: 5))
    }
  }

  package func beginJob(_ request: MoveRequest) async throws(GnomonError) -> JobInfo {
    try await enter()
    return state.withLock { state in
      state.request = request
      return JobInfo(number: 1, what: state.job.what, state: .running, leftBytes: 1 << 20)
    }
  }

  package func cancelJob(_ number: Int) async throws(GnomonError) -> JobInfo {
    try await enter()
    let job = state.withLock { number == 1 ? $0.job : nil }
    guard let job else { throw GnomonError(.notFound, "there is no job \(number)") }
    return job
  }

  /// What was asked for last of the jobs.
  package var request: MoveRequest? { state.withLock { $0.request } }

  /// The first job is in this state from now on.
  package func setJob(_ job: JobInfo) {
    state.withLock { $0.job = job }
  }

  package func deleteVolume(name: String) async throws(GnomonError) {
    try await enter()
    let problem = state.withLock { state -> GnomonError? in
      guard let index = state.volumes.firstIndex(where: { $0.name == name }) else {
        return GnomonError(.notFound, "there is no volume '\(name)'")
      }
      if state.volumes[index].connections > 0 { return GnomonError(.conflict, "the volume is attached") }
      state.volumes.remove(at: index)
      return nil
    }
    if let problem { throw problem }
  }
}
