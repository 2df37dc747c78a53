import Catalog
import ExtentMap
import NBDService
import Platform
import Primitives
import Redirection
import Shadowing
import Stores
import Synchronization

/// An open pool: its lock, catalog, stores and volumes, and the work that blocks.
///
/// The catalog belongs to one thread. Everything that changes it is sent there, so a commit for the data
/// path and a change by the control plane cannot get in each other's way.
final class Pool: PoolBackground {
  let directory: String
  let record: PoolRecord
  /// Random, another one each time that the pool is opened.
  let session = PoolCreation.newUUID()
  let shared: SharedState
  let exports = ExportTable()
  /// What the last scrub came to when the pool was opened; nil if there was none.
  let lastScrub: ScrubRecord?
  let catalog: Catalog
  let catalogThread: WorkThread
  let reclaimThread: WorkThread
  /// For files and devices that the control plane opens and writes to.
  let controlThread: WorkThread
  /// Deleted or cut volumes whose slots are still being given up, once for each time.
  private let dropping = Mutex<[(volume: Volume, extents: Range<UInt64>)]>([])
  /// Stores whose copies are being moved away.
  private let draining: Mutex<Set<StoreID>>
  /// How stores are, where they are not well.
  private let fitness = Mutex<[StoreID: StoreFitness]>([:])
  private let lock: PoolLock
  private let openStores: Mutex<[StoreID: any Store]>
  private let reactorList = Mutex<[ReactorHandle]>([])
  private let log = Log("pool")

  /// Journal bytes from which it is folded into the map pages while the catalog has nothing else to do.
  private static let foldFromBytes: UInt64 = 4 << 20
  /// Map pages that one step of folding or clearing changes: bounds how long a commit waits behind it.
  private static let pagesPerFold = 64

  /// Slots that one step gives up: bounds how long others wait for the thread, and the memory it takes.
  private static let slotsPerDrop = 1 << 14

  /// Opens the pool in `directory`: takes its lock, verifies the stores' labels, loads the maps. Leaves
  /// nothing behind if that fails.
  ///
  /// - Parameters:
  ///   - readOnlyNames: volumes that are exported read-only.
  ///   - absentNames: stores to do without.
  init(
    opening directory: String, redirectorCount: Int, readOnlyNames: [String] = [], absentNames: [String] = []
  ) throws(GnomonError) {
    self.directory = directory
    lock = try PoolLock(directory: directory)
    Failpoint.poolLocked.pass()
    catalog = try Catalog(opening: directory)
    record = catalog.pool
    lastScrub = try catalog.lastScrub()
    shared = SharedState(redirectorCount: redirectorCount)
    let opening = StoreOpening(pool: catalog.pool.uuid, session: session, absentNames: absentNames)
    let stores = try opening.open(try catalog.stores())
    var maps = try PoolMaps(loading: catalog)
    for index in maps.volumes.indices where readOnlyNames.contains(maps.volumes[index].record.name) {
      maps.volumes[index].record.readOnly = true
    }
    for store in stores.values.sorted(by: { $0.record.id < $1.record.id }) {
      let allocator = try maps.slots(of: store.record, capacityBytes: store.capacityBytes)
      shared.placement.add(
        store.record.id, at: StorePlace(store.record), holdsLiveCopies: store.mayHoldLiveCopies,
        allocator: allocator)
      shared.placement.setExcluded(store.record.id, store.record.isDraining)
    }
    try maps.checkStores(
      stores.keys, volatile: stores.values.filter { !$0.mayHoldLiveCopies }.map(\.record.id))
    let volumes = maps.volumes.map { Volume($0.record, map: $0.map) }
    for volume in maps.volumes {
      shared.changes.activity.insert(volume.activeExtents, of: volume.map.view)
    }
    try Self.checkExist(readOnlyNames, volumes)
    Failpoint.mapsLoaded.pass()
    openStores = Mutex(stores)
    draining = Mutex(Set(stores.values.filter(\.record.isDraining).map(\.record.id)))
    (catalogThread, reclaimThread, controlThread) = try Self.startThreads()
    for volume in volumes { exports.add(volume) }
    for store in stores.values { introduce(store) }
    for volume in volumes { shared.changes.dropVolatileShadows(of: volume.map) }
    StoreOpening.warnOfUnreachable(volumes, shared.stores)
    catalog.releaseThread()
    // A deletion may have been interrupted.
    purgeInBackground()
  }

