import ExtentMap
import NBDWire
import Platform
import Primitives
import Simulation
import Testing

@testable import Redirection

private let extent = World.extentBytes
private let block = World.blockBytes
private let cell = Model.cellBytes

/// Flushes, commits, and what happens when disks and catalog say no.
@Suite struct DurabilityTests {
  @Test func flushesJoinTheRoundThatCoversThemAndWaitOtherwise() throws {
    let world = try World.small(redirectors: 3)
    #expect(try world.perform(.write, 0, extent) == nil)
    #expect(try world.perform(.flush) == nil)
    #expect(try world.perform(.write, 0, block, on: 1) == nil)
    world.hold(.synchronize)
    let leads = try world.begin(.flush, on: 0)
    try world.exhaust()
    let joins = try world.begin(.flush, on: 1)
    try world.exhaust()
    let write = try world.begin(.write, block, block, on: 2)
    try world.exhaust()
    #expect(world.isAnswered(write) && world.count(.synchronize) == 1)
    let waits = try world.begin(.flush, on: 2)
    try world.exhaust()
    #expect(world.count(.synchronize) == 1)
    // The running one may end; the one that follows is held.
    let done = world.synchronizeCount
    world.holds = { [unowned world] job in
      job.directive.kind == .synchronize && !job.isExecuted && world.synchronizeCount > done
    }
    try world.exhaust()
    #expect(world.isAnswered(leads) && world.isAnswered(joins) && !world.isAnswered(waits))
    world.letGo()
    try world.verifyAtRest()
    #expect(world.outcomes[waits] == .some(nil))
    #expect(try world.perform(.flush) == nil)
    #expect(world.jobs.isEmpty)
  }

  @Test func aDurableWriteToAnUncommittedExtentCommitsTheMap() throws {
    let world = try World.small()
    world.hold(.commit)
    let first = try world.begin(.write, 0, block, .forceUnitAccess)
    try world.exhaust()
    #expect(!world.isAnswered(first) && world.count(.commit) == 1)
    world.letGo()
    try world.settle()
    #expect(world.outcomes[first] == .some(nil) && world.volumes[0].committed[0].isMapped)
    // From now on it carries its own durability.
    world.hold(.write)
    let second = try world.begin(.write, 0, block, .forceUnitAccess)
    try world.exhaust()
    #expect(world.jobs.count == 1 && world.jobs[0].directive.durable)
    world.hold(.synchronize, .commit)
    try world.exhaust()
    #expect(world.outcomes[second] == .some(nil) && world.jobs.isEmpty)
    world.letGo()
    try world.crash()
    try world.verifyAtRest()
  }

  @Test func aFailedCommitKeepsTheChangesForTheNext() throws {
    let world = try World.small()
    #expect(try world.perform(.write, 0, extent) == nil)
    world.faults.commitError = 1
    #expect(try world.perform(.flush) != nil)
    #expect(world.shared.changes.pendingCount == 1)
    #expect(try world.perform(.write, extent, extent) == nil)
    #expect(try world.perform(.flush) != nil)
    #expect(world.shared.changes.pendingCount == 2)
    world.faults = .none
    #expect(try world.perform(.flush) == nil)
    #expect(world.shared.changes.pendingCount == 0)
    let isMapped = world.volumes[0].committed.map(\.isMapped)
    #expect(isMapped == [true, true, false, false])
    try world.verifyAtRest()
    try world.crash()
    try world.verifyAtRest()
  }

  @Test func aFailedSynchronizationIsNeverForgotten() throws {
    let world = try World.small(stores: [8, 8])
    #expect(try world.perform(.write, 0, extent) == nil)
    #expect(try world.perform(.flush) == nil)
    #expect(try world.perform(.write, 0, extent) == nil)
    world.faults.synchronizeError = 1
    #expect(try world.perform(.flush) == .io)
    world.faults = .none
    #expect(try world.perform(.flush) == .io)
    #expect(try world.perform(.write, 0, block) == .io)
    #expect(try world.perform(.flush) == .io)
    #expect(try world.perform(.write, 0, block, .forceUnitAccess) == .io)
    #expect(try world.perform(.write, extent, block, .forceUnitAccess) == .io)
    #expect(try world.perform(.read, 0, extent) == nil)
  }

