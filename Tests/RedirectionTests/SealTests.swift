import ExtentMap
import NBDWire
import Primitives
import Shadowing
import Simulation
import Testing

@testable import Redirection

private let extent = World.extentBytes
private let block = World.blockBytes

/// Seals: never older than the data, and free for those who write to extents in use (invariant 10).
@Suite struct SealTests {
  /// Extents that have been written and flushed, the first with a shadow in the second store if there is one.
  private static func world(stores: [Int] = [8], written: UInt64 = 1) throws -> World {
    let world = try World.small(extents: 8, stores: stores)
    #expect(try world.perform(.write, 0, written * extent) == nil)
    #expect(try world.perform(.flush) == nil)
    if stores.count > 1 { #expect(try world.move(.replicate, to: 1).end == .done) }
    // The last two sweeps of the activity log.
    for _ in 0..<2 {
      world.redirectors[0].sweepActivity()
      #expect(try world.perform(.flush) == nil)
    }
    return world
  }

  private static func entry(_ world: World, _ extent: UInt64 = 0) -> MapEntry {
    world.volumes[0].map.view.entry(extent)
  }

  @Test func aSealOutlivesACrash() throws {
    let world = try Self.world()
    #expect(try world.seal())
    let seal = world.volumes[0].map.view.seal(0)
    try world.crash()
    #expect(world.volumes[0].map.view.seal(0).checksum == seal.checksum)
    #expect(Self.entry(world).isClosed)
    #expect(try world.scrub().isEmpty)
  }

  @Test func theFirstWriteWaitsUntilTheSealIsForgottenAndTheNextDoesNot() throws {
    let world = try Self.world()
    #expect(try world.seal())
    world.hold(.commit)
    let first = try world.begin(.write, 0, block)
    try world.exhaust()
    #expect(!world.isAnswered(first) && world.count(.write) == 0)
    world.letGo()
    try world.settle()
    #expect(world.isAnswered(first))
    let synchronizations = world.synchronizeCount
    #expect(try world.perform(.write, block, block) == nil)
    #expect(world.synchronizeCount == synchronizations && !Self.entry(world).isClosed)
    try world.crash()
    #expect(!world.volumes[0].map.view.seal(0).isSealed)
  }

  @Test func aWriteThatCannotUnsealFailsAndTheSealHolds() throws {
    let world = try Self.world()
    #expect(try world.seal())
    world.faults.commitError = 1
    #expect(try world.perform(.write, 0, block) != nil)
    world.faults.commitError = 0
    #expect(try world.perform(.write, 0, block) == nil)
    try world.verifyAtRest()
  }

  @Test func aWatchedExtentIsOpenedWithoutAFlush() throws {
    let world = try Self.world()
    _ = try world.volumes[0].map.makeSeal(0)
    #expect(world.shared.changes.watch(0, of: world.volumes[0].map.view))
    #expect(!world.shared.changes.watch(0, of: world.volumes[0].map.view))
    let before = world.synchronizeCount
    #expect(try world.perform(.write, 0, block) == nil)
    #expect(world.synchronizeCount == before && !Self.entry(world).isClosed)
  }

  @Test func whatIsWrittenWhileItIsReadIsNotSealed() throws {
    let world = try Self.world()
    let view = world.volumes[0].map.view
    _ = try world.volumes[0].map.makeSeal(0)
    #expect(world.shared.changes.watch(0, of: view))
    let watched = view.seal(0)
    #expect(try world.perform(.write, 0, block) == nil)
    guard case .void = world.shared.changes.seal(0, of: view, checksum: 7, since: watched) else {
      Issue.record("it is sealed")
      return
    }
    // Nor if it has come to rest again since.
    #expect(world.shared.changes.watch(0, of: view))
    guard case .void = world.shared.changes.seal(0, of: view, checksum: 7, since: watched) else {
      Issue.record("it is sealed")
      return
    }
  }

  @Test func aWriterThatWasThereBeforeIsWaitedFor() throws {
    let world = try Self.world()
    world.hold(.write)
    let write = try world.begin(.write, 0, block)
    try world.exhaust()
    #expect(Self.entry(world).writers == 1)
    _ = try world.volumes[0].map.makeSeal(0)
    #expect(world.shared.changes.watch(0, of: world.volumes[0].map.view))
    let request = Request(
      view: world.volumes[0].map.view, offset: 0, length: extent, flags: [], cookie: 0, owner: 0,
      volumeBytes: extent)
    let scan = Scan(store: StoreID(rawValue: 0), since: world.volumes[0].map.view.seal(0))
    let index = try #require(world.redirectors[0].scan(scan, request))
    guard case .busy = world.redirectors[0].scanOutcome(index).outcome else {
      Issue.record("it is read")
      return
    }
    world.onFinished = { _, _ in }
    world.wake(0)
    try world.exhaust()
    world.onFinished = nil
    world.letGo()
    try world.settle()
    #expect(world.isAnswered(write))
  }

  @Test func aStreamOpensAheadOfItself() throws {
    let world = try Self.world(written: 8)
    for number in 0..<UInt64(8) { #expect(try world.seal(number)) }
    func closed() -> [Bool] { (0..<8).map { Self.entry(world, $0).isClosed } }
    #expect(closed().allSatisfy { $0 })
    #expect(try world.perform(.write, 0, block) == nil)
    #expect(closed().count { !$0 } == 1)
    #expect(try world.perform(.write, extent, block) == nil)
    #expect(closed().count { !$0 } == 3)
    #expect(try world.perform(.write, 3 * extent, block) == nil)
    #expect(closed().count { !$0 } == 7)
    // Elsewhere, nothing is opened but what is written.
    try world.crash()
    for number in 0..<UInt64(7) { #expect(try world.seal(number)) }
    #expect(try world.perform(.write, 4 * extent, block) == nil)
    #expect(closed().count { !$0 } == 1)
    try world.verifyAtRest()
  }

  @Test(arguments: [Command.trim, .writeZeroes]) func whatIsUnmappedIsNotSealed(_ command: Command) throws {
    let world = try Self.world()
    #expect(try world.seal())
    let before = world.synchronizeCount
    #expect(try world.perform(command, 0, extent) == nil)
    #expect(try world.perform(.write, 0, block) == nil)
    // Neither has waited for a flush.
    #expect(world.synchronizeCount == before)
    #expect(!world.volumes[0].map.view.seal(0).isSealed)
    try world.verifyAtRest()
    try world.crash()
    #expect(!world.volumes[0].map.view.seal(0).isSealed)
  }

  @Test func oneFlushUnsealsAndActivates() throws {
    let world = try Self.world(stores: [8, 8])
    #expect(try world.seal())
    #expect(world.shadows()!.isSynced(0) && !world.shadows()!.isActive)
    world.hold(.commit)
    _ = try world.begin(.write, 0, block)
    try world.exhaust()
    #expect(world.shadows()!.isActivating && world.volumes[0].map.view.seal(0).isUnsealing)
    world.letGo()
    try world.settle()
    #expect(world.shadows()!.isActive)
    try world.verifyAtRest()
  }

  @Test func anActiveExtentIsNotSealed() throws {
    let world = try Self.world(stores: [8, 8])
    #expect(try world.perform(.write, 0, block) == nil)
    #expect(world.shadows()!.isActive)
    #expect(try !world.seal())
  }

  @Test(arguments: [UInt8(0), 1]) func aBadCopyIsHealedFromTheGoodOne(_ bad: UInt8) throws {
    let world = try Self.world(stores: [8, 8])
    #expect(try world.seal())
    world.flipBit(in: bad, at: extent - 1)
    let findings = try world.scrub()
    #expect(findings.count == 1 && findings[0].store.rawValue == bad && findings[0].isHealed)
    // The live copy is where it was.
    #expect(Self.entry(world).store.rawValue == 0 && world.shadows()!.isSynced(0))
    #expect(try world.scrub().isEmpty)
    try world.verifyAtRest()
  }

  @Test func aBadCopyWithoutAGoodOneIsReportedAndLeftAlone() throws {
    let world = try Self.world(stores: [8, 8])
    #expect(try world.seal())
    world.flipBit(in: 0)
    world.flipBit(in: 1, at: block)
    for _ in 0..<2 {
      let findings = try world.scrub()
      #expect(findings.map(\.store.rawValue) == [0, 1])
      #expect(findings.allSatisfy { !$0.isHealed && $0.reason == "no copy holds what was sealed" })
    }
    world.flipBit(in: 0)
    #expect(try world.scrub().map(\.isHealed) == [true])
    try world.verifyAtRest()
  }

  @Test func movesKeepTheSeal() throws {
    let world = try Self.world(stores: [8, 8])
    #expect(try world.seal())
    #expect(try world.move(.promote, to: 1).end == .done)
    #expect(try world.move(.drop, to: 0).end == .done)
    #expect(try world.scrub().isEmpty)
    #expect(Self.entry(world).store.rawValue == 1 && world.volumes[0].map.view.seal(0).isSealed)
    try world.verifyAtRest()
  }
}
