import ExtentMap
import Primitives
import Testing

@testable import Shadowing

private func id(_ number: UInt8) -> StoreID { StoreID(rawValue: number) }

private func store(
  _ number: UInt8, _ name: String, tier: Int = 0, node: String = "", cost: Double = 0,
  free: UInt64 = 100 << 20,
  capacity: UInt64 = 200 << 20, isVolatile: Bool = false, hasFailed: Bool = false, isDraining: Bool = false
) -> StoreCandidate {
  StoreCandidate(
    id: id(number), name: name, tier: tier, node: node, cost: cost, freeBytes: free, capacityBytes: capacity,
    isVolatile: isVolatile, hasFailed: hasFailed, isDraining: isDraining)
}

private func copies(_ live: UInt8, _ shadows: (UInt8, Bool)...) -> ExtentCopies {
  ExtentCopies(
    volume: VolumeID(rawValue: 1), extent: 3, live: id(live),
    shadows: shadows.map { ExtentCopies.Shadow(id($0.0), isSynced: $0.1) })
}

private func rules(
  _ stores: [StoreCandidate], copies: Int = 1, across: FailureDomain = .store,
  _ protection: Protection = .sync, tiers: TierRules = TierRules()
) -> CopyRules {
  CopyRules(
    stores: stores, volumeName: "v", extentBytes: 1 << 20,
    wanted: Redundancy(copies: copies, across: across, protection: protection), tiers: tiers)
}

@Suite struct TargetChoiceTests {
  private let choice = TargetChoice(extentBytes: 1 << 20)

  @Test func everyStoreThatWillNotDoSaysWhy() {
    let stores = [
      store(0, "here"), store(1, "full", free: 1000), store(2, "small", free: 0, capacity: 1000),
      store(3, "memory", isVolatile: true), store(4, "dead", hasFailed: true),
      store(5, "leaving", isDraining: true),
    ]
    let wanted = TargetChoice.Refusal(reasons: [
      "here has a copy already", "full is full", "small is too small", "memory is volatile",
      "dead has failed",
      "leaving is being drained",
    ])
    #expect(choice.best(among: stores, beside: [id(0)]) == .failure(wanted))
    var shadow = choice
    shadow.mayBeLive = false
    #expect(shadow.best(among: stores, beside: [id(0)]) == .success(id(3)))
    #expect(
      choice.best(among: [], beside: []).failure?.description == "there is no other store")
  }

  @Test(arguments: [FailureDomain.node, .zone, .region]) func domainsAreNotShared(_ domain: FailureDomain) {
    var other = store(1, "other")
    var choice = choice
    choice.domain = domain
    let refusal = TargetChoice.Refusal(reasons: [
      "here has a copy already", "other is in the same \(domain) as here",
    ])
    #expect(choice.best(among: [store(0, "here"), other], beside: [id(0)]) == .failure(refusal))
    switch domain {
    case .node: other.node = "n2"
    case .zone: other.zone = "z2"
    default: other.region = "r2"
    }
    #expect(choice.best(among: [store(0, "here"), other], beside: [id(0)]) == .success(id(1)))
  }

  /// The copy that leaves does not stand in the way of the one that replaces it.
  @Test func theCopyThatLeavesDoesNotCount() {
    var choice = choice
    choice.domain = .node
    let stores = [store(0, "old", node: "n1"), store(1, "new", node: "n1"), store(2, "far", node: "n2")]
    #expect(choice.best(among: stores, beside: [id(2)], replacing: id(0)) == .success(id(1)))
  }

  @Test func theNearestTierThenTheCheapestThenTheEmptiestIsBest() {
    let here = store(0, "here", tier: 1)
    func best(_ others: StoreCandidate...) -> StoreID? {
      try? choice.best(among: [here] + others, beside: [id(0)]).get()
    }
    #expect(best(store(1, "a", tier: 1), store(2, "b", tier: 2)) == id(1))
    #expect(best(store(1, "a", tier: 0), store(2, "b", tier: 2)) == id(2))
    #expect(best(store(1, "a", tier: 0), store(2, "b", tier: 3)) == id(1))
    #expect(best(store(1, "a", tier: 1, cost: 2), store(2, "b", tier: 1, cost: 1)) == id(2))
    #expect(best(store(1, "a", tier: 1, free: 10 << 20), store(2, "b", tier: 1, free: 20 << 20)) == id(2))
    var fast = choice
    fast.tier = 0
    #expect(
      fast.best(among: [here, store(1, "a", tier: 0), store(2, "b", tier: 1)], beside: [id(0)]).success
        == id(1))
  }
}

