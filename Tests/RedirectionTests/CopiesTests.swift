import ExtentMap
import NBDWire
import Primitives
import Shadowing
import Simulation
import Testing

@testable import Redirection

private let extent = World.extentBytes
private let block = World.blockBytes

/// Writes to extents with shadows: where they go, in which order, and what is known of those that miss one.
@Suite struct CopiesTests {
  @Test func extentsComeToRestWithoutAnotherFlush() throws {
    let world = try World.small(stores: [8, 8])
    #expect(try world.perform(.write, 0, extent) == nil)
    #expect(try world.move(.replicate, to: 1).end == .done)
    #expect(try world.perform(.flush) == nil)
    #expect(world.shadows()!.isActive)
    let before = world.synchronizeCount
    for _ in 0..<2 { world.redirectors[0].sweepActivity() }
    #expect(!world.shadows()!.isActive && world.synchronizeCount == before)
    try world.verifyAtRest()
  }

  /// Whatever rounds end meanwhile: they are not about a write that has not ended.
  @Test func anExtentIsNotAtRestAsLongAsAWriteIsUnderWay() throws {
    let world = try Self.mirrored()
    world.holds = { $0.directive.kind == .write && $0.directive.offset < extent }
    let write = try world.begin(.write, 0, block)
    try world.exhaust()
    world.redirectors[0].sweepActivity()
    for command in [Command.write, .flush] {
      let other = try world.begin(command, command == .write ? extent : 0, command == .write ? block : 0)
      try world.exhaust()
      #expect(world.outcomes[other] == .some(nil) && !world.isAnswered(write))
    }
    world.letGo()
    while !world.isAnswered(write) { try world.step() }
    world.redirectors[0].sweepActivity()
    #expect(world.shadows()!.isActive, "the copies may still differ after a crash")
    #expect(try world.perform(.flush) == nil)
    for _ in 0..<2 { world.redirectors[0].sweepActivity() }
    #expect(!world.shadows()!.isActive)
    try world.verifyAtRest()
  }

  /// A durable write covers a block in part, and the live copy of that block can not be read: a shadow takes over
  /// before anything is written.
  @Test func aDurableWriteWaitsForTheTakeoverThatItHasCaused() throws {
    let world = try World.small(stores: [8, 8])
    #expect(try world.perform(.write, 0, World.extentBytes) == nil)
    #expect(try world.move(.replicate, to: 1).end == .done)
    #expect(try world.perform(.flush) == nil)
    world.faults.readError = 1
    world.holds = { $0.directive.kind == .read && $0.directive.store == 1 }
    let write = try world.begin(.write, 1024, 1024, .forceUnitAccess)
    try world.exhaust()
    #expect(!world.isAnswered(write))
    world.faults.readError = 0
    world.letGo()
    while !world.isAnswered(write) { try world.step() }
    try world.crash()
    #expect(world.volumes[0].map.view.entry(0).store.rawValue == 1)
    try world.verifyAtRest()
  }

