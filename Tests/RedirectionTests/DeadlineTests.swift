import ExtentMap
import NBDWire
import Primitives
import Shadowing
import Simulation
import Synchronization
import Testing

@testable import Redirection

private let extent = World.extentBytes
private let block = World.blockBytes

/// A store that hangs does not hang who has another copy (invariant 8).
@Suite struct DeadlineTests {
  private static func mirrored() throws -> World {
    let world = try World.small(stores: [8, 8])
    #expect(try world.perform(.write, 0, extent) == nil)
    #expect(try world.move(.replicate, to: 1).end == .done)
    #expect(try world.perform(.write, 0, block) == nil)
    #expect(try world.perform(.flush) == nil)
    return world
  }

  @Test func aReadThatHangsIsAnsweredByTheOtherCopy() throws {
    let world = try Self.mirrored()
    world.holds = { $0.directive.kind == .read && $0.directive.store == 0 }
    let reads = try (0..<8).map { try world.begin(.read, $0 * block, block) }
    try world.exhaust()
    #expect(reads.allSatisfy { world.outcomes[$0] == .some(nil) })
    let missed = world.redirectors[0].missedDeadlines
    #expect(missed.hedgedReads > 0 && missed.hedgesWon == missed.hedgedReads)
    // The hanging store is left alone for a while: no further read is sent twice.
    #expect(try world.perform(.read, 0, block) == nil)
    #expect(world.redirectors[0].missedDeadlines == missed)
    #expect(!world.redirectors[0].isIdle)
    world.letGo()
    try world.verifyAtRest()
  }

  @Test func aWriteThatHangsInOneCopyIsAnsweredByTheOther() throws {
    for slow in [UInt8(0), 1] {
      let world = try Self.mirrored()
      world.holds = { $0.directive.kind == .write && $0.directive.store == slow }
      let write = try world.begin(.write, 2 * block, block)
      try world.exhaust()
      #expect(world.outcomes[write] == .some(nil))
      #expect(world.redirectors[0].missedDeadlines.writes == 1)
      #expect(world.volumes[0].map.view.entry(0).store.rawValue == 1 - slow)
      #expect(world.shared.stores.isLate(StoreID(rawValue: slow)))
      // Later writes do not wait for it; and nothing is filled there as long as the old write may land on it.
      #expect(try world.perform(.write, 2 * block, block) == nil)
      let number = world.begin(
        Move(
          .resync, volume: VolumeID(rawValue: 1), extent: 0, to: StoreID(rawValue: slow), reason: "a test"))
      for _ in 0..<500 { try world.step() }
      #expect(number > 0 && !world.shadows()!.isSynced(0))
      world.letGo()
      try world.settle()
      #expect(world.shadows()!.isSynced(0))
      try world.verifyAtRest()
    }
  }

