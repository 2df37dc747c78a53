import ExtentMap
import NBDWire
import Platform
import Primitives
import Shadowing
import Simulation
import Testing

@testable import Redirection

private let extent = World.extentBytes
private let block = World.blockBytes
private let cell = Model.cellBytes

/// Gates, range locks, allocation and trim against each other, step by step.
@Suite struct OrderingTests {
  @Test func aWriteToBlocksUnderReadModifyWriteWaits() throws {
    let world = try World.small(redirectors: 2)
    #expect(try world.perform(.write, 0, extent) == nil)
    world.hold(.read)
    let first = try world.begin(.write, cell, cell, on: 0)
    try world.exhaust()
    #expect(world.count(.read) == 1)
    // The same block from another redirector waits; another block does not.
    let second = try world.begin(.write, 0, block, on: 1)
    let third = try world.begin(.write, 8 * block, block, on: 1)
    let fourth = try world.begin(.write, 2 * cell, cell, on: 1)
    try world.exhaust()
    #expect(!world.isAnswered(first) && !world.isAnswered(second) && !world.isAnswered(fourth))
    #expect(world.isAnswered(third))
    world.letGo()
    try world.verifyAtRest()
    #expect(!world.volumes[0].map.view.entry(0).isRanged)
  }

  @Test func readModifyWriteWaitsForWritersAndKeepsNewOnesOut() throws {
    let world = try World.small(redirectors: 2)
    #expect(try world.perform(.write, 0, extent) == nil)
    world.hold(.write)
    let aligned = try world.begin(.write, 0, block, on: 0)
    try world.exhaust()
    #expect(world.count(.write) == 1)
    let unaligned = try world.begin(.write, cell, cell, on: 1)
    try world.exhaust()
    #expect(world.volumes[0].map.view.entry(0).isGated)
    let late = try world.begin(.write, 4 * block, block, on: 0)
    try world.exhaust()
    #expect(world.count(.write) == 1 && world.count(.read) == 0)
    world.letGo()
    try world.verifyAtRest()
    #expect(world.isAnswered(aligned) && world.isAnswered(unaligned) && world.isAnswered(late))
    #expect(!world.volumes[0].map.view.entry(0).isRanged)
  }

  /// That the peers were woken in a turn says nothing of what is released after it.
  @Test func everyReleaseWakesPeers() throws {
    let world = try World.small(redirectors: 2)
    #expect(try world.perform(.write, 0, 2 * extent) == nil)
    world.hold(.write)
    try world.begin(.write, 0, block, on: 1)
    try world.begin(.write, extent, block, on: 1)
    try world.exhaust()
    let tokens = world.jobs.map(\.directive.token)
    // One waits on each reactor for the writer of its extent.
    try world.begin(.write, cell, cell, on: 0)
    try world.begin(.write, extent + cell, cell, on: 1)
    try world.exhaust()
    #expect(world.count(.read) == 0)
    let redirector = world.redirectors[1]
    redirector.complete(tokens[1], Int32(block))
    redirector.retryParked()
    #expect(Self.wakesPeers(redirector))
    redirector.directives.removeAll()
    redirector.complete(tokens[0], Int32(block))
    #expect(Self.wakesPeers(redirector))
  }

  private static func wakesPeers(_ redirector: Redirector) -> Bool {
    (0..<redirector.directives.count).contains { redirector.directives[$0].kind == .wakePeers }
  }

  @Test func oneOfTwoRedirectorsAllocatesAnExtent() throws {
    let world = try World.small(redirectors: 2)
    world.hold(.zero)
    let first = try world.begin(.write, 0, block, on: 0)
    let second = try world.begin(.write, block, block, on: 1)
    let read = try world.begin(.read, 0, extent, on: 1)
    try world.exhaust()
    #expect(world.count(.zero) == 1)
    #expect(world.isAnswered(read) && !world.isAnswered(first) && !world.isAnswered(second))
    world.letGo()
    try world.verifyAtRest()
    #expect(world.outcomes[first] == .some(nil) && world.outcomes[second] == .some(nil))
    #expect(world.usedBytes() == extent)
  }

  @Test func aSlotStaysWhileAWriteThatTheTrimOvertookIsInFlight() throws {
    let world = try World.small(redirectors: 2)
    #expect(try world.perform(.write, 0, extent) == nil)
    #expect(try world.perform(.flush) == nil)
    let old = world.volumes[0].map.view.entry(0)
    world.holds = { $0.directive.kind == .write && $0.redirector == 0 }
    let overtaken = try world.begin(.write, 0, block, on: 0)
    try world.exhaust()
    let trim = try world.begin(.trim, 0, extent, on: 1)
    try world.exhaust()
    let flush = try world.begin(.flush, on: 1)
    let again = try world.begin(.write, block, block, on: 1)
    try world.exhaust()
    #expect(world.isAnswered(trim) && world.isAnswered(flush) && world.isAnswered(again))
    #expect(!world.isAnswered(overtaken))
    #expect(world.volumes[0].map.view.entry(0).address != old.address)
    #expect(world.usedBytes() == 2 * extent)
    world.letGo()
    try world.verifyAtRest()
    #expect(world.usedBytes() == extent)
  }

