import ExtentMap
import NBDWire
import Primitives
import Testing

@testable import Redirection

/// The order of things inside one round, which a world of one thread cannot disturb.
@Suite struct CoordinatorTests {
  private static let store = StoreID(rawValue: 0)

  private static func shared() -> SharedState {
    let shared = SharedState(redirectorCount: 2)
    shared.stores.add(store, tier: 0, dataOffset: 0, prepare: .zeroRange)
    return shared
  }

  /// A change that another thread makes while the dirty stores are taken may have its data on a store whose
  /// fdatasync has begun already: it must not be in the cut.
  @Test func changesAreCutBeforeStoresAreTaken() throws {
    let shared = Self.shared()
    let map = try ExtentMap(volume: VolumeID(rawValue: 1), extentBytes: 1 << 16, extentCount: 4)
    defer { withExtendedLifetime(map) {} }
    let view = map.view
    #expect(shared.flushes.enterInBackground())
    let hasChanges = shared.flushes.begin(at: 0) { _ in
      shared.changes.map(0, of: view, to: MapEntry(store: Self.store, slot: 0))
    } skip: { _ in
    }
    #expect(!hasChanges && shared.changes.cutDeltas.isEmpty && shared.changes.pendingCount == 1)
  }

  @Test func aRoundFollowsIfSomebodyNeedsIt() throws {
    let shared = Self.shared()
    let map = try ExtentMap(volume: VolumeID(rawValue: 1), extentBytes: 1 << 16, extentCount: 4)
    defer { withExtendedLifetime(map) {} }
    let view = map.view
    #expect(shared.flushes.enterInBackground())
    _ = shared.flushes.begin(at: 0) { _ in
    } skip: { _ in
    }
    // Nothing is left to do after the running round.
    #expect(!shared.flushes.enterInBackground())
    #expect(!shared.flushes.finish(commitError: nil) { _, _ in })
    shared.stores.markDirty(Self.store, by: view.marks)
    #expect(shared.flushes.enterInBackground())
    _ = shared.flushes.begin(at: 0) { _ in
    } skip: { _ in
    }
    shared.stores.markDirty(Self.store, by: view.marks)
    #expect(!shared.flushes.enterInBackground())
    #expect(shared.flushes.finish(commitError: nil) { _, _ in })
    // Not after a failure: it would spin.
    #expect(!shared.flushes.enterInBackground())
    #expect(!shared.flushes.finish(commitError: .io) { _, _ in })
    #expect(shared.flushes.lastCommitError == .io)
  }

  /// A write that ends while its store is being synchronized may be part of what is lost, and is not part of
  /// what is durable.
  @Test func aWriteNeedsASynchronizationThatBeganAfterIt() throws {
    let shared = Self.shared()
    let map = try ExtentMap(volume: VolumeID(rawValue: 1), extentBytes: 1 << 16, extentCount: 4)
    let other = try ExtentMap(volume: VolumeID(rawValue: 2), extentBytes: 1 << 16, extentCount: 4)
    defer { withExtendedLifetime((map, other)) {} }
    let stores = shared.stores
    stores.markDirty(Self.store, by: map.view.marks)
    stores.markDirty(Self.store, by: other.view.marks)
    stores.takeDirty(at: 0) { _ in
    } skip: { _ in
    }
    stores.markDirty(Self.store, by: map.view.marks)
    stores.markSynchronized(Self.store)
    #expect(stores.isAnyDirty)
    stores.takeDirty(at: 0) { _ in
    } skip: { _ in
    }
    stores.markFailed(Self.store)
    #expect(stores.hasLostWrites(of: map.view.marks) && !stores.hasLostWrites(of: other.view.marks))
    // Nobody asks it again.
    #expect(!stores.isAnyDirty)
    stores.takeDirty(at: 0) { _ in
      Issue.record("a failed store is synchronized")
    } skip: { _ in
    }
  }