  /// With parts of blocks at both ends, and over extents: what is left over of the first does not keep the
  /// second waiting.
  @Test(arguments: [UInt8(0), 1], [0, 1024 as UInt64])
  func aZeroThatHangsInOneCopyGoesOnWithoutIt(slow: UInt8, shift: UInt64) throws {
    let world = try Self.mirrored()
    #expect(try world.perform(.write, extent, 2 * extent) == nil)
    for number in UInt64(1)...2 { #expect(try world.move(.replicate, number, to: 1).end == .done) }
    world.holds = { $0.directive.store == slow && [.write, .zero].contains($0.directive.kind) }
    let (start, end) = (extent - 2 * block + shift, 2 * extent + 2 * block + shift)
    let zero = try world.begin(.writeZeroes, start, end - start, on: 0, .noHole)
    try world.exhaust()
    #expect(world.outcomes[zero] == .some(nil))
    #expect(world.redirectors[0].missedDeadlines.writes > 0 && world.redirectors[0].operationsInUse > 0)
    let read = try world.begin(.read, start, end - start)
    try world.exhaust()
    #expect(world.outcomes[read] == .some(nil))
    world.letGo()
    try world.settle()
    #expect(world.redirectors[0].operationsInUse == 0)
    try world.crash()
    try world.verifyAtRest()
  }

  /// What a write covers in part is read first: a store that hangs is left alone with that as with any read.
  @Test(arguments: [UInt8(0), 1], [Command.write, .writeZeroes])
  func blocksThatAreWrittenInPartAreReadFromTheOtherCopy(slow: UInt8, command: Command) throws {
    let world = try Self.mirrored()
    world.holds = { $0.directive.store == slow && [.read, .write].contains($0.directive.kind) }
    let began = world.redirectors[0].now
    // Both ends of three blocks, and one block inside.
    let changes = try [
      world.begin(command, 2 * block + 1024, 2 * block), world.begin(command, 6 * block + 1024, 1024),
    ]
    while !changes.allSatisfy(world.isAnswered), try world.step() {}
    #expect(changes.allSatisfy { world.outcomes[$0] == .some(nil) })
    // A read's deadline, and a write's.
    #expect(world.redirectors[0].now - began < 120_000_000)
    let read = try world.begin(.read, 0, 8 * block)
    try world.exhaust()
    #expect(world.outcomes[read] == .some(nil) && world.redirectors[0].operationsInUse > 0)
    world.letGo()
    try world.settle()
    #expect(world.redirectors[0].operationsInUse == 0)
    try world.verifyAtRest()
  }

  /// A request is answered when what is held is let go, and not before.
  private static func waitsForWhatIsHeld(_ request: UInt64, in world: World) throws {
    try world.exhaust()
    #expect(!world.isAnswered(request))
    world.letGo()
    try world.settle()
    #expect(world.outcomes[request] == .some(nil))
    try world.verifyAtRest()
  }

  /// They are read all the same when there is no operation left to do that.
  @Test func blocksThatAreWrittenInPartAreReadWithoutAnotherOperation() throws {
    let world = try World(
      stores: [WorldStore(capacityBytes: 8 * extent), WorldStore(capacityBytes: 8 * extent, tier: 1)],
      volumes: [(extent, 4 * extent)], bufferBytes: 16 << 20)
    #expect(try world.perform(.write, 0, extent) == nil)
    #expect(try world.move(.replicate, to: 1).end == .done)
    #expect(try world.perform(.write, 0, block) == nil)
    world.holds = { $0.directive.kind == .read }
    while world.redirectors[0].slab.freeCount > 2 { try world.begin(.read, 0, block) }
    let write = try world.begin(.write, 2 * block + 1024, 2 * block)
    #expect(world.redirectors[0].slab.freeCount == 1)
    try Self.waitsForWhatIsHeld(write, in: world)
  }

  @Test func aStoreThatIsLateIsNotWaitedForAgainByTheRoundThatSaysSo() throws {
    let world = try Self.mirrored()
    // Its synchronizations take long as a rule.
    for _ in 0..<100 {
      world.redirectors[0].synchronizationPaces[0].began()
      world.redirectors[0].synchronizationPaces[0].ended(after: 500_000_000, at: world.redirectors[0].now)
    }
    #expect(try world.perform(.write, 0, block) == nil)
    world.holds = { $0.directive.store == 0 && [.write, .synchronize].contains($0.directive.kind) }
    let began = world.redirectors[0].now
    let write = try world.begin(.write, 2 * block, block)
    while !world.isAnswered(write), try world.step() {}
    #expect(world.outcomes[write] == .some(nil))
    // 40 ms for the write, 10 for the round, and what commits take here.
    #expect(world.redirectors[0].now - began < 90_000_000)
    world.letGo()
    try world.verifyAtRest()
  }

  @Test func aSynchronizationThatHangsDoesNotHoldUpWhoHasAnotherCopy() throws {
    let world = try Self.mirrored()
    #expect(try world.perform(.write, 0, block) == nil)
    world.holds = { $0.directive.kind == .synchronize && $0.directive.store == 0 }
    let flush = try world.begin(.flush)
    try world.exhaust()
    #expect(world.outcomes[flush] == .some(nil))
    #expect(world.redirectors[0].missedDeadlines.synchronizations == 1)
    #expect(world.volumes[0].map.view.entry(0).store.rawValue == 1)
    // What it was written last may be lost with it.
    try world.crash()
    try world.verifyAtRest()
  }

  @Test func aStoreThatReturnsDuringARoundWaitsForTheNext() throws {
    let world = try Self.mirrored()
    #expect(try world.perform(.write, 0, block) == nil)
    world.holds = { $0.directive.kind == .synchronize && $0.directive.store == 0 }
    let first = try world.begin(.flush)
    try world.exhaust()
    #expect(world.outcomes[first] == .some(nil))
    // The second extent comes to lie on the store that is late, after its synchronization began.
    let writes = [try world.begin(.write, extent, extent), try world.begin(.write, 0, block)]
    while !writes.allSatisfy(world.isAnswered) { try world.step() }
    #expect(world.volumes[0].map.view.entry(1).store.rawValue == 0)
    world.holds = { $0.directive.kind == .synchronize }
    let second = try world.begin(.flush)
    while world.count(.synchronize) < 2 { try world.step() }
    world.holds = { $0.directive.kind == .synchronize && $0.directive.store == 1 }
    while world.count(.synchronize) > 1 { try world.step() }
    #expect(!world.isAnswered(second))
    world.letGo()
    try world.settle()
    #expect(world.outcomes[second] == .some(nil))
    try world.crash()
    try world.verifyAtRest()
  }

  @Test func aSynchronizationThatHangsHoldsUpWhoHasNoOtherCopy() throws {
    let world = try Self.mirrored()
    // The second extent lies on store 0 alone.
    #expect(try world.perform(.write, extent, block) == nil)
    world.holds = { $0.directive.kind == .synchronize && $0.directive.store == 0 }
    let flush = try world.begin(.flush)
    try Self.waitsForWhatIsHeld(flush, in: world)
  }

  /// For a while there was only one copy of what was written; now there are two again.
  @Test func aSynchronizationThatHangsDoesNotHoldUpWhoHasAnotherCopyAgain() throws {
    let world = try Self.mirrored()
    world.holds = { $0.directive.kind == .write && $0.directive.store == 1 }
    #expect(try world.perform(.write, 0, block) == nil)
    world.letGo()
    #expect(!world.shadows()!.isSynced(0))
    world.holds = { $0.directive.kind == .synchronize && $0.directive.store == 0 }
    #expect(try world.move(.resync, to: 1).bytes == block)
    let flush = try world.begin(.flush)
    try world.exhaust()
    #expect(world.outcomes[flush] == .some(nil))
    #expect(world.volumes[0].map.view.entry(0).store.rawValue == 1)
    try world.crash()
    try world.verifyAtRest()
  }

  /// The gate is closed while the last parts are copied, and the store that they are read from hangs, or the other.
  @Test(arguments: [Directive.Kind.read, .write]) func aMoveThatHangsDoesNotHoldUpWriters(
    kind: Directive.Kind
  ) throws {
    let world = try World.small(stores: [8, 8])
    #expect(try world.perform(.write, 0, extent) == nil)
    _ = try world.volumes[0].map.makeShadowLine(0)
    let line = world.shadows()!
    let number = world.begin(
      Move(
        .replicate, volume: VolumeID(rawValue: 1), extent: 0, to: StoreID(rawValue: 1), reason: "a test"))
    while !line.shadow(0).isFilling || line.missed(0) != 0 || world.count(.read) + world.count(.write) > 0,
      try world.step()
    {}
    // The gate waits for this writer, and then a part is lacking again.
    world.holds = { $0.directive.kind == .write && $0.directive.store == 0 }
    let first = try world.begin(.write, 0, block)
    let view = world.volumes[0].map.view
    while !view.entry(0).isGated, try world.step() {}
    world.holds = { $0.directive.kind == kind && $0.directive.store == (kind == .read ? 0 : 1) }
    while !world.jobs.contains(where: world.holds), try world.step() {}
    let second = try world.begin(.write, 0, 2 * block)
    let began = world.redirectors[0].now
    while !world.isAnswered(second), try world.step() {}
    #expect(world.redirectors[0].now - began < 2 * MoveState.lastPassPatience)
    #expect(world.outcomes[first] == .some(nil) && world.outcomes[second] == .some(nil))
    #expect(line.shadow(0).isFilling && line.missed(0) == 3 && !world.redirectors[0].isIdle)
    // It is not tried again before the store has done it.
    for _ in 0..<100 { try world.step() }
    #expect(world.count(.read) + world.count(.write) == 1 && !view.entry(0).isGated)
    world.letGo()
    try world.settle()
    #expect(number > 0 && line.isSynced(0))
    try world.verifyAtRest()
  }

  @Test func aSynchronizationThatHangsDoesNotHoldUpAnExtentThatIsNew() throws {
    let world = try World.small(stores: [8, 8])
    world.volumes[0].map.view.marks.copies = 2
    #expect(try world.perform(.write, 0, block) == nil)
    world.holds = { $0.directive.kind == .synchronize && $0.directive.store == 0 }
    let flush = try world.begin(.flush)
    try world.exhaust()
    #expect(world.outcomes[flush] == .some(nil))
    #expect(world.volumes[0].map.view.entry(0).store.rawValue == 1)
    try world.crash()
    try world.verifyAtRest()
  }

  /// An extent that was at rest when the rounds began to do without the store that it lives on: what is
  /// written to it now must not depend on that store after a crash.
  @Test func whatIsWrittenWhileASynchronizationHangsLivesElsewhere() throws {
    let world = try Self.mirrored()
    #expect(try world.perform(.write, extent, extent) == nil)
    #expect(try world.move(.replicate, 1, to: 1).end == .done)
    #expect(try world.perform(.flush) == nil)
    world.redirectors[0].sweepActivity(all: true)
    #expect(try world.perform(.flush) == nil)
    #expect(try world.perform(.write, extent, block) == nil)
    world.holds = { $0.directive.kind == .synchronize && $0.directive.store == 0 }
    // Soon: a store that is late for longer is left alone anyway.
    func end(_ cookie: UInt64) throws { while !world.isAnswered(cookie), try world.step() {} }
    let first = try world.begin(.flush)
    try end(first)
    let view = world.volumes[0].map.view
    #expect(world.outcomes[first] == .some(nil))
    #expect(view.entry(0).store.rawValue == 0 && view.entry(1).store.rawValue == 1)
    let write = try world.begin(.write, 0, block)
    try end(write)
    let second = try world.begin(.flush)
    try end(second)
    #expect(world.outcomes[write] == .some(nil) && world.outcomes[second] == .some(nil))
    #expect(view.entry(0).store.rawValue == 1)
    #expect(world.shadows()!.missed(0).nonzeroBitCount == 1, "the old copy lacks what was written, no more")
    try world.crash()
    try world.verifyAtRest()
  }

  /// Requests find no room as long as a store has not given back what nobody waits for any more.
  @Test func memoryThatComesBackLateIsGivenToWhoWaitsForIt() throws {
    let world = try World(
      stores: [WorldStore(capacityBytes: 16 * extent), WorldStore(capacityBytes: 16 * extent, tier: 1)],
      volumes: [(extent, 12 * extent)], bufferBytes: 1 << 20)
    for number in UInt64(0)..<12 {
      #expect(try world.perform(.write, number * extent, extent) == nil)
      #expect(try world.move(.replicate, number, to: 1).end == .done)
    }
    world.holds = { $0.directive.kind == .write && $0.directive.store == 1 }
    let writes = try (UInt64(0)..<12).map { try world.begin(.write, $0 * extent, extent) }
    try world.exhaust()
    #expect(writes.allSatisfy(world.isAnswered))
    let read = try world.begin(.read, 0, 8 * extent)
    try world.exhaust()
    #expect(!world.isAnswered(read) && world.redirectors[0].operationsInUse > 0)
    world.letGo()
    try world.settle()
    #expect(world.outcomes[read] == .some(nil))
    try world.verifyAtRest()
  }

  /// All other operations are taken, and stay so.
  @Test func aZeroWithoutAnotherOperationGoesOnOnceTheStoreHasDoneIt() throws {
    let world = try World(
      stores: [WorldStore(capacityBytes: 8 * extent), WorldStore(capacityBytes: 8 * extent, tier: 1)],
      volumes: [(extent, 4 * extent)], bufferBytes: 16 << 20)
    #expect(try world.perform(.write, 0, 3 * extent) == nil)
    #expect(try world.move(.replicate, to: 1).end == .done)
    #expect(try world.perform(.write, 0, block) == nil)
    world.holds = { $0.directive.store == 1 || $0.directive.kind == .read }
    let zero = try world.begin(.writeZeroes, extent / 2, extent)
    while world.redirectors[0].slab.freeCount > 0 { try world.begin(.read, 2 * extent, block) }
    try world.exhaust()
    #expect(!world.isAnswered(zero) && world.shared.parkedOperations == 1)
    world.hold(.read)
    try world.exhaust()
    #expect(world.outcomes[zero] == .some(nil) && world.count(.read) > 1000)
    world.letGo()
    try world.verifyAtRest()
  }

  /// Each write that is left alone keeps an operation and its memory, of which there are only so many.
  @Test func aStoreThatIsLateWithManyWritesIsLeftAloneAtOnce() throws {
    let world = try World.small(extents: 7, stores: [8, 8])
    #expect(try world.perform(.write, 0, 7 * extent) == nil)
    for number in UInt64(0)..<7 { #expect(try world.move(.replicate, number, to: 1).end == .done) }
    #expect(try world.perform(.write, 0, 7 * extent) == nil)
    world.holds = { $0.directive.kind == .write && $0.directive.store == 1 }
    for wave in UInt64(0)..<2 {
      let began = world.redirectors[0].now
      let writes = try (UInt64(0)..<48).map { try world.begin(.write, (wave * 48 + $0) * block, block) }
      while !writes.allSatisfy(world.isAnswered), try world.step() {}
      #expect(world.redirectors[0].now - began < StoreTable.stuckAfter / 2)
      #expect(world.count(.write) == 48 * Int(wave + 1))
    }
    let last = try world.begin(.write, 6 * extent, block)
    while !world.isAnswered(last), try world.step() {}
    #expect(world.count(.write) == 96 && world.shadows(of: 6)!.missed(0) == 1)
    world.letGo()
    try world.verifyAtRest()
  }

  @Test func whatCopiesLackIsKnownOnceTheirStoreIsNotLateAnyMore() throws {
    let world = try Self.mirrored()
    let calls = Mutex(0)
    world.shared.fresh.onReady { calls.withLock { $0 += 1 } }
    _ = world.shared.fresh.take(.max)
    world.holds = { $0.directive.kind == .write && $0.directive.store == 1 }
    let writes = try [0, 2 * block].map { try world.begin(.write, $0, block) }
    while !writes.allSatisfy(world.isAnswered), try world.step() {}
    world.holds = { $0.directive.kind == .write && $0.directive.store == 1 && $0.directive.offset > block }
    try world.exhaust()
    #expect(world.count(.write) == 1 && calls.withLock { $0 } == 0 && world.shared.fresh.take(.max).isEmpty)
    world.letGo()
    try world.settle()
    #expect(calls.withLock { $0 } == 1)
    #expect(world.shared.fresh.take(.max).map(\.extent) == [0])
    try world.verifyAtRest()
  }

  @Test func aStoreThatIsLateWithMuchMemoryIsLeftAloneAtOnce() {
    let stores = StoreTable()
    let store = StoreID(rawValue: 0)
    stores.becameLate(store, at: 1, bytes: StoreTable.stuckFromBytes - 1)
    #expect(!stores.isStuck(store, at: 2))
    stores.becameLate(store, at: 2, bytes: 1)
    #expect(stores.isStuck(store, at: 2))
    #expect(!stores.madeUp(store, bytes: 1))
    #expect(!stores.isStuck(store, at: 2) && stores.isStuck(store, at: 2 + StoreTable.stuckAfter))
    #expect(stores.madeUp(store, bytes: StoreTable.stuckFromBytes - 1))
    #expect(!stores.isStuck(store, at: 2 + StoreTable.stuckAfter))
  }

  /// Somewhere else it can lie at once, and its copies with it.
  @Test(arguments: [1, 2]) func aNewExtentDoesNotWaitForAStoreThatHangs(copies: Int) throws {
    let world = try World.small(stores: [8, 8, 8])
    world.volumes[0].map.view.marks.copies = copies
    world.holds = { $0.directive.store == 0 }
    let write = try world.begin(.write, 0, block)
    try world.exhaust()
    #expect(world.outcomes[write] == .some(nil))
    #expect(world.volumes[0].map.view.entry(0).store.rawValue == 1)
    #expect(world.usedBytes(0) == extent && !world.redirectors[0].isIdle, "the store may still be at it")
    #expect(try world.perform(.write, extent, block) == nil)
    world.letGo()
    try world.settle()
    #expect(world.usedBytes(0) == 0)
    try world.crash()
    try world.verifyAtRest()
  }

  @Test func aNewExtentWaitsForTheOnlyStoreThatHasRoom() throws {
    let world = try World.small(stores: [8, 8])
    world.fullStores = [1]
    world.holds = { $0.directive.store == 0 }
    let write = try world.begin(.write, 0, block)
    try Self.waitsForWhatIsHeld(write, in: world)
  }

  @Test func whereThereIsNoShadowNothingHasADeadline() throws {
    let world = try World.small(stores: [8, 8])
    #expect(try world.perform(.write, 0, extent) == nil)
    world.hold(.read)
    let read = try world.begin(.read, 0, block)
    try world.exhaust()
    #expect(!world.isAnswered(read) && world.redirectors[0].nextDeadline == nil)
    world.letGo()
    try world.settle()
  }
}
