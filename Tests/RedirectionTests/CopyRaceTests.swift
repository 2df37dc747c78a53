import ExtentMap
import Glibc
import NBDWire
import Platform
import Primitives
import Shadowing
import Simulation
import Testing

@testable import Redirection

private let extent = World.extentBytes
private let block = World.blockBytes

/// What redirectors on several threads decide about the same copies, which a world of one thread cannot disturb.
@Suite struct CopyRaceTests {
  /// An active extent with its live copy on store 0 and shadows on stores 1 and 2.
  private struct Copies {
    let map: ExtentMap
    let line: ShadowLine
    let changes = MapChanges()
    let addresses = (0..<3).map { MapEntry(store: StoreID(rawValue: $0), slot: 0) }

    init() throws {
      map = try ExtentMap(volume: VolumeID(rawValue: 1), extentBytes: extent, extentCount: 1)
      line = try map.makeShadowLine(0)
      changes.map(0, of: map.view, to: set(0, 1, 2), line)
    }

    func set(_ stores: Int...) -> CopySet {
      var set = CopySet()
      for store in stores { set.insert(addresses[store]) }
      return set
    }
  }

  /// The live copy misses a write while somebody is about to fill a shadow from it.
  @Test func whereAPartIsReadFromIsDecidedTogetherWithWhatIsTaken() throws {
    let copies = try Copies()
    let (view, line, changes) = (copies.map.view, copies.line, copies.changes)
    let parts: UInt64 = 1
    line.setMissed(1, parts)
    line.setShadow(1, ShadowEntry(rawValue: copies.addresses[2].rawValue | ShadowEntry.filling))
    let (live, reached) = (copies.addresses[0], copies.set(1))
    var writer: NativeThread?
    let source = changes.takeMissed(parts, 1, line, 0, of: view) { entry in
      writer = try? NativeThread(name: "writer") {
        _ = changes.writeEnded(0, of: view, live: live, reached: reached, parts: parts)
      }
      usleep(50_000)
      return entry.address
    }
    let thread = try #require(writer)
    thread.join()
    #expect(source == live && view.entry(0).address == copies.addresses[1])
    #expect(line.missed(1) == parts, "what is copied now is stale, and nobody would copy it again")
    let next = changes.takeMissed(parts, 1, line, 0, of: view) { $0.address }
    #expect(next == copies.addresses[1] && line.missed(1) == 0)
    #expect(changes.takeMissed(parts, 1, line, 0, of: view) { _ in nil } == nil)
  }

  @Test func withoutASourceAShadowGoesOnLackingWhatItLacks() throws {
    let copies = try Copies()
    copies.line.setMissed(1, 3)
    #expect(copies.changes.takeMissed(1, 1, copies.line, 0, of: copies.map.view) { _ in nil } == nil)
    #expect(copies.line.missed(1) == 3)
  }

  /// The copy that would have taken over has missed something since it was looked at.
  @Test func aWriteGoesOnWaitingIfNoCopyThatHasItCanTakeOver() throws {
    let copies = try Copies()
    let (view, line, changes) = (copies.map.view, copies.line, copies.changes)
    line.addMissed(0, 4)
    let pending = changes.pendingCount
    let isLeft = changes.leaveCopies(0, of: view, live: copies.addresses[0], reached: copies.set(1), parts: 1)
    {
      Issue.record("it does not go on")
    }
    #expect(!isLeft && view.entry(0).address == copies.addresses[0])
    #expect(line.missed(0) == 4 && line.missed(1) == 0 && changes.pendingCount == pending)
  }

  /// Nobody must fill a copy that is about to be written by what nobody waits for.
  @Test func aStoreIsLateBeforeItsCopyIsSeenToLackAnything() throws {
    for reached in [[0, 1], [1, 2]] {
      let copies = try Copies()
      let (view, line, changes) = (copies.map.view, copies.line, copies.changes)
      var missed: [UInt64] = []
      var live = MapEntry.unmapped
      let set = copies.set(reached[0], reached[1])
      let isLeft = changes.leaveCopies(0, of: view, live: copies.addresses[0], reached: set, parts: 1) {
        missed = [line.missed(0), line.missed(1)]
        live = view.entry(0).address
      }
      #expect(isLeft && missed == [0, 0] && live == copies.addresses[0])
      #expect(set.contains(view.entry(0).address))
      #expect([line.missed(0), line.missed(1)].reduce(0, +) == 1)
    }
  }

  /// A round begins while a sweep is on its way to an extent, and then a write that it does not cover.
  @Test func aSweepCountsRoundsFromWhenItLooks() throws {
    let world = try World.small(stores: [8, 8], redirectors: 2)
    #expect(try world.perform(.write, 0, extent) == nil)
    #expect(try world.move(.replicate, to: 1).end == .done)
    #expect(try world.perform(.write, 0, block) == nil)
    world.hold(.synchronize)
    nonisolated(unsafe) let sweeper = world.redirectors[1]
    var thread: NativeThread?
    // Whoever looks at the extents of the log keeps others from it.
    world.shared.changes.activity.forEach { _ in
      thread = try? NativeThread(name: "sweeper") { unsafe sweeper.sweepActivity() }
      usleep(50_000)
      do {
        try world.begin(.flush)
        while world.count(.synchronize) < 2, try world.step() {}
        let write = try world.begin(.write, block, block)
        while !world.isAnswered(write), try world.step() {}
      } catch {
        Issue.record("\(error)")
      }
    }
    try #require(thread).join()
    world.letGo()
    try world.settle()
    world.redirectors[1].sweepActivity()
    #expect(world.shadows()!.isActive, "the last write is not durable")
    #expect(try world.perform(.flush) == nil)
    world.redirectors[1].sweepActivity()
    #expect(!world.shadows()!.isActive)
    try world.verifyAtRest()
  }
}