extension Result {
  fileprivate var success: Success? { try? get() }
  fileprivate var failure: Failure? {
    if case .failure(let failure) = self { failure } else { nil }
  }
}

@Suite struct CopyRulesTests {
  // MARK: Protection

  @Test func aVolumeGetsAsManyCopiesAsItWants() {
    let stores = [store(0, "a"), store(1, "b"), store(2, "c", free: 50 << 20)]
    #expect(rules(stores).protect(copies(0)) == .success(nil))
    let move = rules(stores, copies: 2).protect(copies(0)).success!
    #expect(move?.kind == .replicate && move?.target == id(1) && move?.reason == "v wants 2 copies")
    #expect(rules(stores, copies: 2).protect(copies(0, (1, true))) == .success(nil))
    let third = rules(stores, copies: 3).protect(copies(0, (1, true))).success!
    #expect(third?.kind == .replicate && third?.target == id(2))
    let refusal = rules(stores, copies: 4).protect(copies(0, (1, true), (2, true))).failure
    #expect(refusal?.reasons.count == 3)
  }

  @Test func copiesThatDoNotCountAreReplaced() {
    let bad = [
      store(1, "b", hasFailed: true), store(1, "b", isDraining: true), store(1, "b", isVolatile: true),
    ]
    for bad in bad {
      let rules = rules([store(0, "a"), bad, store(2, "c")], copies: 2)
      #expect(rules.independentCopies(copies(0, (1, true))) == 1)
      #expect(rules.protect(copies(0, (1, true))).success??.target == id(2), "\(bad)")
    }
    // Two on one node are one.
    let nodes = [store(0, "a", node: "x"), store(1, "b", node: "x"), store(2, "c", node: "y")]
    let across = rules(nodes, copies: 2, across: .node)
    #expect(across.independentCopies(copies(0, (1, true))) == 1)
    #expect(across.protect(copies(0, (1, true))).success??.target == id(2))
    #expect(across.protect(copies(0, (2, true))) == .success(nil))
  }

  /// A copy that does not count does not keep others out of its domain: protection would never be restored.
  @Test func copiesThatDoNotCountDoNotBlockTheirDomain() {
    var lost = store(2, "b1", node: "y")
    lost.fitness = .lost
    let bad = [
      lost, store(2, "b1", node: "y", hasFailed: true), store(2, "b1", node: "y", isDraining: true),
      store(2, "b1", node: "y", isVolatile: true),
    ]
    for bad in bad {
      let stores = [store(0, "a1", node: "x"), store(1, "a2", node: "x"), bad, store(3, "b2", node: "y")]
      let across = rules(stores, copies: 2, across: .node)
      #expect(across.protect(copies(0, (2, true))).success??.target == id(3), "\(bad)")
      #expect(across.relocate(copies(0, (2, true)), to: id(3)).success??.kind == .migrate, "\(bad)")
    }
  }

  @Test func whatAShadowLacksIsCopied() {
    let stores = [store(0, "a"), store(1, "b")]
    let stale = copies(0, (1, false))
    #expect(rules(stores, copies: 2).independentCopies(stale) == 1)
    let move = rules(stores, copies: 2).protect(stale).success!
    #expect(move?.kind == .resync && move?.target == id(1))
    // Also a shadow that nobody asked the volume for.
    #expect(rules(stores).protect(stale).success??.kind == .resync)
    // Left behind as the volume wants it.
    #expect(rules(stores, copies: 2, .none).protect(stale) == .success(nil))
    let dead = [store(0, "a"), store(1, "b", hasFailed: true)]
    #expect(rules(dead).protect(stale) == .success(nil))
  }

