import ExtentMap
import Glibc
import NBDWire
import Platform
import Primitives
import Synchronization
import TestSupport

@testable import Redirection

/// One to three redirectors over simulated disks, driven by one thread in an order that a seed decides.
///
/// It does for redirectors what reactors, the kernel and the catalog do in the daemon, and checks what they
/// do against a model of what clients have been promised.
final class World {
  var generator: SeededGenerator
  var weather = Weather.clear
  var model = Model()
  var stores: [WorldStore]
  var volumes: [WorldVolume]
  let redirectorCount: Int
  let bufferBytes: Int
  /// Map changes that may wait for the catalog, and slots that may be on their way back.
  let waitingMax: Int
  var shared: SharedState
  var redirectors: [Redirector] = []
  var jobs: [Job] = []
  var inboxes: [[WorldMessage]] = []
  var needsTurn: [Bool] = []
  /// Requests by cookie.
  var pending: [UInt64: PendingRequest] = [:]
  var nextCookie: UInt64 = 1
  /// Writes whose payload is still on its way.
  var filling: [(redirector: Int, operation: UInt32, request: ClientRequest)] = []
  /// Finished operations whose reply is still being sent, oldest first.
  var unreleased: [(redirector: Int, operation: UInt32)] = []
  /// Jobs that a test keeps from being executed, and from being delivered.
  var holds: (Job) -> Bool = { _ in false }
  /// Stores whose file system has no room, whatever they were created for.
  var fullStores: Set<UInt8> = []
  /// Takes finished operations instead of the model.
  var onFinished: ((Redirector, UInt32) -> Void)?
  var outcomes: [UInt64: NBDErrno?] = [:]
  var digest: UInt64 = 0xcbf2_9ce4_8422_2325
  /// Whether some store has failed to synchronize in this life.
  var hasFailedStore = false
  var finishedCount = 0
  /// Flushes and durable requests that have been acknowledged: the moments at which a crash tells most.
  var promiseCount = 0
  var synchronizeCount = 0
  var stepCount = 0
  /// More than any world that comes to rest takes.
  static let stepsMax = 200_000
  var crashCount = 0

  init(
    seed: UInt64, stores: [WorldStore], volumes: [(extentBytes: UInt64, sizeBytes: UInt64)],
    redirectors: Int = 1, bufferBytes: Int = 4 << 20, waitingMax: Int = MapChanges.waitingMax
  ) throws {
    generator = SeededGenerator(seed: seed)
    self.stores = stores
    self.volumes = try volumes.enumerated().map { number, volume in
      try WorldVolume(number: number, extentBytes: volume.extentBytes, sizeBytes: volume.sizeBytes)
    }
    redirectorCount = redirectors
    self.bufferBytes = bufferBytes
    self.waitingMax = waitingMax
    shared = SharedState(redirectorCount: redirectors)
    for volume in self.volumes { model.addVolume(cellCount: volume.cellCount) }
    try begin()
  }

  func note(_ values: UInt64...) {
    for value in values { digest = (digest ^ value) &* 0x100_0000_01b3 }
  }

  // MARK: One life

  /// Opens the pool as the catalog has it.
  private func begin() throws {
    shared = SharedState(redirectorCount: redirectorCount, changesMax: waitingMax, slotsMax: waitingMax)
    hasFailedStore = false
    for (number, store) in stores.enumerated() {
      let id = StoreID(rawValue: UInt8(number))
      var allocator = SlotAllocator(capacityBytes: store.capacityBytes)
      for volume in volumes {
        for entry in volume.committed where entry.isMapped && entry.store == id {
          guard allocator.markUsed(slot: entry.slot, slotBytes: volume.extentBytes) else {
            throw BrokenPromise("slot \(entry.slot) of store \(number) is referenced twice")
          }
        }
      }
      shared.stores.add(id, tier: store.tier, dataOffset: store.dataOffset, prepare: store.prepare)
      shared.placement.add(id, tier: store.tier, allocator: allocator)
    }
    redirectors = try (0..<redirectorCount).map { number in
      try Redirector(shared, number: number, operationsMax: 1024, bufferBytes: bufferBytes)
    }
    inboxes = Array(repeating: [], count: redirectorCount)
    needsTurn = Array(repeating: false, count: redirectorCount)
  }

  /// Power goes at this very moment; what comes back is checked against the promises.
  func crash() throws {
    for job in jobs where !job.isExecuted { executeInPart(job) }
    jobs.removeAll()
    redirectors.removeAll()
    pending.removeAll()
    filling.removeAll()
    unreleased.removeAll()
    for store in stores { store.disk.crash { [self] _ in generator.chance(2) } }
    for number in volumes.indices { try volumes[number].reload() }
    try verifyRecovered()
    crashCount += 1
    note(0xc4a5)
    try begin()
  }

