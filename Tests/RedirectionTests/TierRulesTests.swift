import ExtentMap
import NBDWire
import Primitives
import Simulation
import Testing

@testable import Redirection

private let extent = World.extentBytes

/// On which tiers new extents are placed, and that no rule fails a write.
@Suite struct TierRulesTests {
  /// The stores in which so many extents are placed one after the other; nil where there is no room.
  private func places(
    _ count: Int, by rules: TierRules, slots: [UInt64] = [2, 2, 2], _ prepare: (Placement) -> Void = { _ in }
  ) -> [UInt8?] {
    let placement = Placement()
    for (store, slots) in slots.enumerated() {
      placement.add(
        StoreID(rawValue: UInt8(store)), at: StorePlace(tier: store),
        allocator: SlotAllocator(capacityBytes: slots * extent))
    }
    prepare(placement)
    return (0..<count).map { _ in
      var found = SlotPlacement()
      return placement.allocate(slotBytes: extent, by: rules, &found) ? found.store.rawValue : nil
    }
  }

  @Test func aPinnedTierIsFilledFirstThenTheOthersInOrder() {
    #expect(places(7, by: TierRules(pin: 1)) == [1, 1, 0, 0, 2, 2, nil])
    #expect(places(3, by: TierRules(pin: 9)) == [0, 0, 1])
  }

  @Test func aForbiddenTierComesLast() {
    #expect(places(7, by: TierRules(never: TierSet([0]))) == [1, 1, 2, 2, 0, 0, nil])
    #expect(places(7, by: TierRules(pin: 2, never: TierSet([0]))) == [2, 2, 1, 1, 0, 0, nil])
    #expect(places(3, by: TierRules(never: TierSet([0, 1, 2]))) == [0, 0, 1])
  }

  /// A store that is not well comes behind all that are, but before those that are forbidden.
  @Test func healthComesBeforeAPinAndAfterAProhibition() {
    let second = StoreID(rawValue: 1)
    #expect(places(7, by: TierRules(pin: 1)) { $0.setLastResort(second, true) } == [0, 0, 2, 2, 1, 1, nil])
    #expect(
      places(7, by: TierRules(never: TierSet([0]))) { $0.setLastResort(second, true) }
        == [2, 2, 1, 1, 0, 0, nil])
    #expect(places(5, by: TierRules(pin: 1)) { $0.setExcluded(second, true) } == [0, 0, 2, 2, nil])
  }

  @Test func rulesAreKeptBesideTheMap() throws {
    let map = try World.small().volumes[0].map
    #expect(map.view.marks.tiers == TierRules())
    for rules in [
      TierRules(pin: 0), TierRules(pin: 255, never: TierSet([0, 63, 64, 127, 128, 254])),
      TierRules(never: TierSet(0...255)), TierRules(),
    ] {
      map.view.marks.tiers = rules
      #expect(map.view.marks.tiers == rules)
    }
  }

  private func live(_ world: World, _ extents: Int) -> [UInt8] {
    (0..<UInt64(extents)).map { world.volumes[0].map.view.entry($0).store.rawValue }
  }

  @Test func newExtentsFollowTheRulesOfTheirVolume() throws {
    let world = try World.small(extents: 6, stores: [2, 2, 2])
    world.volumes[0].map.view.marks.tiers = TierRules(pin: 2, never: TierSet([0]))
    for number in 0..<6 { #expect(try world.perform(.write, UInt64(number) * extent, extent) == nil) }
    #expect(live(world, 6) == [2, 2, 1, 1, 0, 0])
    try world.verifyAtRest()
  }

  @Test func shadowsOfNewExtentsAreNotPutOnForbiddenTiers() throws {
    let world = try World.small(extents: 2, stores: [4, 4, 4])
    let marks = world.volumes[0].map.view.marks
    marks.copies = 3
    marks.tiers = TierRules(pin: 2, never: TierSet([1]))
    #expect(try world.perform(.write, 0, extent) == nil)
    let line = try #require(world.shadows())
    #expect((0..<ShadowLine.shadowsMax).filter { line.shadow($0).exists }.count == 1)
    #expect(line.shadow(0).address.store.rawValue == 0 && live(world, 1) == [2])
    marks.tiers = TierRules()
    #expect(try world.perform(.write, extent, extent) == nil)
    let other = try #require(world.shadows(of: 1))
    #expect((0..<ShadowLine.shadowsMax).filter { other.shadow($0).exists }.count == 2)
    try world.verifyAtRest()
  }

  /// Nobody waits for a store that is away because a rule would rather have him there.
  @Test func aStoreThatIsAwayIsNotWaitedFor() throws {
    let world = try World.small(extents: 2, stores: [4, 4])
    world.volumes[0].map.view.marks.tiers = TierRules(never: TierSet([0]))
    world.shared.stores.setAway(StoreID(rawValue: 1), true)
    #expect(try world.perform(.write, 0, extent) == nil)
    #expect(live(world, 1) == [0])
  }
}
