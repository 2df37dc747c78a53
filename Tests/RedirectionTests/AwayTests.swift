import ExtentMap
import NBDWire
import Primitives
import Shadowing
import Simulation
import Testing

@testable import Redirection

private let extent = World.extentBytes
private let block = World.blockBytes
private let far = StoreID(rawValue: 0)

/// Stores that can not be reached for a while: who waits for them, and who does not.
@Suite struct AwayTests {
  /// Store 0 lies behind a server, store 1 does not. The first extent of volume 0 lies on store 0; volume 1
  /// has nothing.
  private static func world() throws -> World {
    let world = try World(
      stores: [
        WorldStore(capacityBytes: 8 * extent, isRemote: true), WorldStore(capacityBytes: 8 * extent, tier: 1),
      ],
      volumes: [(extent, 4 * extent), (extent, 4 * extent)])
    #expect(try world.perform(.write, 0, extent) == nil)
    #expect(try world.perform(.flush) == nil)
    return world
  }

  private static func mirrored() throws -> World {
    let world = try Self.world()
    #expect(try world.move(.replicate, to: 1).end == .done)
    #expect(try world.perform(.write, 0, block) == nil)
    #expect(try world.perform(.flush) == nil)
    return world
  }

  private static func lose(_ world: World) {
    world.loseServer(of: far.rawValue)
    world.shared.stores.setAway(far, true)
  }