  /// What every cell holds after a crash must be among what it may hold.
  private func verifyRecovered() throws {
    let recovery = model.beginRecovery()
    for number in volumes.indices {
      try forEachStoredCell(number) { cell, value in
        guard model.mayRecover(number, cell, value) else {
          throw BrokenPromise("after a crash, " + model.describe(number, cell, value))
        }
        model.recovered(number, cell, value, by: recovery)
      }
    }
  }

  /// Calls `body` with what each cell of a volume holds on its disk now.
  private func forEachStoredCell(_ number: Int, _ body: (Int, UInt64) throws -> Void) throws {
    let volume = volumes[number]
    let buffer = UnsafeMutableRawPointer.allocate(byteCount: Int(volume.extentBytes), alignment: 4096)
    defer { unsafe buffer.deallocate() }
    let cellsPerExtent = Int(volume.extentBytes / Model.cellBytes)
    for extent in 0..<volume.committed.count {
      let entry = volume.map.view.entry(UInt64(extent))
      if entry.isMapped {
        let store = stores[Int(entry.store.rawValue)]
        let offset = Int(store.dataOffset + entry.slot * volume.extentBytes)
        unsafe store.disk.read(offset, Int(volume.extentBytes), into: buffer)
      } else {
        unsafe memset(buffer, 0, Int(volume.extentBytes))
      }
      let first = extent * cellsPerExtent
      for cell in first..<min(first + cellsPerExtent, volume.cellCount) {
        try body(cell, unsafe Self.value(at: buffer + (cell - first) * Int(Model.cellBytes)))
      }
    }
  }

  /// What a cell in memory holds. The whole of it must be the same eight bytes over and over.
  static func value(at place: UnsafeRawPointer) throws -> UInt64 {
    let value = unsafe place.load(as: UInt64.self)
    guard unsafe memcmp(place, place + 8, Int(Model.cellBytes) - 8) == 0 else {
      throw BrokenPromise("a cell holds a mixture that begins with \(String(value, radix: 16))")
    }
    return value
  }

  // MARK: Quiescence

  /// Lets everything that is under way end. Throws if something never does.
  func settle() throws {
    while try step() {}
    guard pending.isEmpty && filling.isEmpty else {
      let parked = redirectors.map { $0.parked.count + $0.waitingForSpace.count }
      throw BrokenPromise("\(pending.count) requests wait for nothing; parked: \(parked)")
    }
  }

  /// Ends everything, flushes, and checks that nothing is left over.
  func verifyAtRest() throws {
    weather = .clear
    try settle()
    for number in volumes.indices { try flushAndSettle(volume: number) }
    for redirector in redirectors {
      guard redirector.isIdle, redirector.arena.isIdle, redirector.parked.isEmpty,
        redirector.waitingForSpace.isEmpty,
        redirector.inFlight == (0, 0), !redirector.isInGrace
      else { throw BrokenPromise("redirector \(redirector.number) is not idle at rest") }
    }
    guard shared.parkedCount.load(ordering: .relaxed) == 0 else {
      throw BrokenPromise("parked operations are miscounted")
    }
    try verifySlots()
    for number in volumes.indices {
      let issue = model.tick()
      try forEachStoredCell(number) { cell, value in
        guard model.mayRead(number, cell, value, issue: issue) else {
          throw BrokenPromise("at rest, " + model.describe(number, cell, value))
        }
        note(value)
      }
    }
  }

  private func flushAndSettle(volume: Int) throws {
    let cookie = try start(
      ClientRequest(kind: .flush, volume: volume, redirector: 0, offset: 0, length: 0))
    try settle()
    guard let outcome = outcomes[cookie], outcome == nil || hasFailedStore else {
      throw BrokenPromise("the last flush has failed though nothing did")
    }
  }

  /// Every slot in use is referred to, and nothing waits to be freed.
  private func verifySlots() throws {
    var used = Array(repeating: UInt64(0), count: stores.count)
    for volume in volumes {
      for extent in 0..<UInt64(volume.committed.count) {
        let entry = volume.map.view.entry(extent)
        if entry.isGated || entry.writers > 0 { throw BrokenPromise("extent \(extent) is held at rest") }
        if entry.isMapped { used[Int(entry.store.rawValue)] += volume.extentBytes }
        if hasFailedStore { continue }
        if entry.isUncommitted && entry.isMapped { throw BrokenPromise("extent \(extent) is not committed") }
        if entry.address != volume.committed[Int(extent)] {
          throw BrokenPromise("the catalog has another place for extent \(extent)")
        }
      }
    }
    // A pool whose flushes fail for good can free nothing.
    if hasFailedStore { return }
    guard shared.changes.pendingCount == 0, shared.reclaimer.pendingCount == 0 else {
      throw BrokenPromise("slots wait to be freed at rest")
    }
    for number in stores.indices {
      let space = shared.placement.space(of: StoreID(rawValue: UInt8(number)))
      guard space.usedBytes == used[number] else {
        throw BrokenPromise("store \(number) has \(space.usedBytes) bytes in use, maps \(used[number])")
      }
    }
  }
}
