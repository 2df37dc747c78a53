import NBDWire
import Primitives
import Simulation
import Testing

@testable import Redirection

private let extent = World.extentBytes
private let block = World.blockBytes

/// Map changes that wait for the catalog, and slots on their way back, are bounded.
@Suite struct PendingChangesTests {
  private static func world(waitingMax: Int, redirectors: Int = 1, stores: [UInt64] = [64]) throws -> World {
    try World(
      seed: 1, stores: stores.map { WorldStore(capacityBytes: $0 * extent) },
      volumes: [(extent, 32 * extent)],
      redirectors: redirectors, waitingMax: waitingMax)
  }

  @Test func whileTheCatalogIsFullOnlySoManyChangesAreTaken() throws {
    let world = try Self.world(waitingMax: 4, redirectors: 2)
    #expect(try world.perform(.write, 0, extent) == nil)
    #expect(try world.perform(.flush) == nil)
    world.faults.commitError = 1
    for number in 1...4 as ClosedRange<UInt64> {
      #expect(try world.perform(.write, number * extent, block) == nil)
    }
    #expect(try world.perform(.flush) != nil)
    // Whatever needs a change is refused now, and does not hang; nothing is half done.
    #expect(try world.perform(.write, 9 * extent, block, on: 1) != nil)
    #expect(try world.perform(.trim, 0, 2 * extent) != nil)
    #expect(try world.perform(.writeZeroes, 0, 2 * extent, on: 1) != nil)
    #expect(world.shared.changes.pendingCount == 4 && world.usedBytes() == 5 * extent)
    #expect(world.shared.faults.count(.refuse) == 3)
    // What needs none goes on, and what was acknowledged is kept.
    #expect(try world.perform(.write, 0, block) == nil)
    #expect(try world.perform(.write, 4 * extent, extent, on: 1) == nil)
    #expect(try world.perform(.writeZeroes, 0, block) == nil)
    #expect(try world.perform(.trim, 10 * extent, extent) == nil)
    #expect(try world.perform(.read, 0, 8 * extent) == nil)
    world.faults = .none
    #expect(try world.perform(.flush) == nil)
    #expect(try world.perform(.write, 9 * extent, block, on: 1) == nil)
    try world.verifyAtRest()
    try world.crash()
    try world.verifyAtRest()
  }

  @Test func whileCommitsWorkWritersWaitForTheNext() throws {
    let world = try Self.world(waitingMax: 2, redirectors: 2)
    world.hold(.commit)
    for number in 0..<2 as Range<UInt64> { #expect(try world.perform(.write, number * extent, block) == nil) }
    let write = try world.begin(.write, 2 * extent, block, on: 1)
    let trim = try world.begin(.trim, 0, 2 * extent)
    try world.exhaust()
    #expect(!world.isAnswered(write) && !world.isAnswered(trim) && world.waitingForSpace == 2)
    #expect(world.count(.commit) == 1)
    world.letGo()
    try world.settle()
    #expect(world.outcomes[write] == .some(nil) && world.outcomes[trim] == .some(nil))
    try world.verifyAtRest()
  }

  @Test func trimsWaitWhileTooManySlotsAreOnTheirWayBack() throws {
    let world = try Self.world(waitingMax: 8)
    #expect(try world.perform(.write, 0, 6 * extent) == nil)
    #expect(try world.perform(.write, 6 * extent, 6 * extent) == nil)
    world.hold(.read, .reclaim)
    // A read in flight keeps slots from being free.
    try world.begin(.read, 20 * extent, block)
    try world.begin(.read, 0, block)
    try world.exhaust()
    let first = try world.begin(.trim, extent, 8 * extent)
    try world.exhaust()
    #expect(world.isAnswered(first))
    _ = try world.begin(.flush)
    try world.exhaust()
    #expect(world.shared.reclaimer.pendingCount == 8)
    let second = try world.begin(.trim, 9 * extent, extent)
    try world.exhaust()
    #expect(!world.isAnswered(second) && world.shared.reclaimer.pendingCount == 8)
    world.letGo()
    try world.settle()
    #expect(world.outcomes[second] == .some(nil))
    try world.verifyAtRest()
  }
}
