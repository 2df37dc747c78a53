import ExtentMap
import NBDWire
import Primitives
import Simulation
import Testing

@testable import Redirection

private let extent = World.extentBytes
private let block = World.blockBytes

/// A store whose fdatasync fails takes down the volumes that it lost writes of, and no others.
@Suite struct FailedStoreTests {
  /// Volume 0 lies on store 0 and, with its second extent, on store 1; volume 1 on store 1 only. All is
  /// flushed but for what the tests do then.
  private static func world() throws -> World {
    let world = try World(
      seed: 1,
      stores: [WorldStore(capacityBytes: 2 * extent), WorldStore(capacityBytes: 16 * extent, tier: 1)],
      volumes: [(extent, 4 * extent), (extent, 4 * extent), (extent, 4 * extent)])
    #expect(try world.perform(.write, 0, extent) == nil)
    world.fullStores = [0]
    #expect(try world.perform(.write, extent, extent) == nil)
    #expect(try world.perform(1, .write, 0, extent) == nil)
    world.fullStores = []
    #expect(try world.perform(2, .write, 0, extent) == nil)
    #expect(try world.perform(.flush) == nil)
    #expect(world.usedBytes(0) == 2 * extent && world.usedBytes(1) == 2 * extent)
    return world
  }

  /// The next fdatasync of store 0 fails, others succeed.
  private static func failStore(_ world: World, during flush: (World) throws -> Void) throws {
    world.hold(.synchronize)
    try flush(world)
    try world.exhaust()
    world.faults.synchronizeError = 1
    world.holds = { $0.directive.kind == .synchronize && $0.directive.store != 0 }
    try world.exhaust()
    #expect(world.hasFailedStore)
    world.faults = .none
    world.letGo()
    try world.settle()
  }

  @Test func onlyVolumesThatLostWritesFail() throws {
    let world = try Self.world()
    #expect(try world.perform(.write, 0, block) == nil)
    #expect(try world.perform(1, .write, 0, block) == nil)
    #expect(try world.perform(1, .write, extent, block) == nil)
    var flushes: [UInt64] = []
    try Self.failStore(world) { world in
      for volume in 0...2 { flushes.append(try world.begin(volume, .flush)) }
    }
    let outcomes = flushes.map { world.outcomes[$0] }
    #expect(outcomes == [.some(.some(.io)), .some(nil), .some(nil)])
    // For good, and for them alone; what volume 1 mapped in the failed round is in the catalog.
    #expect(world.volumes[1].committed[1].isMapped)
    for _ in 0..<2 {
      #expect(try world.perform(.flush) == .io)
      #expect(try world.perform(1, .flush) == nil)
      #expect(try world.perform(2, .flush) == nil)
    }
    #expect(try world.perform(1, .write, 2 * extent, block, .forceUnitAccess) == nil)
    #expect(try world.perform(2, .write, 2 * extent, block, .forceUnitAccess) == nil)
    #expect(try world.perform(.read, 0, 4 * extent) == nil)
    #expect(world.usedBytes(0) == 2 * extent)
    try world.verifyAtRest()
    try world.crash()
    try world.verifyAtRest()
    #expect(try world.perform(.write, 0, extent) == nil)
    #expect(try world.perform(.flush) == nil)
  }

