import ExtentMap
import Measurement
import NBDWire
import Primitives
import Shadowing
import Simulation
import Testing

@testable import Redirection

private let extent = World.extentBytes
private let block = World.blockBytes
private let first = StoreID(rawValue: 0)
private let second = StoreID(rawValue: 1)

/// A store that somebody has found unfit is used only where there is no other copy.
@Suite struct SatOutTests {
  private static func mirrored() throws -> World {
    let world = try World.small(stores: [8, 8])
    #expect(try world.perform(.write, 0, extent) == nil)
    #expect(try world.move(.replicate, to: 1).end == .done)
    #expect(try world.perform(.flush) == nil)
    return world
  }

  /// What a store has done so far.
  private static func counts(_ world: World, _ store: StoreID) -> StoreCounts {
    var counts = StoreCounts()
    world.redirectors[0].meters.read(store, into: &counts)
    return counts
  }

  @Test(arguments: [first, second]) func writesAndReadsGoOnWithoutIt(_ out: StoreID) throws {
    let world = try Self.mirrored()
    for store in [first, second] { world.redirectors[0].meters.begin(store) }
    world.shared.stores.setSatOut(out, true)
    for number in 0..<8 as Range<UInt64> {
      #expect(try world.perform(.write, number * block, block) == nil)
      #expect(try world.perform(.read, number * block, block) == nil)
    }
    #expect(try world.perform(.flush) == nil)
    let unused = Self.counts(world, out)
    #expect(unused.bytesRead == 0 && unused.bytesWritten == 0)
    let used = Self.counts(world, out == first ? second : first)
    #expect(used.bytesRead == 8 * block && used.bytesWritten == 8 * block)
    // Whichever copy was the live one: the other has everything now, and this one lacks something.
    #expect(world.volumes[0].map.view.entry(0).store != out)
    #expect(!world.shadows()!.isSynced(0))
    world.shared.stores.setSatOut(out, false)
    #expect(try world.move(.resync, to: out.rawValue).end == .done)
    #expect(world.shadows()!.isSynced(0))
    try world.verifyAtRest()
  }

  @Test func whatNoOtherCopyTakesIsWrittenThere() throws {
    let world = try Self.mirrored()
    world.shared.stores.setSatOut(first, true)
    world.faults.writeError = 1
    world.holds = { $0.directive.kind == .write && $0.directive.store == first.rawValue }
    let write = try world.begin(.write, 0, block)
    try world.exhaust()
    #expect(!world.isAnswered(write) && world.count(.write) == 1)
    world.faults.writeError = 0
    world.letGo()
    try world.settle()
    #expect(world.outcomes[write] == .some(nil))
    #expect(world.volumes[0].map.view.entry(0).store == first)
    #expect(world.shadows()!.missed(0).nonzeroBitCount == 1)
    try world.verifyAtRest()
  }

  @Test func whatHasNoOtherCopyStaysInUse() throws {
    let world = try World.small(stores: [8])
    world.redirectors[0].meters.begin(first)
    world.shared.stores.setSatOut(first, true)
    #expect(try world.perform(.write, 0, extent) == nil)
    #expect(try world.perform(.read, 0, block) == nil)
    let counts = Self.counts(world, first)
    #expect(counts.bytesRead == block && counts.bytesWritten >= extent)
    try world.verifyAtRest()
  }

  @Test func operationsAreMetered() throws {
    let world = try World.small(stores: [8])
    world.redirectors[0].meters.begin(first)
    #expect(try world.perform(.write, 0, block) == nil)
    #expect(try world.perform(.flush) == nil)
    let before = Self.counts(world, first)
    #expect(before.inFlight == 0 && before[LatencySeries(.synchronize)].count == 1)
    world.hold(.read)
    _ = try world.begin(.read, 0, block)
    try world.exhaust()
    #expect(Self.counts(world, first).inFlight == 1)
    world.letGo()
    try world.settle()
    let done = Self.counts(world, first).since(before)
    #expect(done[LatencySeries(.read)].count == 1 && done.succeeded == 1 && done.bytesRead == block)
    #expect(Self.counts(world, first).inFlight == 0)
    // The client's requests: one write and one read, each timed from its arrival.
    var requests = StoreCounts()
    world.redirectors[0].meters.readRequests(into: &requests)
    #expect(requests[LatencySeries(.read)].count == 1 && requests[LatencySeries(.write)].count == 1)
    // Nobody counts any more, and nothing breaks.
    world.redirectors[0].meters.end(first)
    #expect(try world.perform(.read, 0, block) == nil)
    #expect(Self.counts(world, first) == StoreCounts())
  }

  @Test func missedDeadlinesAreMeteredOnce() throws {
    let world = try Self.mirrored()
    world.redirectors[0].meters.begin(second)
    world.holds = { $0.directive.kind == .write && $0.directive.store == 1 }
    _ = try world.begin(.write, 0, block)
    try world.exhaust()
    var counts = Self.counts(world, second)
    #expect(counts.missedDeadlines == 1 && counts.inFlight == 1)
    world.letGo()
    try world.settle()
    counts = Self.counts(world, second)
    #expect(counts.missedDeadlines == 1 && counts.inFlight == 0 && counts[LatencySeries(.write)].count == 1)
  }

  @Test func silenceIsNoFailure() {
    let redirector = try! World.small(stores: [8]).redirectors[0]
    redirector.meters.begin(first)
    var expected = StoreCounts()
    for result in [-StoreErrno.timedOut, -StoreErrno.notConnected, -StoreErrno.shutDown] {
      redirector.meters[first].begin()
      redirector.meter(.read, in: first, result, since: 0)
      expected.missedDeadlines += 1
    }
    redirector.meters[first].begin()
    redirector.meter(.read, in: first, -StoreErrno.io, since: 0)
    expected.begun = 1
    expected[failed: .read] = 1
    var counts = StoreCounts()
    redirector.meters.read(first, into: &counts)
    #expect(counts == expected && counts.inFlight == 0)
  }
}

@Suite struct LastResortTests {
  @Test func aStoreThatIsNotWellGetsWhatNoOtherCanTake() {
    let placement = Placement()
    for (store, tier) in [(first, 0), (second, 1)] {
      placement.add(store, at: StorePlace(tier: tier), allocator: SlotAllocator(capacityBytes: 2 << 20))
    }
    func place() -> StoreID? {
      var found = SlotPlacement()
      return placement.allocate(slotBytes: 1 << 20, &found) ? found.store : nil
    }
    placement.setLastResort(first, true)
    #expect([place(), place(), place()] == [second, second, first])
    placement.setExcluded(first, true)
    #expect(place() == nil)
    placement.setExcluded(first, false)
    placement.setLastResort(first, false)
    #expect(place() == first)
  }
}
