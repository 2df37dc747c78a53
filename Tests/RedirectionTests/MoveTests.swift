import ExtentMap
import NBDWire
import Primitives
import Shadowing
import Simulation
import Testing

@testable import Redirection

private let extent = World.extentBytes
private let block = World.blockBytes

/// Moves: nothing is lost, whatever happens meanwhile, and slots come back.
@Suite struct MoveTests {
  private static func world(stores: [Int] = [8, 8]) throws -> World {
    let world = try World.small(stores: stores)
    #expect(try world.perform(.write, 0, extent) == nil)
    #expect(try world.perform(.flush) == nil)
    return world
  }

  @Test func aMigrationLeavesNothingBehind() throws {
    let world = try Self.world()
    let (end, bytes) = try world.move(.migrate, to: 1, from: 0)
    #expect(end == .done && bytes == extent)
    #expect(try world.perform(.flush) == nil)
    #expect(world.usedBytes(0) == 0 && world.usedBytes(1) == extent)
    try world.crash()
    #expect(world.volumes[0].map.view.entry(0).store.rawValue == 1)
    try world.verifyAtRest()
  }

  @Test func whatIsWrittenMeanwhileIsCopiedOnceMore() throws {
    let world = try Self.world()
    // The copy of the first parts is read, and not yet written.
    world.holds = { $0.directive.kind == .write && $0.directive.store == 1 }
    world.redirectors[0].now = 0
    _ = try world.volumes[0].map.makeShadowLine(0)
    let number = world.begin(
      Move(
        .replicate, volume: VolumeID(rawValue: 1), extent: 0, to: StoreID(rawValue: 1), reason: "a test"))
    try world.exhaust()
    #expect(world.jobs.contains { $0.directive.kind == .write && $0.directive.store == 1 })
    #expect(try world.perform(.write, 0, 3 * block) == nil)
    world.letGo()
    try world.settle()
    #expect(number > 0 && world.shadows()!.isSynced(0))
    try world.verifyAtRest()
  }

  /// It may have read as something older since its last writes were lost, before anybody knew.
  @Test func whatWasCopiedFromAStoreThatFailsIsCopiedOnceMore() throws {
    let world = try Self.world(stores: [8, 8, 8])
    #expect(try world.move(.replicate, to: 1).end == .done)
    #expect(try world.perform(.write, 0, block) == nil)
    world.holds = { $0.directive.kind == .write && $0.directive.store == 2 }
    world.begin(
      Move(
        .replicate, volume: VolumeID(rawValue: 1), extent: 0, to: StoreID(rawValue: 2), reason: "a test"))
    while world.count(.write) == 0, try world.step() {}
    let line = world.shadows()!
    #expect(line.missed(1) == 0 && line.shadow(1).isFilling, "all of it is on its way")
    world.shared.stores.markFailed(StoreID(rawValue: 0))
    world.redirectors[0].dropCopies(in: StoreID(rawValue: 0))
    #expect(world.volumes[0].map.view.entry(0).store.rawValue == 1)
    #expect(line.missed(1) == world.volumes[0].map.view.allParts)
    world.letGo()
    try world.settle()
    #expect(line.isSynced(1))
    try world.verifyShadows()
  }

  /// The shadow lacks something again when it is about to become the live copy.
  @Test func aWriteThatMissesTheTargetBeforeThePromotionDoesNotEndTheMove() throws {
    let world = try Self.world()
    _ = try world.volumes[0].map.makeShadowLine(0)
    let line = world.shadows()!
    world.begin(
      Move(
        .migrate, volume: VolumeID(rawValue: 1), extent: 0, to: StoreID(rawValue: 1),
        from: StoreID(rawValue: 0), reason: "a test"))
    while !line.isSynced(0), try world.step() {}
    world.holds = { $0.directive.kind == .write && $0.directive.store == 1 }
    let write = try world.begin(.write, 0, block)
    while !world.isAnswered(write), try world.step() {}
    #expect(world.outcomes[write] == .some(nil) && line.missed(0) == 1)
    world.letGo()
    try world.settle()
    #expect(world.volumes[0].map.view.entry(0).store.rawValue == 1 && !line.hasShadows)
    try world.verifyAtRest()
  }

  @Test func aMoveWithoutRoomIsRefusedAndGivesBackNothing() throws {
    let world = try Self.world(stores: [8, 0])
    #expect(try world.move(.replicate, to: 1).end == .failed(.begin, .full))
    #expect(!world.shadows()!.hasShadows)
    #expect(try world.move(.replicate, to: 0).end == .failed(.begin, .refused))
    #expect(try world.move(.drop, to: 1).end == .gone)
    #expect(try world.move(.promote, to: 1).end == .gone)
    #expect(try world.move(.replicate, 3, to: 1).end == .gone)
    try world.verifyAtRest()
  }

  @Test func aFullExtentGetsACopyOnlyInPlaceOfAnother() throws {
    let world = try Self.world(stores: [8, 8, 8, 8, 8])
    for store in 1..<UInt8(4) { #expect(try world.move(.replicate, to: store).end == .done) }
    #expect(try world.move(.migrate, to: 4, from: 0).end == .failed(.begin, .crowded))
    #expect(try world.move(.replace, to: 4, from: 2).end == .done)
    #expect(try world.perform(.flush) == nil)
    #expect((0..<5).map { world.usedBytes($0) } == [extent, extent, 0, extent, extent])
    #expect(try world.move(.replace, to: 2, from: 0).end == .gone)
    try world.crash()
    try world.verifyAtRest()
  }

  @Test func whatIsReadBackDecides() throws {
    let world = try Self.world()
    world.faults.readError = 1
    // The first read, of the source, is spared: the second is the one that verifies.
    world.holds = { $0.directive.kind == .read && $0.directive.store == 0 }
    _ = try world.volumes[0].map.makeShadowLine(0)
    world.begin(
      Move(
        .replicate, volume: VolumeID(rawValue: 1), extent: 0, to: StoreID(rawValue: 1), reason: "a test"))
    try world.exhaust()
    world.faults = .none
    world.holds = { $0.directive.kind == .read && $0.directive.store == 1 }
    try world.exhaust()
    world.faults.readError = 1
    world.letGo()
    try world.settle()
    world.faults = .none
    #expect(!world.shadows()!.hasShadows && world.usedBytes(0) == extent)
    #expect(try world.perform(.flush) == nil)
    #expect(world.usedBytes(1) == 0)
    try world.verifyAtRest()
  }

  @Test func aCrashAtAnyMomentLeavesTheOldOrTheNewPlace() throws {
    for events in 0..<60 {
      let world = try Self.world()
      _ = try world.volumes[0].map.makeShadowLine(0)
      world.begin(
        Move(
          .migrate, volume: VolumeID(rawValue: 1), extent: 0, to: StoreID(rawValue: 1),
          from: StoreID(rawValue: 0), reason: "a test"))
      for _ in 0..<events { try world.step() }
      if events.isMultiple(of: 3) { try world.begin(.flush) }
      for _ in 0..<events / 2 { try world.step() }
      try world.crash()
      try world.verifyAtRest()
    }
  }
}