  @Test func aFullStoreMakesWayForTheNext() throws {
    let world = try World.small(stores: [8, 8])
    world.fullStores = [0]
    #expect(try world.perform(.write, 0, extent) == nil)
    #expect(world.usedBytes(0) == 0 && world.usedBytes(1) == extent)
    world.fullStores = [0, 1]
    #expect(try world.perform(.write, extent, extent) == .noSpace)
    #expect(world.usedBytes(0) == 0 && world.usedBytes(1) == extent)
    world.fullStores = []
    #expect(try world.perform(.write, extent, extent) == nil)
    #expect(world.usedBytes(0) == extent)
    try world.verifyAtRest()
  }

  @Test func aFullPoolSaysSoAndWaitsForWhatATrimFrees() throws {
    let world = try World.small(extents: 6, stores: [2, 1])
    for number in 0..<3 as Range<UInt64> {
      #expect(try world.perform(.write, number * extent, extent) == nil)
    }
    #expect(try world.perform(.write, 3 * extent, block) == .noSpace)
    #expect(try world.perform(.write, 2 * extent, 2 * extent) == .noSpace)
    #expect(try world.perform(.trim, 0, extent) == nil)
    #expect(try world.perform(.write, 3 * extent, block) == nil)
    #expect(try world.perform(.trim, extent, extent) == nil)
    #expect(try world.perform(.flush) == nil)
    #expect(try world.perform(.write, 4 * extent, block) == nil)
    #expect(try world.perform(.write, 5 * extent, block) == .noSpace)
    try world.verifyAtRest()
  }

  @Test func nobodyWaitsForSpaceThatAFailingFlushCanNotFree() throws {
    let world = try World.small(stores: [1], redirectors: 2)
    #expect(try world.perform(.write, 0, extent) == nil)
    #expect(try world.perform(.flush) == nil)
    #expect(try world.perform(.trim, 0, extent) == nil)
    world.faults.commitError = 1
    #expect(try world.perform(.write, extent, block, on: 1) == .noSpace)
    world.faults = .none
    #expect(try world.perform(.flush) == nil)
    #expect(try world.perform(.write, extent, block, on: 1) == nil)
    try world.verifyAtRest()
  }

  @Test func zeroingFallsBackToWritingAndNoticesShortWrites() throws {
    let world = try World(
      seed: 1, stores: [WorldStore(capacityBytes: 4 << 20)], volumes: [(256 << 10, 1 << 20)])
    #expect(try world.perform(.write, 0, 256 << 10) == nil)
    world.faults.allocationUnsupported = 1
    #expect(try world.perform(.writeZeroes, block, 200 << 10) == nil)
    #expect(try world.perform(.write, 512 << 10, block) == nil)
    world.faults = .none
    #expect(try world.perform(.read, 0, 256 << 10) == nil)
    world.faults.shortTransfer = 1
    #expect(try world.perform(.writeZeroes, block, 8 * block) == .io)
    world.faults = .none
    try world.verifyAtRest()
  }

  @Test func fastZeroIsHonest() throws {
    for method in [PrepareMethod.zeroRange, .writeZeros] {
      let world = try World(
        seed: 1, stores: [WorldStore(capacityBytes: 4 << 20, prepare: method)],
        volumes: [(256 << 10, 1 << 20)])
      #expect(try world.perform(.write, 0, 256 << 10) == nil)
      let expected: NBDErrno? = method == .zeroRange ? nil : .notSupported
      #expect(try world.perform(.writeZeroes, 0, 128 << 10, .fastZero) == expected)
      #expect(try world.perform(.writeZeroes, 0, 1 << 20, [.fastZero, .noHole]) == expected)
      #expect(try world.perform(.writeZeroes, 0, 1 << 20, .fastZero) == nil)
      try world.verifyAtRest()
    }
  }
}