  @Test func slotsAreNeverBetweenTwoPlaces() throws {
    let shared = Self.shared()
    let map = try ExtentMap(volume: VolumeID(rawValue: 1), extentBytes: 1 << 16, extentCount: 4)
    defer { withExtendedLifetime(map) {} }
    shared.changes.map(0, of: map.view, to: MapEntry(store: Self.store, slot: 0))
    #expect(shared.changes.unmap(0, of: map.view) == .done)
    #expect(shared.changes.hasRetired && shared.changes.cut() && shared.changes.hasRetired)
    let wasFull = shared.changes.committed { #expect(shared.reclaimer.add($0)) }
    #expect(!wasFull)
    #expect(!shared.changes.hasRetired && shared.reclaimer.pendingCount == 1)
    #expect(shared.reclaimer.passed().isReady == false)
    let (isReady, startsAnother) = shared.reclaimer.passed()
    #expect(isReady && !startsAnother && shared.reclaimer.pendingCount == 1)
    let slots = shared.reclaimer.takeReady()
    #expect(slots.count == 1 && shared.reclaimer.pendingCount == 1)
    let before = shared.reclaimer.spaceChanges
    shared.reclaimer.released(1)
    #expect(shared.reclaimer.pendingCount == 0 && shared.reclaimer.spaceChanges != before)
  }

  @Test func aGracePeriodThatSlotsMissedIsFollowedByAnother() {
    let reclaimer = Reclaimer(redirectorCount: 1)
    let slot = RetiredSlot(store: Self.store, slot: 1, slotBytes: 1 << 16)
    #expect(!reclaimer.add([]))
    #expect(reclaimer.add([slot]))
    #expect(!reclaimer.add([slot]))
    var (isReady, startsAnother) = reclaimer.passed()
    #expect(isReady && startsAnother && reclaimer.takeReady().count == 1)
    (isReady, startsAnother) = reclaimer.passed()
    #expect(isReady && !startsAnother && reclaimer.takeReady().count == 1)
  }

  /// Extents of the same number in two volumes have nothing to do with each other.
  @Test func blocksAreLockedVolumeByVolume() throws {
    let maps = try (1...2).map {
      try ExtentMap(volume: VolumeID(rawValue: $0), extentBytes: 1 << 16, extentCount: 4)
    }
    defer { withExtendedLifetime(maps) {} }
    let views = maps.map(\.view)
    let ranges = RangeLocks()
    #expect(!ranges.tryLock(3, of: views[0], blocks: 0..<2))
    for view in views { view.openGate(3, setting: MapEntry.ranged) }
    #expect(ranges.tryLock(3, of: views[0], blocks: 0..<2))
    #expect(ranges.tryLock(3, of: views[0], blocks: 2..<4))
    #expect(!ranges.tryLock(3, of: views[0], blocks: 1..<3))
    #expect(ranges.tryLock(3, of: views[1], blocks: 1..<3))
    ranges.unlock(3, of: views[0], blocks: 0..<2)
    #expect(views[0].entry(3).isRanged && !ranges.tryLock(3, of: views[0], blocks: 3..<5))
    ranges.unlock(3, of: views[0], blocks: 2..<4)
    #expect(!views[0].entry(3).isRanged && views[1].entry(3).isRanged)
    ranges.unlock(3, of: views[1], blocks: 1..<3)
    #expect(!views[1].entry(3).isRanged)
  }

  @Test func newExtentsGoToTheLowestTierThenTheEmptiestStore() {
    let placement = Placement()
    for (store, tier, granules) in [(0, 1, 8), (1, 0, 2), (2, 0, 4)] as [(UInt8, Int, UInt64)] {
      placement.add(
        StoreID(rawValue: store), at: StorePlace(tier: tier),
        allocator: SlotAllocator(capacityBytes: granules << 16))
    }
    var order: [UInt8] = []
    var slot = SlotPlacement()
    while placement.allocate(slotBytes: 1 << 16, &slot) { order.append(slot.store.rawValue) }
    #expect(order == [1, 2, 2, 1, 2, 2] + Array(repeating: 0, count: 8))
    placement.release(StoreID(rawValue: 2), slot: 0, slotBytes: 1 << 16)
    slot.exclude(StoreID(rawValue: 2))
    #expect(!placement.allocate(slotBytes: 1 << 16, &slot))
    #expect(placement.remove(StoreID(rawValue: 2)) == 3 << 16)
  }
}