  // MARK: Evacuation

  @Test func aLiveCopyLeavesByItsHeirOrByAMove() {
    let stores = [store(0, "a", isDraining: true), store(1, "b"), store(2, "c")]
    let heir = rules(stores).evacuate(copies(0, (1, true)), from: id(0)).success
    #expect(heir?.kind == .promote && heir?.target == id(1))
    for shadow in [(UInt8(1), false)] {
      let move = rules(stores).evacuate(copies(0, shadow), from: id(0)).success
      #expect(move?.kind == .migrate && move?.target == id(2) && move?.source == id(0))
      #expect(move?.isSourceLive == true)
    }
    let memory = [store(0, "a", isDraining: true), store(1, "m", isVolatile: true)]
    #expect(
      rules(memory).evacuate(copies(0, (1, true)), from: id(0)).failure?.reasons == ["m has a copy already"])
  }

  @Test func aShadowLeavesIfThereAreEnoughOthers() {
    let stores = [store(0, "a", isDraining: true), store(1, "b"), store(2, "c")]
    #expect(rules(stores).evacuate(copies(1, (0, true)), from: id(0)).success?.kind == .drop)
    let move = rules(stores, copies: 2).evacuate(copies(1, (0, true)), from: id(0)).success
    #expect(move?.kind == .migrate && move?.target == id(2) && move?.isSourceLive == false)
    // The live copy may be gone any moment: the shadow is not given up.
    let dead = [store(0, "a", isDraining: true), store(1, "b", hasFailed: true), store(2, "c")]
    #expect(rules(dead).evacuate(copies(1, (0, true)), from: id(0)).success?.kind == .migrate)
  }

  /// There is no place for a copy more until one has gone: a drain would never end.
  @Test func aFullExtentIsEvacuated() {
    var stores = (0..<6).map { store($0, "s\($0)") }
    stores[3].isDraining = true
    let full = copies(0, (1, true), (2, true), (3, true))
    let move = rules(stores, copies: 4).evacuate(full, from: id(3)).success
    #expect(move?.kind == .replace && move?.target == id(4) && move?.source == id(3))
    // Nothing is given up as long as nothing takes its place.
    #expect(rules(Array(stores.prefix(4)), copies: 4).evacuate(full, from: id(3)).failure != nil)
    // Rather than what is up to date goes what is not.
    stores[1].fitness = .lost
    let stale = copies(0, (1, false), (2, true), (3, true))
    #expect(rules(stores, copies: 4).evacuate(stale, from: id(3)).success?.source == id(1))
    // A live copy that nobody can take over from gets an heir first.
    stores[2].isVolatile = true
    let live = copies(3, (0, false), (1, false), (2, true))
    let heir = rules(stores, copies: 4).evacuate(live, from: id(3)).success
    #expect(heir?.kind == .replace && heir?.target == id(4) && heir?.source == id(1))
  }

  @Test func theLastGoodCopyOfAFullExtentStays() {
    var stores = (0..<5).map { store($0, "s\($0)") }
    stores[0].hasFailed = true
    stores[1].fitness = .lost
    stores[2].fitness = .lost
    stores[3].isDraining = true
    let move = rules(stores).evacuate(copies(0, (1, true), (2, true), (3, true)), from: id(3)).success
    #expect(move?.kind == .replace && move?.source == id(1) && move?.target == id(4))
    stores[3].hasFailed = true
    #expect(
      rules(stores).evacuate(copies(0, (1, true), (2, true), (3, true)), from: id(3)).failure?.reasons
        == ["it has as many copies as it can have"])
  }

  /// A volume that leaves its shadows behind can be moved off a store all the same.
  @Test func aShadowThatWasLeftBehindCatchesUpToTakeOver() {
    let stores = [store(0, "a", isDraining: true), store(1, "b")]
    let move = rules(stores, copies: 2, .none).evacuate(copies(0, (1, false)), from: id(0)).success
    #expect(move?.kind == .resync && move?.target == id(1))
  }

  @Test func aFullExtentIsProtected() {
    var stores = (0..<5).map { store($0, "s\($0)") }
    stores[2].fitness = .lost
    let full = copies(0, (1, true), (2, true), (3, true))
    let move = rules(stores, copies: 4).protect(full).success!
    #expect(move?.kind == .replace && move?.source == id(2) && move?.target == id(4))
    // Copies that share a domain count once.
    let nodes = ["x", "x", "x", "x", "y"].enumerated().map { store(UInt8($0), "s\($0)", node: $1) }
    let across = rules(nodes, copies: 2, across: .node).protect(full).success!
    #expect(across?.kind == .replace && across?.source == id(1) && across?.target == id(4))
    // What is on a store that is expected back counts, and stays.
    stores[2].fitness = .away
    #expect(rules(stores, copies: 4).protect(full) == .success(nil))
  }

  // MARK: Requests

  @Test func aLiveCopyIsRelocated() {
    let stores = [store(0, "a"), store(1, "b"), store(2, "m", isVolatile: true)]
    #expect(rules(stores).relocate(copies(0), to: id(0)) == .success(nil))
    let move = rules(stores).relocate(copies(0), to: id(1)).success!
    #expect(move?.kind == .migrate && move?.source == id(0) && move?.isSourceLive == true)
    #expect(rules(stores).relocate(copies(0), to: id(2)).failure?.description == "m is volatile")
    // To its own shadow.
    #expect(rules(stores).relocate(copies(0, (1, true)), to: id(1)).success??.kind == .migrate)
    #expect(rules(stores, copies: 2).relocate(copies(0, (1, true)), to: id(1)).success??.kind == .promote)
    // The old one is needed all the same if that lacks something.
    let stale = rules(stores, copies: 2).relocate(copies(0, (1, false)), to: id(1)).success!
    #expect(stale?.kind == .promote && stale?.isTargetSynced == false)
    #expect(rules(stores).relocate(copies(0, (2, true)), to: id(2)).failure?.description == "m is volatile")
  }

  @Test func whatCanNotTakeACopyIsRefused() {
    let others: [(StoreCandidate, String)] = [
      (store(1, "b", free: 1000), "b is full"), (store(1, "b", free: 0, capacity: 1000), "b is too small"),
      (store(1, "b", hasFailed: true), "b has failed"),
      (store(1, "b", isDraining: true), "b is being drained"),
    ]
    for (other, words) in others {
      let rules = rules([store(0, "a"), other])
      #expect(rules.relocate(copies(0), to: id(1)).failure?.description == words)
      #expect(rules.replicate(copies(0), to: id(1)).failure?.description == words)
    }
    let near = rules([store(0, "a"), store(1, "b")], across: .node)
    #expect(near.replicate(copies(0), to: id(1)).failure?.description == "b is in the same node as a")
    #expect(near.relocate(copies(0), to: id(1)).success??.kind == .migrate)
    #expect(near.replicate(copies(0), to: id(9)).failure?.description == "there is no such store")
    let many = rules((0..<5).map { store($0, "s\($0)") })
    let full = copies(0, (1, true), (2, true), (3, true))
    #expect(many.replicate(full, to: id(4)).failure?.description == "it has as many copies as it can have")
    #expect(many.relocate(full, to: id(4)).failure?.description == "it has as many copies as it can have")
    #expect(many.relocate(full, to: id(3)).success??.kind == .migrate)
  }

  @Test func aShadowIsMadeOrMadeEqual() {
    let stores = [store(0, "a"), store(1, "b"), store(2, "m", isVolatile: true)]
    #expect(rules(stores).replicate(copies(0, (1, true)), to: id(1)) == .success(nil))
    #expect(rules(stores).replicate(copies(0), to: id(0)) == .success(nil))
    #expect(rules(stores).replicate(copies(0), to: id(1)).success??.kind == .replicate)
    #expect(rules(stores).replicate(copies(0), to: id(2)).success??.kind == .replicate)
    #expect(rules(stores).replicate(copies(0, (1, false)), to: id(1)).success??.kind == .resync)
  }

  @Test func theLastGoodCopyIsNotDropped() {
    let stores = [store(0, "a"), store(1, "b"), store(2, "c")]
    #expect(rules(stores).drop(copies(0), from: id(1)) == .success(nil))
    #expect(rules(stores).drop(copies(0, (1, true)), from: id(1)).success??.kind == .drop)
    #expect(
      rules(stores).drop(copies(0, (1, true)), from: id(0)).failure?.description
        == "its live copy lies in a: move that elsewhere first")
    let dead = [store(0, "a", hasFailed: true), store(1, "b")]
    #expect(
      rules(dead).drop(copies(0, (1, true)), from: id(1)).failure?.description
        == "the copy in b is its last good one")
    #expect(rules(dead).drop(copies(0, (1, false)), from: id(1)).success??.kind == .drop)
    let wanted = rules(stores, copies: 2)
    #expect(
      wanted.drop(copies(0, (1, true)), from: id(1)).failure?.description
        == "v wants 2 copies: lower that, or drain b")
    #expect(wanted.drop(copies(0, (1, true), (2, true)), from: id(1)).success??.kind == .drop)
  }

  /// Between plan and deed, copies may have moved.
  @Test func aMoveThatWasMadeAlreadyDoesNotApply() {
    func move(_ kind: MoveKind, isSourceLive: Bool = true) -> Move {
      Move(
        kind, volume: VolumeID(rawValue: 1), extent: 3, to: id(1), from: id(0), isSourceLive: isSourceLive,
        reason: "")
    }
    #expect(move(.migrate).applies(to: copies(0)) && !move(.migrate).applies(to: copies(1)))
    #expect(!move(.migrate).applies(to: copies(2, (0, true))))
    #expect(move(.migrate, isSourceLive: false).applies(to: copies(2, (0, true))))
    #expect(!move(.migrate, isSourceLive: false).applies(to: copies(0)))
    #expect(move(.replicate).applies(to: copies(0, (1, false))))
    #expect(!move(.replicate).applies(to: copies(0, (1, true))) && !move(.replicate).applies(to: copies(1)))
    #expect(move(.replace).applies(to: copies(2, (0, true))) && !move(.replace).applies(to: copies(0)))
    for kind in [MoveKind.resync, .promote, .drop] {
      #expect(move(kind).applies(to: copies(0, (1, true))) && !move(kind).applies(to: copies(0)))
    }
  }

  /// One word for each way in which copies can lie.
  @Test func differentCopiesHaveDifferentSignatures() throws {
    let map = try ExtentMap(volume: VolumeID(rawValue: 1), extentBytes: 1 << 20, extentCount: 64)
    defer { withExtendedLifetime(map) {} }
    let shadows: [[(UInt8, UInt64)]] = [
      [], [(1, 0)], [(1, 1)], [(2, 0)], [(1, 0), (2, 0)], [(1, 0), (2, 4)], [(1, 4), (2, 0)],
      [(2, 0), (1, 0)],
      [(1, 0), (2, 0), (3, 0)], [(1, 0), (2, 0), (255, 0)], [(0, 0)],
    ]
    var seen: [CopySignature: Int] = [:]
    for live in [UInt8(4), 255] {
      for (number, shadows) in shadows.enumerated() {
        let extent = UInt64(seen.count)
        map.view.setAddress(extent, MapEntry(store: id(live), slot: 9))
        for (index, shadow) in shadows.enumerated() {
          try map.loadShadow(extent, index, MapEntry(store: id(shadow.0), slot: 3), missed: shadow.1)
        }
        let signature = CopySignature(map.view, extent, map.view.entry(extent))
        #expect(seen.updateValue(number, forKey: signature) == nil, "\(live) \(shadows)")
        let copies = try #require(ExtentCopies(map.view, extent))
        #expect(copies.live == id(live) && copies.shadows.map(\.store) == shadows.map { id($0.0) })
        #expect(copies.shadows.map(\.isSynced) == shadows.map { $0.1 == 0 })
      }
    }
  }
}