  @Test func changesOfAVolumeThatLostWritesAreNotCommitted() throws {
    let world = try Self.world()
    let before = world.volumes[0].committed
    #expect(try world.perform(.write, 0, block) == nil)
    // Given up on the good store, and taken there: neither may reach the catalog.
    #expect(try world.perform(.trim, extent, extent) == nil)
    world.fullStores = [0]
    #expect(try world.perform(.write, 2 * extent, block) == nil)
    world.fullStores = []
    #expect(try world.perform(1, .trim, 0, extent) == nil)
    try Self.failStore(world) { _ = try $0.begin(1, .flush) }
    #expect(world.volumes[0].committed == before)
    #expect(!world.volumes[1].committed[0].isMapped)
    #expect(world.shared.changes.pendingCount == 0 && !world.shared.changes.hasRetired)
    // The slot that volume 1 gave up is free; the one that the catalog still has for volume 0 is not.
    #expect(world.usedBytes(1) == 2 * extent)
    // No more of it piles up.
    #expect(try world.perform(.write, 3 * extent, block) == .io)
    #expect(try world.perform(.trim, 0, 2 * extent) == .io)
    #expect(try world.perform(.writeZeroes, 0, 2 * extent) == .io)
    #expect(world.shared.changes.pendingCount == 0 && world.usedBytes(1) == 2 * extent)
    // What is mapped on a good store can still be written.
    #expect(try world.perform(.write, 2 * extent, block) == nil)
    try world.crash()
    try world.verifyAtRest()
  }

  @Test func aFailedStoreTakesNoMoreWrites() throws {
    let world = try Self.world()
    #expect(try world.perform(.write, 0, block) == nil)
    try Self.failStore(world) { _ = try $0.begin(.flush) }
    // Volume 2 has lost nothing, and a write that is refused spoils none of its flushes.
    #expect(try world.perform(2, .read, 0, extent) == nil)
    #expect(try world.perform(2, .write, 0, block) == .io)
    #expect(try world.perform(2, .writeZeroes, block, block) == .io)
    #expect(try world.perform(2, .flush) == nil)
    // It leaves the store by trimming; the slot is not used again.
    #expect(try world.perform(2, .trim, 0, extent) == nil)
    #expect(try world.perform(2, .flush) == nil)
    #expect(world.usedBytes(0) == extent)
    #expect(try world.perform(2, .write, 0, extent) == nil)
    #expect(try world.perform(2, .flush) == nil)
    #expect(world.usedBytes(0) == extent && world.usedBytes(1) == 3 * extent)
    try world.crash()
    try world.verifyAtRest()
  }

  /// A slot that was prepared on a store while it failed is not mapped: the extent goes elsewhere.
  @Test func anExtentLeavesAStoreThatFailsWhileItIsPrepared() throws {
    let world = try World(
      seed: 1,
      stores: [WorldStore(capacityBytes: 4 * extent), WorldStore(capacityBytes: 4 * extent, tier: 1)],
      volumes: [(extent, 4 * extent), (extent, 4 * extent)])
    #expect(try world.perform(.write, 0, extent) == nil)
    world.hold(.zero)
    let write = try world.begin(1, .write, 0, block)
    try world.exhaust()
    world.faults.synchronizeError = 1
    world.holds = {
      $0.directive.kind == .zero || ($0.directive.kind == .synchronize && $0.directive.store != 0)
    }
    let flush = try world.begin(.flush)
    try world.exhaust()
    world.faults = .none
    world.letGo()
    try world.settle()
    #expect(world.outcomes[flush] == .some(.some(.io)) && world.outcomes[write] == .some(nil))
    #expect(world.volumes[1].map.view.entry(0).store == StoreID(rawValue: 1))
    #expect(try world.perform(1, .flush) == nil)
    try world.crash()
    try world.verifyAtRest()
  }

  @Test func aFailedCommitFailsFlushesOfVolumesWhoseMapChanged() throws {
    let world = try Self.world()
    #expect(try world.perform(1, .write, extent, block) == nil)
    #expect(try world.perform(2, .write, 0, block) == nil)
    world.faults.commitError = 1
    world.hold(.synchronize)
    let changed = try world.begin(1, .flush)
    let unchanged = try world.begin(2, .flush)
    world.letGo()
    try world.settle()
    #expect(world.outcomes[changed] != .some(nil) && world.outcomes[unchanged] == .some(nil))
    world.faults = .none
    #expect(try world.perform(1, .flush) == nil)
    try world.crash()
    try world.verifyAtRest()
  }
}