  private static func startThreads() throws(GnomonError) -> (WorkThread, WorkThread, WorkThread) {
    var started: [WorkThread] = []
    do throws(SystemError) {
      for name in ["catalog", "reclaim", "control"] {
        started.append(try WorkThread(name: "gnomon-" + name))
      }
      return (started[0], started[1], started[2])
    } catch {
      for thread in started { thread.stop() }
      throw GnomonError(.system, "no thread can be started", cause: error.description)
    }
  }

  private static func checkExist(_ readOnlyNames: [String], _ volumes: [Volume]) throws(GnomonError) {
    guard let name = readOnlyNames.first(where: { name in !volumes.contains { $0.name == name } }) else {
      return
    }
    throw GnomonError(
      .notFound, "there is no volume \(name) to export read-only",
      cause: "the configuration's 'readOnly' or --read-only names it",
      remedy: volumes.isEmpty ? nil : "name one of: " + volumes.map(\.name).joined(separator: ", "))
  }

  // MARK: Stores

  /// Tells the data path about a store; it takes new extents only once it is placed.
  func introduce(_ store: any Store) {
    let method: PrepareMethod
    if store.capabilities.zeroRange {
      method = .zeroRange
    } else if store.capabilities.punchHole && store.capabilities.preallocate {
      method = .punchAndReserve
    } else {
      method = .writeZeros
    }
    let isCached = if case .file(_, isCached: true) = store.access { true } else { false }
    let isRemote = if case .remote = store.access { true } else { false }
    shared.stores.add(
      store.record.id, tier: store.record.tier, dataOffset: store.dataOffset, prepare: method,
      isCached: isCached, isVolatile: !store.mayHoldLiveCopies, keepsUnflushed: isRemote,
      isAway: !store.isReached)
  }

  var stores: [any Store] {
    openStores.withLock { $0.values.sorted { $0.record.name < $1.record.name } }
  }

  func store(_ id: StoreID) -> (any Store)? {
    openStores.withLock { $0[id] }
  }

  func setStore(_ id: StoreID, _ store: (any Store)?) {
    openStores.withLock { $0[id] = store }
  }

  /// Whether a store's copies are being moved away: it gets no new ones. It is the catalog that has it for
  /// good.
  func isDraining(_ id: StoreID) -> Bool { draining.withLock { $0.contains(id) } }

  func setDraining(_ id: StoreID, _ isDraining: Bool) {
    draining.withLock { set in
      if isDraining { set.insert(id) } else { set.remove(id) }
    }
    shared.placement.setExcluded(id, isDraining)
  }

  /// How far a store can be counted on.
  func fitness(of id: StoreID) -> StoreFitness { fitness.withLock { $0[id] ?? .well } }

  /// Has the data path, new extents and all plans go by how a store is.
  func setFitness(_ id: StoreID, _ value: StoreFitness) {
    fitness.withLock { $0[id] = value == .well ? nil : value }
    shared.placement.setLastResort(id, value != .well)
    shared.stores.setSatOut(id, value == .away || value == .lost)
  }

  var reactors: [ReactorHandle] {
    get { reactorList.withLock { $0 } }
    set { reactorList.withLock { $0 = newValue } }
  }

  // MARK: PoolBackground

  func commitMapChanges(_ done: @escaping @Sendable (Int32) -> Void) {
    catalogThread.async { [self] in
      Failpoint.commitBegun.pass()
      do throws(GnomonError) {
        try catalog.append(shared.changes.cutDeltas)
        Failpoint.commitDone.pass()
        done(0)
      } catch {
        shared.faults.note(.commit, errno: Self.errno(of: error), cause: "\(error)")
        done(-Self.errno(of: error))
      }
      foldJournal()
    }
  }

  /// Folds a piece of the journal, and the rest after whatever else waits.
  private func foldJournal() {
    guard catalog.journalBytes >= Self.foldFromBytes else { return }
    do throws(GnomonError) {
      if try catalog.checkpoint(pagesMax: Self.pagesPerFold) { catalogThread.async { self.foldJournal() } }
    } catch {
      shared.faults.note(.fold, errno: Self.errno(of: error), cause: "\(error)")
    }
  }

  private static func errno(of error: GnomonError) -> Int32 {
    error.code == .full ? ErrorNumber.noSpace : ErrorNumber.io
  }

