import HTTPService
import Measurement
import Primitives
import Shadowing
import Stores
import TestSupport
import Testing

@testable import Daemon
@testable import NBDService
@testable import Redirection

/// Parts of the daemon on a pool that is open, without reactors that run.
@Suite struct OpenPoolTests {
  private let folder = TemporaryFolder()

  private func open() throws -> (pool: Pool, volume: Volume) {
    let directory = folder.path + "/pool"
    _ = try PoolOperations().createPool(
      directory: directory,
      stores: [StoreRequest(name: "s", path: folder.path + "/s", sizeBytes: 64 << 20)],
      volumes: [VolumeRequest(name: "v", sizeBytes: 32 << 20)])
    let pool = try Pool(opening: directory, redirectorCount: 1)
    pool.reactors = [try ReactorHandle(number: 0)]
    return (pool, try #require(pool.exports.volume("v")))
  }

  private func control(_ pool: Pool, _ mover: Mover) throws -> PoolControl {
    let configuration = Configuration(directory: pool.directory)
    return PoolControl(
      pool, mover, Scrubber(pool, mover, configuration.scrub),
      try HealthWatcher(pool, mover, configuration.health), LoadWatcher(pool), nil, nil,
      configuration: configuration, listeners: [])
  }

  @Test func aMoveThatHangsHoldsUpNobodyForEver() async throws {
    let (pool, volume) = try open()
    defer { pool.close() }
    let mover = Mover(pool, Configuration.Moves(), excludeSeconds: 0)
    let control = try control(pool, mover)
    let extent = ExtentKey(volume.id, 3)
    #expect(mover.claim(extent))
    for change in [
      { () async throws in try await control.deleteVolume(name: "v") },
      { () async throws in _ = try await control.resizeVolume(name: "v", sizeBytes: 8 << 20, force: true) },
    ] {
      await #expect { try await change() } throws: { ($0 as? GnomonError)?.code == .conflict }
      // As if it had never been tried.
      #expect(pool.exports.volume("v") === volume && !mover.isExcluded(volume.id))
    }
    mover.release(extent)
    try await mover.exclude(volume)
    #expect(mover.isExcluded(volume.id) && !mover.claim(extent))
  }

  /// Slots that never come back keep what was cut off from being given up.
  @Test func aStoreThatHangsDoesNotKeepAVolumeFromGrowingForEver() async throws {
    let (pool, volume) = try open()
    defer { pool.close() }
    let control = try control(pool, Mover(pool, Configuration.Moves(), excludeSeconds: 0))
    let store = StoreID(rawValue: 0)
    pool.shared.stores.setAway(store, true)
    // Nobody ends a grace period: the reactors do not run.
    let slot = RetiredSlot(store: store, slot: 0, slotBytes: volume.extentBytes)
    _ = pool.shared.reclaimer.add([RetiredSlot](repeating: slot, count: Reclaimer.pendingMax / 2))
    pool.dropInBackground(4..<8, of: volume)
    await #expect {
      _ = try await control.resizeVolume(name: "v", sizeBytes: 48 << 20, force: false)
    } throws: { error in
      let error = error as? GnomonError
      return error?.code == .unavailable && error?.cause?.contains("4 extents") == true
        && error?.cause?.contains("hang in s") == true
    }
    #expect(volume.sizeBytes == 32 << 20 && pool.droppingCount(of: volume) == 4)
  }

  @Test func aVolumeThatIsNotOnOfferForAWhileKeepsItsHistory() throws {
    let (pool, volume) = try open()
    defer { pool.close() }
    _ = pool.reactors[0].volumeMeters.enter(volume)
    pool.reactors[0].volumeMeters.leave(volume)
    let loads = LoadWatcher(pool)
    loads.record()
    #expect(loads.history(of: volume.uuid) != nil)
    _ = pool.exports.remove(volume.name)
    loads.record()
    #expect(loads.history(of: volume.uuid) != nil)
    loads.forget(volume)
    loads.record()
    #expect(loads.history(of: volume.uuid) == nil)
  }

  @Test func whatIsGoneIsForgottenAtTheStart() throws {
    let (pool, volume) = try open()
    defer { pool.close() }
    var loads = RecordedLoads()
    let gone = UUID128(high: 1, low: 2)
    for uuid in [gone, pool.stores[0].record.uuid] { loads.record(.init(), of: uuid, at: 3600, seconds: 1) }
    try HistoryFile(directory: pool.directory).write(loads)
    let kept = LoadWatcher(pool)
    #expect(kept.history(of: pool.stores[0].record.uuid) != nil && kept.history(of: gone) == nil)
    #expect(kept.history(of: volume.uuid) == nil)
  }

  @Test func mapsAreBoundedByTheExtentsThatAVolumeReallyHas() async throws {
    let (pool, volume) = try open()
    defer { pool.close() }
    let control = try control(pool, Mover(pool, Configuration.Moves()))
    let tooLarge = Validation.extentsMax * volume.extentBytes + 4096
    await #expect { try await control.resizeVolume(name: "v", sizeBytes: tooLarge, force: false) } throws: {
      ($0 as? GnomonError)?.code == .invalid
    }
    #expect(volume.sizeBytes == 32 << 20)
    await #expect {
      try await control.createVolume(VolumeRequest(name: "w", sizeBytes: tooLarge))
    } throws: {
      ($0 as? GnomonError)?.code == .invalid
    }
  }
}