/// On which tiers copies belong.
@Suite struct TierRulesTests {
  private let stores = [
    store(0, "fast", tier: 0), store(1, "mid", tier: 1), store(2, "slow", tier: 2), store(3, "far", tier: 2),
  ]
  private let objection = "mid is of tier1, where the volume is never to have copies"

  @Test func aChoiceKeepsAwayFromForbiddenTiers() {
    var choice = TargetChoice(extentBytes: 1 << 20, tier: 1, never: TierSet([1]))
    #expect(choice.best(among: stores, beside: [id(2)]).success == id(3))
    choice.never = TierSet([0, 1])
    let refusal = choice.best(among: Array(stores.prefix(3)), beside: [id(2)]).failure
    #expect(refusal?.reasons.contains(objection) == true && refusal?.reasons.count == 3)
  }

  @Test func protectionMakesNoCopiesThere() {
    let rules = rules(Array(stores.prefix(2)), copies: 2, tiers: TierRules(never: TierSet([1])))
    #expect(rules.protect(copies(0)).failure?.reasons.last == objection)
    // One that is there counts all the same, and is made equal again.
    #expect(rules.protect(copies(0, (1, true))) == .success(nil))
    #expect(rules.protect(copies(0, (1, false))).success??.kind == .resync)
  }

  @Test func evacuationGoesToThePinnedTierAndNeverToAForbiddenOne() {
    #expect(rules(stores).evacuate(copies(2), from: id(2)).success?.target == id(3))
    #expect(rules(stores, tiers: TierRules(pin: 0)).evacuate(copies(2), from: id(2)).success?.target == id(0))
    // What is not the live copy stays near to it.
    let shadow = rules(stores, copies: 2, tiers: TierRules(pin: 0)).evacuate(
      copies(2, (3, true)), from: id(3))
    #expect(shadow.success?.target == id(1))
    let stuck = rules(Array(stores.prefix(2)), tiers: TierRules(never: TierSet([1])))
    #expect(stuck.evacuate(copies(0), from: id(0)).failure?.description == objection)
  }