  /// The client has its answer from the other copy, and leaves; nothing of its volume is there any more.
  @Test func aSlotOfACutVolumeStaysWhileALateWriteIsInFlight() throws {
    let world = try World.small(stores: [8, 8], redirectors: 2)
    #expect(try world.perform(.write, extent, extent) == nil)
    #expect(try world.move(.replicate, 1, to: 1).end == .done)
    world.holds = { $0.directive.kind == .write && $0.directive.store == 1 }
    #expect(try world.perform(.write, extent, block) == nil)
    #expect(try world.perform(.flush) == nil)
    #expect(world.shared.changes.activity.forget(VolumeID(rawValue: 1), from: 1).count == 1)
    try world.cut(0, from: 1)
    try world.exhaust()
    #expect(world.usedBytes(1) == extent && world.shared.reclaimer.pendingCount > 0)
    world.letGo()
    try world.verifyAtRest()
    #expect(world.usedBytes(0) == 0 && world.usedBytes(1) == 0)
  }

  @Test func aSlotIsReusedOnlyAfterCommitAndGrace() throws {
    let world = try World.small(stores: [1], redirectors: 2)
    #expect(try world.perform(.write, 0, extent) == nil)
    #expect(try world.perform(.flush) == nil)
    world.hold(.read, .commit)
    let read = try world.begin(.read, 0, block, on: 0)
    try world.exhaust()
    #expect(try world.begin(.trim, 0, extent, on: 1) > 0)
    // Two that wait for the same space must not keep each other busy.
    let first = try world.begin(.write, extent, block, on: 0)
    let second = try world.begin(.write, extent + block, block, on: 1)
    try world.exhaust()
    #expect(world.count(.commit) == 1)
    #expect(!world.isAnswered(first) && !world.isAnswered(second) && world.waitingForSpace == 2)
    world.hold(.read)
    try world.exhaust()
    #expect(world.count(.commit) == 0 && world.shared.reclaimer.pendingCount == 1)
    #expect(!world.isAnswered(read) && !world.isAnswered(first) && world.waitingForSpace == 2)
    world.hold(.reclaim)
    try world.exhaust()
    #expect(world.isAnswered(read) && world.count(.reclaim) == 1)
    #expect(!world.isAnswered(first) && world.waitingForSpace == 2)
    world.letGo()
    try world.verifyAtRest()
    #expect(world.outcomes[first] == .some(nil) && world.outcomes[second] == .some(nil))
  }

  @Test func slotsTakenForDiscardStillCountAsComing() throws {
    let world = try World.small(stores: [1])
    #expect(try world.perform(.write, 0, extent) == nil)
    #expect(try world.perform(.trim, 0, extent) == nil)
    world.hold(.reclaim)
    _ = try world.begin(.flush)
    try world.exhaust()
    #expect(world.count(.reclaim) == 1)
    let slots = world.shared.reclaimer.takeReady()
    #expect(slots.count == 1)
    let write = try world.begin(.write, extent, block)
    try world.exhaust()
    #expect(!world.isAnswered(write) && world.waitingForSpace == 1)
    for slot in slots {
      world.shared.placement.release(slot.store, slot: slot.slot, slotBytes: slot.slotBytes)
    }
    world.shared.reclaimer.released(slots.count)
    world.redirectors[0].retryLater()
    world.letGo()
    try world.verifyAtRest()
    #expect(world.outcomes[write] == .some(nil))
  }

  @Test func chunkedReadsAnswerHolesAndDataPieceByPiece() throws {
    let world = try World.small()
    #expect(try world.perform(.write, 0, extent) == nil)
    #expect(try world.perform(.write, 2 * extent, extent) == nil)
    var holes: [UInt64] = []
    var pieces = 0
    var ends = 0
    world.onFinished = { redirector, index in
      let op = unsafe redirector.operation(index)
      if unsafe op.pointee.flags.contains(.hole) { unsafe holes.append(op.pointee.offset) }
      if unsafe op.pointee.flags.contains(.piece) { pieces += 1 }
      if unsafe op.pointee.flags.contains(.answeredInPieces) { ends += 1 }
    }
    world.hold(.read)
    try world.begin(.read, cell, 3 * extent - 2 * cell)
    try world.turn(0)
    #expect(world.count(.read) == 2 && holes == [extent] && pieces == 1)
    world.letGo()
    try world.exhaust()
    #expect(holes == [extent] && pieces == 3 && ends == 1)
    #expect(world.redirectors[0].isIdle && world.redirectors[0].arena.isIdle)
  }

  @Test func aChunkedReadOfNothingIsOneHole() throws {
    let world = try World.small()
    world.onFinished = { redirector, index in
      #expect(unsafe redirector.operation(index).pointee.flags == [.chunked, .hole])
    }
    try world.begin(.read, 0, 4 * extent)
    try world.exhaust()
    #expect(world.jobs.isEmpty && world.redirectors[0].isIdle)
  }
}