  /// The first extent has its live copy on store 0 and a synced shadow on store 1; all is durable and at
  /// rest.
  private static func mirrored(stores: Int = 2) throws -> World {
    let world = try World.small(stores: Array(repeating: 8, count: stores))
    #expect(try world.perform(.write, 0, extent) == nil)
    for store in 1..<stores { #expect(try world.move(.replicate, to: UInt8(store)).end == .done) }
    try rest(world)
    return world
  }

  /// Flushes, and has the catalog know that the copies are equal.
  private static func rest(_ world: World) throws {
    #expect(try world.perform(.flush) == nil)
    world.redirectors[0].sweepActivity(all: true)
    #expect(try world.perform(.flush) == nil)
    #expect(world.shared.changes.activity.count == 0)
  }

  private static func stores(_ world: World, _ kind: Directive.Kind) -> [UInt8] {
    world.jobs.filter { $0.directive.kind == kind }.map(\.directive.store).sorted()
  }

  @Test func aWriteGoesToAllCopies() throws {
    let world = try Self.mirrored(stores: 3)
    world.hold(.write)
    let write = try world.begin(.write, 0, block)
    try world.exhaust()
    #expect(Self.stores(world, .write) == [0, 1, 2])
    // The live copy alone is not enough.
    world.holds = { $0.directive.kind == .write && $0.directive.store == 2 }
    #expect(!world.isAnswered(write))
    world.letGo()
    try world.settle()
    #expect(world.outcomes[write] == .some(nil))
    try world.verifyAtRest()
  }

  @Test func theCatalogKnowsBeforeCopiesDiffer() throws {
    let world = try Self.mirrored()
    world.hold(.commit)
    let write = try world.begin(.write, 0, block)
    try world.exhaust()
    #expect(Self.stores(world, .write) == [] && !world.isAnswered(write))
    world.letGo()
    try world.settle()
    #expect(world.outcomes[write] == .some(nil) && world.shadows()!.isActive)
    // From then on it costs nothing.
    world.hold(.commit)
    #expect(try world.perform(.write, block, block) == nil)
  }

  @Test func afterACrashActiveExtentsAreSuspectedAndNoOthers() throws {
    let world = try Self.mirrored()
    #expect(try world.perform(.write, extent, extent) == nil)
    #expect(try world.move(.replicate, 1, to: 1).end == .done)
    try Self.rest(world)
    #expect(try world.perform(.write, 0, block) == nil)
    try world.crash()
    #expect(world.shadows(of: 0)!.missed(0) == world.volumes[0].map.view.allParts)
    #expect(world.shadows(of: 1)!.isSynced(0))
    #expect(try world.move(.resync, 0, to: 1).bytes == extent)
    try world.verifyAtRest()
  }

  @Test func writesThatOverlapReachCopiesInOneOrder() throws {
    let world = try Self.mirrored()
    #expect(try world.perform(.write, 0, block) == nil)
    world.hold(.write)
    try world.begin(.write, 0, 2 * block)
    try world.begin(.write, block, block)
    let other = try world.begin(.write, 4 * block, block)
    try world.exhaust()
    // The second waits for the first on both stores; the third has nothing to do with them.
    #expect(Self.stores(world, .write) == [0, 0, 1, 1])
    world.letGo()
    try world.settle()
    #expect(world.outcomes[other] == .some(nil))
    try world.verifyAtRest()
  }

  @Test func aShadowThatMissesAWriteIsLeftBehindAndFilledAgain() throws {
    let world = try Self.mirrored()
    #expect(try world.perform(.write, 0, block) == nil)
    world.faults.writeError = 1
    world.holds = { $0.directive.kind == .write && $0.directive.store == 0 }
    let write = try world.begin(.write, 8 * block, block)
    try world.exhaust()
    world.faults = .none
    world.letGo()
    try world.settle()
    #expect(world.outcomes[write] == .some(nil))
    let line = world.shadows()!
    #expect(line.missed(0) == world.volumes[0].map.view.parts(from: 8 * block, to: 9 * block))
    // It is not written to until it has what it lacks, and gets that and no more.
    #expect(try world.perform(.write, 9 * block, block) == nil)
    let (end, bytes) = try world.move(.resync, to: 1)
    #expect(end == .done && bytes == 2 * block && line.isSynced(0))
    try world.verifyAtRest()
  }

  @Test func aShadowTakesOverFromALiveCopyThatMissesAWrite() throws {
    let world = try Self.mirrored()
    #expect(try world.perform(.write, 0, block) == nil)
    world.faults.writeError = 1
    world.holds = { $0.directive.kind == .write && $0.directive.store == 1 || $0.directive.kind == .commit }
    let write = try world.begin(.write, 0, block)
    try world.exhaust()
    world.faults = .none
    world.hold(.commit)
    try world.exhaust()
    // Not before the catalog knows.
    #expect(!world.isAnswered(write))
    world.letGo()
    try world.settle()
    #expect(world.outcomes[write] == .some(nil))
    #expect(world.volumes[0].map.view.entry(0).store.rawValue == 1)
    #expect(world.shadows()!.shadow(0).address.store.rawValue == 0 && !world.shadows()!.isSynced(0))
    try world.crash()
    #expect(world.volumes[0].map.view.entry(0).store.rawValue == 1)
    try world.verifyAtRest()
  }

  @Test func aReadThatFailsIsReadElsewhereAndTheCopyHealed() throws {
    let world = try Self.mirrored()
    world.faults.readError = 1
    world.holds = { $0.directive.kind == .read && $0.directive.store == 1 }
    let read = try world.begin(.read, 0, block)
    try world.exhaust()
    world.faults = .none
    world.letGo()
    try world.settle()
    #expect(world.outcomes[read] == .some(nil))
    // The shadow is the live copy now, and the other lacks a block.
    #expect(world.volumes[0].map.view.entry(0).store.rawValue == 1)
    #expect(try world.move(.resync, to: 0).bytes == block)
    try world.verifyAtRest()
  }

  @Test func withoutProtectionOnlyTheLiveCopyIsWritten() throws {
    let world = try Self.mirrored()
    world.volumes[0].map.view.marks.protection = .async
    #expect(try world.perform(.write, 0, block) == nil)
    #expect(world.shadows()!.missed(0) == 1)
    #expect(try world.move(.resync, to: 1).bytes == block)
    try world.verifyAtRest()
  }

  @Test func aTrimTakesAllCopies() throws {
    let world = try Self.mirrored()
    #expect(try world.perform(.trim, 0, extent) == nil)
    #expect(try world.perform(.flush) == nil)
    #expect(world.usedBytes(0) == 0 && world.usedBytes(1) == 0)
    #expect(try world.perform(.write, 0, block) == nil)
    try world.verifyAtRest()
  }

  @Test func aFailedStoreCostsNothingThatHasAnotherCopy() throws {
    let world = try Self.mirrored()
    #expect(try world.perform(.write, 0, block) == nil)
    let flush = try world.begin(.flush)
    world.hold(.synchronize)
    try world.exhaust()
    world.faults.synchronizeError = 1
    world.holds = { $0.directive.kind == .synchronize && $0.directive.store != 0 }
    try world.exhaust()
    world.faults = .none
    world.letGo()
    try world.settle()
    #expect(world.hasFailedStore && world.outcomes[flush] == .some(nil))
    #expect(world.volumes[0].map.view.entry(0).store.rawValue == 1)
    #expect(try world.perform(.write, 0, 2 * block) == nil)
    #expect(try world.perform(.flush) == nil)
    try world.crash()
    try world.verifyAtRest()
  }
}