  @Test func theHeirIsRatherOneThatMayBeThere() {
    let forbidding = rules(stores, tiers: TierRules(never: TierSet([1])))
    #expect(forbidding.promote(copies(0, (1, true), (2, true)), from: id(0), reason: "")?.target == id(2))
    #expect(rules(stores).promote(copies(0, (1, true), (2, true)), from: id(0), reason: "")?.target == id(1))
    // Better than none; but nothing that has time to copy relies on it.
    #expect(forbidding.promote(copies(0, (1, true)), from: id(0), reason: "")?.target == id(1))
    let move = forbidding.evacuate(copies(0, (1, true)), from: id(0)).success
    #expect(move?.kind == .migrate && move?.target == id(2))
  }

  @Test func nobodyCanAskForACopyThere() {
    let rules = rules(stores, tiers: TierRules(never: TierSet([1])))
    #expect(rules.relocate(copies(0), to: id(1)).failure?.description == objection)
    #expect(rules.relocate(copies(0, (1, true)), to: id(1)).failure?.description == objection)
    #expect(rules.replicate(copies(0), to: id(1)).failure?.description == objection)
    #expect(rules.drop(copies(0, (1, true)), from: id(1)).success??.kind == .drop)
    #expect(rules.relocate(copies(0), to: id(2)).success??.kind == .migrate)
  }

  @Test func nothingIsForeseenThere() {
    let forbidding = rules(stores, tiers: TierRules(never: TierSet([0])))
    let result = forbidding.foreshadow(copies(2), among: [id(0)], headroomBytes: [:], reason: "")
    #expect(result.failure?.description.hasPrefix("fast is of tier0") == true)
    #expect(
      rules(stores, tiers: TierRules(pin: 2)).foreshadow(
        copies(2), among: [id(0)], headroomBytes: [:], reason: ""
      ).success?.target == id(0))
  }
}