  @Test func anotherCopyIsUsedAtOnce() throws {
    let world = try Self.mirrored()
    Self.lose(world)
    world.hold(.synchronize)
    for number in UInt64(0)..<8 {
      let write = try world.begin(.write, number * block, block)
      let read = try world.begin(.read, (8 + number) * block, block)
      for _ in 0..<200 where !(world.isAnswered(write) && world.isAnswered(read)) { try world.step() }
      // The first promotes the other copy, for which it waits for a round.
      if number > 0 { #expect(world.outcomes[read] == .some(nil)) }
      world.letGo()
    }
    try world.settle()
    #expect(world.redirectors[0].missedDeadlines.hedgedReads == 0)
    #expect(world.volumes[0].map.view.entry(0).store.rawValue == 1)
    #expect(world.shadows()!.missed(0).nonzeroBitCount == 8)
    world.endOutage(of: 0)
    #expect(try world.move(.resync, to: 0).bytes == 8 * block)
    try world.verifyAtRest()
  }

  @Test func newExtentsGoElsewhereIfThereIsRoom() throws {
    let world = try Self.world()
    Self.lose(world)
    #expect(try world.perform(.write, extent, block) == nil)
    #expect(world.volumes[0].map.view.entry(1).store.rawValue == 1)
    world.fullStores = [1]
    // Nowhere else: it waits.
    let write = try world.begin(.write, 2 * extent, block)
    for _ in 0..<50 { try world.step() }
    #expect(!world.isAnswered(write))
    world.endOutage(of: 0)
    try world.settle()
    #expect(world.outcomes[write] == .some(nil))
    try world.verifyAtRest()
  }

  @Test(arguments: [false, true])
  func aVolumeWaitsOrFails(failsAtOnce: Bool) throws {
    let world = try Self.world()
    world.faults.outage = .long
    world.volumes[0].map.view.marks.failsAtOnce = failsAtOnce
    Self.lose(world)
    let read = try world.begin(.read, 0, block)
    let write = try world.begin(.write, 0, block)
    for _ in 0..<50 { try world.step() }
    #expect(world.isAnswered(read) == failsAtOnce && world.isAnswered(write) == failsAtOnce)
    world.endOutage(of: 0)
    try world.settle()
    for cookie in [read, write] { #expect(world.outcomes[cookie] == .some(failsAtOnce ? .io : nil)) }
    try world.verifyAtRest()
  }

  @Test func othersFlushWithoutIt() throws {
    let world = try Self.world()
    #expect(try world.perform(.write, 0, block) == nil)
    world.fullStores = [0]
    #expect(try world.perform(1, .write, 0, block) == nil)
    Self.lose(world)
    let (waits, goesOn) = (try world.begin(.flush), try world.begin(1, .flush))
    for _ in 0..<200 where !world.isAnswered(goesOn) { try world.step() }
    #expect(world.outcomes[goesOn] == .some(nil) && !world.isAnswered(waits))
    #expect(world.volumes[1].committed[0].isMapped)
    world.endOutage(of: 0)
    try world.settle()
    #expect(world.outcomes[waits] == .some(nil))
    try world.verifyAtRest()
  }

  /// What was written is kept by whoever sends it: a flush that failed for want of a server can succeed
  /// later.
  @Test func aFlushThatWaitedInVainLosesNothing() throws {
    let world = try Self.world()
    #expect(try world.perform(.write, 0, block) == nil)
    #expect(try world.perform(.write, extent, block) == nil)
    Self.lose(world)
    world.faults.outage = .long
    #expect(try world.perform(.flush) == .io)
    #expect(!world.hasFailedStore && !world.shared.stores.hasFailed(far) && world.shared.stores.isBehind(far))
    #expect(!world.volumes[0].committed[1].isMapped, "data before map")
    // Whoever did not write there is not concerned.
    world.fullStores = [0]
    #expect(try world.perform(1, .write, 0, block) == nil)
    #expect(try world.perform(1, .flush) == nil)
    world.endOutage(of: 0)
    try world.settle()
    #expect(!world.shared.stores.isBehind(far))
    #expect(try world.perform(.flush) == nil)
    #expect(world.volumes[0].committed[1].isMapped)
    try world.crash()
    try world.verifyAtRest()
  }

  /// A round begins while a store is late, so it does not ask that store; that the store's old
  /// synchronization ends meanwhile says nothing of what was written since.
  @Test func aRoundDoesNotCommitWhatItHasNotSynchronized() throws {
    let world = try Self.world()
    #expect(try world.perform(.write, 0, block) == nil)
    Self.lose(world)
    world.hold(.synchronize)
    let first = try world.begin(.flush)
    for _ in 0..<20 { try world.step() }
    #expect(world.shared.stores.isSynchronizingLate(far))
    // It is back, and slow: what is written now is not part of what it is doing.
    world.endOutage(of: 0)
    try world.begin(.write, extent, block)
    try world.exhaust()
    #expect(world.volumes[0].map.view.entry(1).store == far)
    world.fullStores = [0]
    try world.begin(1, .write, 0, block)
    try world.exhaust()
    let second = try world.begin(.flush)
    try world.exhaust()
    #expect(world.jobs.map(\.directive.store).sorted() == [0, 1])
    world.holds = { $0.directive.kind == .synchronize && $0.directive.store == 1 }
    try world.exhaust()
    #expect(!world.shared.stores.isSynchronizingLate(far))
    // The world itself finds out about what is committed too early.
    world.letGo()
    try world.settle()
    #expect(world.outcomes[first] == .some(nil) && world.outcomes[second] == .some(nil))
    #expect(world.volumes[0].committed[1].isMapped)
    try world.verifyAtRest()
  }

  /// The live copy can not be read for the blocks that a write covers in part, so a shadow takes over in the
  /// middle of the write. It is durable only once the catalog knows of that.
  @Test func aDurableWriteThatChangesTheLiveCopyIsCommitted() throws {
    let world = try Self.mirrored()
    world.faults.readError = 1
    world.holds = { $0.directive.kind == .read && $0.directive.store == 1 || $0.directive.kind == .commit }
    let write = try world.begin(.write, 8 * block + 1024, 1024, .forceUnitAccess)
    try world.exhaust()
    world.faults = .none
    world.hold(.commit)
    try world.exhaust()
    #expect(world.volumes[0].map.view.entry(0).store.rawValue == 1)
    #expect(!world.isAnswered(write))
    world.letGo()
    try world.settle()
    #expect(world.outcomes[write] == .some(nil))
    try world.crash()
    try world.verifyAtRest()
  }
}