  func report(_ faults: [Fault]) {
    let volumes = exports.volumes
    for fault in faults {
      FaultLog().write(
        fault, store: fault.store.flatMap { store($0)?.record.name },
        volume: fault.volume.flatMap { id in volumes.first { $0.id == id }?.name })
    }
  }

  func reclaimSlots() {
    reclaimThread.async { [self] in
      let slots = shared.reclaimer.takeReady()
      release(slots)
      Failpoint.slotsReleased.pass()
      shared.reclaimer.released(slots.count)
      for reactor in reactors { reactor.post(.retryParked) }
      continueDropping()
    }
  }

  /// Gives slots back that nothing refers to: their space to the file system, the slots to placement.
  private func release(_ slots: [RetiredSlot]) {
    for run in RetiredSlot.runs(of: slots) {
      guard let store = store(run.store) else { continue }
      do throws(SystemError) {
        try store.discard(offset: store.dataOffset + run.start, length: run.length)
      } catch {
        shared.faults.note(.discard, store: run.store, errno: error.errno)
      }
      Failpoint.slotsDiscarded.pass()
    }
    for slot in slots { shared.placement.release(slot.store, slot: slot.slot, slotBytes: slot.slotBytes) }
  }

  /// Unmaps extents in memory and gives their slots up, piece by piece in the background; the catalog has
  /// forgotten them, and nobody uses them.
  func dropInBackground(_ extents: Range<UInt64>, of volume: Volume) {
    dropping.withLock { $0.append((volume, extents)) }
    reclaimThread.async { self.continueDropping() }
  }

  /// Drops the next piece, and then the rest, as long as there is room on the way back: a store that hangs
  /// can keep slots there for long. Half of it is left to trims.
  private func continueDropping() {
    guard let (volume, extents) = dropping.withLock({ $0.first }),
      shared.reclaimer.pendingCount < Reclaimer.pendingMax / 2
    else { return }
    Failpoint.droppedSlotsReleasing.pass()
    var rest = extents
    if shared.drop(&rest, of: volume.map, slotsMax: Self.slotsPerDrop) {
      for reactor in reactors { reactor.post(.grace) }
    }
    dropping.withLock { list in
      if rest.isEmpty { list.removeFirst() } else { list[0].extents = rest }
    }
    reclaimThread.async { self.continueDropping() }
  }

  /// Extents that were cut off a volume and are not unmapped yet.
  func droppingCount(of volume: Volume) -> Int {
    dropping.withLock { list in
      list.reduce(0) { $0 + ($1.volume === volume ? $1.extents.count : 0) }
    }
  }

  /// Whether slots that nothing refers to any more are still on their way to placement.
  var isReclaiming: Bool {
    dropping.withLock { !$0.isEmpty } || shared.reclaimer.pendingCount > 0
  }

  /// Clears away what the catalog has of maps that nobody needs, a piece at a time.
  func purgeInBackground() {
    catalogThread.async { [self] in
      do throws(GnomonError) {
        if try catalog.purge(pagesMax: Self.pagesPerFold) { purgeInBackground() }
      } catch {
        log.warning("the map of a deleted or cut volume stays until the next start", ["cause": error])
      }
    }
  }

  /// Takes a step of catalog work again and again, until it says that there is no more. Commits of the data
  /// path get in between.
  func inCatalogSteps(
    _ step: @escaping @Sendable (Catalog, _ pagesMax: Int) throws(GnomonError) -> Bool
  ) async throws(GnomonError) {
    var isMore = true
    while isMore {
      isMore = try await catalogThread.perform { [self] () throws(GnomonError) in
        try step(catalog, Self.pagesPerFold)
      }
    }
  }

  // MARK: Closing

  /// Ends the background work, closes the catalog and frees the stores; everything has been flushed, and the
  /// reactors have ended. What is still to be given back is found again by the next start.
  func close() {
    controlThread.stop()
    reclaimThread.stop()
    catalogThread.async { self.catalog.close() }
    catalogThread.stop()
    Failpoint.catalogClosed.pass()
    report(shared.faults.takeDue(at: nil))
    for store in stores { store.unlock() }
    lock.unlock()
  }
}

/// Error numbers that the background work reports to the data path.
enum ErrorNumber {
  static let io: Int32 = 5
  static let noMemory: Int32 = 12
  static let noSpace: Int32 = 28
}
