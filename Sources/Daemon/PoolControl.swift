import Catalog
import ExtentMap
import Glibc
import HTTPService
import NBDService
import NBDWire
import Platform
import Primitives
import Redirection
import Stores
import Synchronization

/// The control plane of a running pool: one operation at a time.
actor PoolControl: ControlPlane {
  private let pool: Pool
  private let configuration: Configuration
  private let listeners: [String]
  private let startedNanoseconds = MonotonicClock.nanoseconds()

  init(_ pool: Pool, configuration: Configuration, listeners: [String]) {
    self.pool = pool
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

  private func info(_ store: FileStore) -> StoreInfo {
    let space = pool.shared.placement.space(of: store.record.id)
    return StoreInfo(
      store.record, usedBytes: space.usedBytes, freeBytes: space.freeBytes, state: state(of: store))
  }

  private func state(of store: FileStore) -> StoreState {
    pool.shared.stores.hasFailed(store.record.id) ? .failed : .online
  }

  func volumes() async throws(GnomonError) -> [VolumeInfo] {
    pool.exports.volumes.map(info)
  }

  private func info(_ volume: Volume) -> VolumeInfo {
    VolumeInfo(
      name: volume.name, uuid: volume.uuid.description, sizeBytes: volume.sizeBytes,
      extentBytes: volume.extentBytes, readOnly: volume.isReadOnly,
      mappedBytes: volume.map.mappedCount() * volume.extentBytes,
      connections: pool.exports.attachments(volume.name))
  }

  func status() async throws(GnomonError) -> Status {
    let reactors = pool.reactors
    var total = Traffic.Counts()
    for reactor in reactors { total.add(reactor.traffic.counts) }
    let volumes = pool.exports.volumes
    let mapBytes = volumes.reduce(UInt64(0)) { $0 + $1.map.extentCount * 8 }
    return Status(
      version: Version.current, pid: getpid(),
      uptimeSeconds: (MonotonicClock.nanoseconds() - startedNanoseconds) / 1_000_000_000,
      directory: pool.directory, listeners: listeners, reactors: reactors.count,
      connections: reactors.reduce(0) { $0 + $1.connectionCount.load(ordering: .relaxed) },
      io: IOCounters(total),
      volumes: volumes.map {
        VolumeStatus(
          name: $0.name, connections: pool.exports.attachments($0.name), io: IOCounters($0.traffic.counts))
      },
      stores: pool.stores.map { StoreStatus(name: $0.record.name, state: state(of: $0), io: IOCounters()) },
      memory: MemoryStatus(
        residentBytes: ProcessMemory.residentBytes(), mapBytes: mapBytes,
        bufferBytes: UInt64(reactors.count) * configuration.limits.bytesPerReactor))
  }

  // MARK: Stores

  func addStore(_ request: StoreRequest) async throws(GnomonError) -> StoreInfo {
    guard !pool.stores.contains(where: { $0.record.name == request.name }) else {
      throw GnomonError(
        .conflict, "there is a store \(request.name) already", remedy: "choose another name")
    }
    guard request.kind == .file else { throw PoolCreation.volatileStore(request.name) }
    let pool = pool
    let store = try await pool.catalogThread.perform { () throws(GnomonError) -> FileStore in
      let record = try PoolCreation.record(request, id: pool.catalog.nextStoreID())
      try FileStore.create(record, pool: pool.record.uuid)
      // Into the catalog only after the label is durable; a crash between the two leaves an unused file.
      try pool.catalog.add(store: record)
      return try FileStore(opening: record, pool: pool.record.uuid)
    }
    pool.setStore(store.record.id, store)
    pool.introduce(store)
    await tellReactors(store.record.id, descriptor: store.descriptor.raw)
    pool.shared.placement.add(
      store.record.id, tier: store.record.tier, allocator: SlotAllocator(capacityBytes: store.capacityBytes))
    return info(store)
  }

  /// Every reactor must have the descriptor before the first extent is placed on the store.
  private func tellReactors(_ store: StoreID, descriptor: Int32) async {
    for reactor in pool.reactors {
      await withCheckedContinuation { continuation in
        reactor.post(.setStore(store, descriptor: descriptor, done: { continuation.resume() }))
      }
    }
  }

  func removeStore(name: String) async throws(GnomonError) {
    guard let store = pool.stores.first(where: { $0.record.name == name }) else {
      throw GnomonError(.notFound, "there is no store \(name)", remedy: "see `gnomon store list`")
    }
    guard pool.stores.count > 1 else {
      throw GnomonError(
        .conflict, "\(name) is the only store of the pool", remedy: "add another one first")
    }
    // What a trim has freed is on its way back: let it arrive.
    try await flush()
    let used = pool.shared.placement.remove(store.record.id)
    guard used == 0 else {
      throw GnomonError(
        .conflict, "store \(name) is not empty", cause: "\(ByteSize(rawValue: used)) lie on it",
        remedy: "delete the volumes that use it, or trim them")
    }
    let pool = pool
    let id = store.record.id
    try await pool.catalogThread.perform { () throws(GnomonError) in try pool.catalog.remove(store: id) }
    pool.shared.stores.remove(id)
    await tellReactors(id, descriptor: -1)
    pool.setStore(id, nil)
  }

  // MARK: Volumes

  func createVolume(_ request: VolumeRequest) async throws(GnomonError) -> VolumeInfo {
    guard pool.exports.volume(request.name) == nil else {
      throw GnomonError(
        .conflict, "there is a volume \(request.name) already", remedy: "choose another name")
    }
    let pool = pool
    let extentBytes = request.extentBytes ?? configuration.volumes.extentBytes
    let volume = try await pool.catalogThread.perform { () throws(GnomonError) -> Volume in
      let record = PoolCreation.record(request, id: try pool.catalog.nextVolumeID(), extentBytes: extentBytes)
      let map = try Pool.makeMap(record)
      try pool.catalog.add(volume: record)
      return Volume(record, map: map)
    }
    pool.exports.add(volume)
    return info(volume)
  }

  func resizeVolume(name: String, sizeBytes: UInt64, force: Bool) async throws(GnomonError) -> VolumeInfo {
    let volume = try existing(name)
    if sizeBytes < volume.sizeBytes { return try await shrink(volume, to: sizeBytes, force: force) }
    let record = VolumeRecord(
      id: volume.id, uuid: volume.uuid, name: name, sizeBytes: sizeBytes, extentBytes: volume.extentBytes)
    do throws(SystemError) {
      try volume.map.grow(to: record.extentCount)
    } catch {
      throw GnomonError(.system, "no memory for a larger extent map", cause: error.description)
    }
    let pool = pool
    let id = volume.id
    try await pool.catalogThread.perform { () throws(GnomonError) in
      try pool.catalog.resize(volume: id, sizeBytes: sizeBytes)
    }
    volume.sizeBytes = sizeBytes
    return info(volume)
  }

  /// Nobody may be attached: requests beyond the new end could be in flight otherwise.
  private func shrink(_ volume: Volume, to sizeBytes: UInt64, force: Bool) async throws(GnomonError)
    -> VolumeInfo
  {
    guard force else {
      throw GnomonError(
        .conflict, "volume \(volume.name) would shrink to \(ByteSize(rawValue: sizeBytes))",
        cause: "it has \(ByteSize(rawValue: volume.sizeBytes)), and what lies beyond the end would be lost",
        remedy: "repeat it with --force if that is wanted")
    }
    try takeOffline(volume, "shrunk")
    defer { pool.exports.add(volume) }
    try await flush()
    let pool = pool
    try await pool.catalogThread.perform { () throws(GnomonError) in
      try pool.catalog.resize(volume: volume.id, sizeBytes: sizeBytes, dropping: true)
    }
    volume.sizeBytes = sizeBytes
    let count = (sizeBytes + volume.extentBytes - 1) / volume.extentBytes
    let dropped = volume.map.unmapAll(from: count).map { retired($0, volume) }
    volume.map.shrink(to: count)
    try zeroTail(of: volume)
    await releaseInBackground(dropped)
    return info(volume)
  }

  /// Zeroes what lies beyond the end in the last extent, so that growing again does not bring it back.
  private func zeroTail(of volume: Volume) throws(GnomonError) {
    let used = volume.sizeBytes % volume.extentBytes
    guard used > 0 else { return }
    let entry = volume.map.view.entry(volume.sizeBytes / volume.extentBytes)
    guard entry.isMapped, let store = pool.store(entry.store) else { return }
    do throws(SystemError) {
      try store.zero(
        offset: store.dataOffset + entry.slot * volume.extentBytes + used, length: volume.extentBytes - used)
      try store.synchronize()
    } catch {
      throw GnomonError(
        .system, "what lies beyond the new end of volume \(volume.name) was not cleared",
        cause: error.description)
    }
  }

  func deleteVolume(name: String) async throws(GnomonError) {
    let volume = try existing(name)
    try takeOffline(volume, "deleted")
    let pool = pool
    do {
      try await flush()
      let id = volume.id
      try await pool.catalogThread.perform { () throws(GnomonError) in try pool.catalog.delete(volume: id) }
    } catch {
      pool.exports.add(volume)
      throw error
    }
    await releaseInBackground(volume.map.unmapAll(from: 0).map { retired($0, volume) })
  }

  private func existing(_ name: String) throws(GnomonError) -> Volume {
    guard let volume = pool.exports.volume(name) else {
      throw GnomonError(.notFound, "there is no volume \(name)", remedy: "see `gnomon volume list`")
    }
    return volume
  }

  private func takeOffline(_ volume: Volume, _ what: String) throws(GnomonError) {
    let attachments = pool.exports.remove(volume.name)
    guard attachments == 0 else {
      throw GnomonError(
        .conflict, "volume \(volume.name) can not be \(what) while it is in use",
        cause: attachments == 1 ? "one client is attached" : "\(attachments) connections are attached",
        remedy: "detach the clients first")
    }
  }

  private func retired(_ entry: MapEntry, _ volume: Volume) -> RetiredSlot {
    RetiredSlot(store: entry.store, slot: entry.slot, slotBytes: volume.extentBytes)
  }

  private func releaseInBackground(_ slots: [RetiredSlot]) async {
    let pool = pool
    await pool.reclaimThread.perform { pool.release(slots) }
  }

  /// Makes everything acknowledged so far durable, and the map changes committed.
  private func flush() async throws(GnomonError) {
    let error = await withCheckedContinuation { continuation in
      pool.reactors[0].post(.flush { continuation.resume(returning: $0) })
    }
    if let error {
      throw GnomonError(
        .system, "the pool can not be flushed", cause: "\(error)", remedy: "see the daemon's log")
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
