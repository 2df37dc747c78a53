import Primitives
import Testing

@testable import ExtentMap

@Suite struct MapEntryTests {
  @Test func theWordIsCutWithoutGapsOrOverlap() {
    let parts = [
      MapEntry.addressMask, MapEntry.writersMask, MapEntry.ranged, MapEntry.uncommitted, MapEntry.shadowed,
      MapEntry.gate, MapEntry.closed,
    ]
    #expect(parts.reduce(0, ^) == .max && parts.reduce(0, |) == .max)
    #expect(MapEntry.writersMask / MapEntry.oneWriter == UInt64(MapEntry.writersMax))
  }

  @Test func addressesReadBack() {
    var generator = SeededGenerator(seed: 3)
    let slots: [UInt64] = [0, 1, (1 << 37) - 2] + (0..<200).map { _ in generator.next() >> 28 }
    for slot in slots {
      let store = StoreID(rawValue: UInt8(truncatingIfNeeded: generator.next()))
      let entry = MapEntry(store: store, slot: slot)
      #expect(entry.isMapped && entry.store == store && entry.slot == slot && entry.address == entry)
      let busy = MapEntry(rawValue: entry.rawValue | ~MapEntry.addressMask)
      #expect(busy.address == entry && busy.store == store && busy.slot == slot)
      #expect(busy.isGated && busy.isRanged && busy.isUncommitted && busy.writers == MapEntry.writersMax)
    }
    #expect(!MapEntry.unmapped.isMapped)
    #expect(!MapEntry(rawValue: ~MapEntry.addressMask).isMapped)
  }

  @Test func deltasKeepTheAddressOnly() {
    let entry = MapEntry(store: StoreID(rawValue: 3), slot: 9)
    let busy = MapEntry(rawValue: entry.rawValue | MapEntry.gate | MapEntry.uncommitted)
    #expect(MapDelta(volume: VolumeID(rawValue: 1), extent: 2, entry: busy).entry == entry)
  }

  @Test func aSlotThatDoesNotFitTraps() async {
    await #expect(processExitsWith: .failure) {
      _ = MapEntry(store: StoreID(rawValue: 0), slot: (1 << 37) - 1)
    }
  }
}
