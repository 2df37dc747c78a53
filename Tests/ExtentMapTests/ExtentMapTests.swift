import Platform
import Primitives
import TestSupport
import Testing

@testable import ExtentMap

@Suite struct ExtentMapTests {
  private static func map(_ count: UInt64 = 16) throws -> ExtentMap {
    try ExtentMap(volume: VolumeID(rawValue: 1), extentBytes: 1 << 20, extentCount: count)
  }

  private static let place = MapEntry(store: StoreID(rawValue: 5), slot: 77)

  @Test func aNewMapIsUnmapped() throws {
    let map = try Self.map()
    #expect(map.mappedCount() == 0 && map.view.extentBytes == 1 << 20 && map.view.extentShift == 20)
    #expect((0..<16).allSatisfy { map.view.entry($0) == .unmapped })
  }

  @Test func stateAndAddressDoNotDisturbEachOther() throws {
    let map = try Self.map()
    let view = map.view
    defer { withExtendedLifetime(map) {} }
    #expect(view.pin(3).writers == 1)
    #expect(view.closeGate(3) && !view.closeGate(3))
    view.setAddress(3, MapEntry(rawValue: Self.place.rawValue | MapEntry.shadowed))
    var entry = view.entry(3)
    #expect(entry.address == Self.place && entry.isUncommitted && entry.isGated && entry.writers == 1)
    #expect(entry.rawValue & MapEntry.shadowed == 0)
    view.openGate(3, setting: MapEntry.ranged)
    entry = view.entry(3)
    #expect(!entry.isGated && entry.isRanged && entry.writers == 1)
    view.clearRanged(3)
    #expect(!view.entry(3).isRanged && view.entry(3).address == Self.place)
    #expect(view.unpin(3).writers == 0)
    view.setAddress(3, .unmapped)
    #expect(!view.entry(3).isMapped && view.entry(3).isUncommitted)
    #expect(view.entry(2) == .unmapped && view.entry(4) == .unmapped)
  }

  @Test func onlyTheCommittedAddressCountsAsCommitted() throws {
    let map = try Self.map()
    let view = map.view
    defer { withExtendedLifetime(map) {} }
    let other = MapEntry(store: StoreID(rawValue: 5), slot: 78)
    view.setAddress(0, Self.place)
    view.setAddress(0, other)
    view.markCommitted(0, Self.place)
    #expect(view.entry(0).isUncommitted)
    view.markCommitted(0, other)
    #expect(view.entry(0) == other)
  }

  /// An extent that was active, or had a shadow, knows nothing of it when it comes back with a larger volume.
  @Test func whatIsCutOffForgetsItsShadows() throws {
    let map = try Self.map(8)
    let view = map.view
    defer { withExtendedLifetime(map) {} }
    let shadow = MapEntry(store: StoreID(rawValue: 6), slot: 5)
    view.setAddress(6, Self.place)
    try map.loadShadow(6, 0, shadow, missed: 0)
    try map.makeShadowLine(6).becomeActive()
    // Without a shadow, and without a live copy.
    view.setAddress(5, Self.place)
    try map.makeShadowLine(5).becomeActive()
    try map.makeShadowLine(4).becomeActive()
    map.shrink(to: 4)
    var cut = 4..<8 as Range<UInt64>
    #expect(map.unmap(&cut, entriesMax: 10) == [Self.place, Self.place, shadow])
    try map.grow(to: 8)
    for extent in 4..<7 as Range<UInt64> {
      let line = try #require(view.shadowLine(extent))
      #expect(!line.isActive && !line.hasShadows, "extent \(extent)")
    }
  }

  @Test func aMapGrowsInPlaceAndShrinks() throws {
    let map = try Self.map(4)
    let view = map.view
    defer { withExtendedLifetime(map) {} }
    view.setAddress(3, Self.place)
    try map.grow(to: 100_000)
    #expect(map.extentCount == 100_000 && view.entry(99_999) == .unmapped)
    view.setAddress(99_999, Self.place)
    #expect(view.entry(3).address == Self.place && map.mappedCount() == 2)
    try map.grow(to: 10)
    #expect(map.extentCount == 100_000)
    view.setAddress(50_000, Self.place)
    map.shrink(to: 4)
    #expect(map.extentCount == 4 && map.mappedCount() == 1)
    // What was cut off is unmapped piece by piece.
    var cut = 4..<100_000 as Range<UInt64>
    #expect(map.unmap(&cut, entriesMax: 1) == [Self.place] && cut == 50_001..<100_000)
    #expect(map.unmap(&cut, entriesMax: 10) == [Self.place] && cut.isEmpty)
    #expect(map.unmap(&cut, entriesMax: 10) == [])
    try map.grow(to: 100_000)
    #expect(view.entry(99_999) == .unmapped)
    #expect(map.firstEntry { $0.slot == 77 } == 3 && map.firstEntry { $0.slot == 78 } == nil)
    #expect(throws: SystemError.self) { try map.grow(to: (1 << 33) + 1) }
    #expect(map.extentCount == 100_000)
    // All of the address space that was reserved.
    try map.grow(to: 1 << 33)
    #expect(view.entry((1 << 33) - 1) == .unmapped)
  }

  @Test func onlyTheExtentsFromOneOnDecideWhetherTheRestIsUnmapped() throws {
    let map = try Self.map(4)
    map.view.setAddress(2, Self.place)
    #expect((0...5).map { map.isUnmapped(from: $0) } == [false, false, false, true, true, true])
  }

  @Test func loadingFillsTheWords() throws {
    let map = try Self.map(3)
    unsafe map.load { words in
      #expect(words.count == 3)
      unsafe words[1] = Self.place.rawValue
    }
    #expect(map.view.entry(1) == Self.place && map.mappedCount() == 1)
  }

  /// Writers pin from several threads while another closes the gate, waits until they have drained, and
  /// moves the extent: whoever was let in must see one address from pin to unpin.
  @Test func theGateKeepsWritersOutWhileTheExtentMoves() async throws {
    let map = try Self.map(1)
    let view = map.view
    defer { withExtendedLifetime(map) {} }
    view.setAddress(0, MapEntry(store: StoreID(rawValue: 0), slot: 0))
    let moves = 300
    let ends = Counter()
    let torn = Counter()
    try await withThrowingTaskGroup { group in
      for _ in 0..<2 {
        group.addTask {
          try await onThread {
            while ends.value == 0 {
              let entry = view.pin(0)
              if !entry.isGated {
                if view.entry(0).address != entry.address { torn.add() }
              }
              _ = view.unpin(0)
            }
          }
        }
      }
      group.addTask {
        try await onThread {
          for move in 1...moves {
            while !view.closeGate(0) {}
            while view.entry(0).writers > 0 {}
            view.setAddress(0, MapEntry(store: StoreID(rawValue: 0), slot: UInt64(move)))
            view.openGate(0)
          }
          ends.add()
        }
      }
      try await group.waitForAll()
    }
    #expect(torn.value == 0)
    #expect(view.entry(0).slot == UInt64(moves) && view.entry(0).writers == 0 && !view.entry(0).isGated)
  }
}
