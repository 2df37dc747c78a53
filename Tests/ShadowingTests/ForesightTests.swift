import Forecasting
import Primitives
import Testing

@testable import Shadowing

private func id(_ number: UInt8) -> StoreID { StoreID(rawValue: number) }

private func store(
  _ number: UInt8, tier: Int, free: UInt64 = 100 << 20, fitness: StoreFitness = .well, node: String = ""
) -> StoreCandidate {
  StoreCandidate(
    id: id(number), name: "s\(number)", tier: tier, node: node, freeBytes: free, capacityBytes: 200 << 20,
    fitness: fitness)
}

private func copies(_ live: UInt8, _ shadows: (UInt8, Bool)...) -> ExtentCopies {
  ExtentCopies(
    volume: VolumeID(rawValue: 1), extent: 3, live: id(live),
    shadows: shadows.map { ExtentCopies.Shadow(id($0.0), isSynced: $0.1) })
}

private func rules(_ stores: [StoreCandidate], copies: Int = 1, across: FailureDomain = .store) -> CopyRules {
  CopyRules(
    stores: stores, volumeName: "v", extentBytes: 1 << 20,
    wanted: Redundancy(copies: copies, across: across))
}

/// Shadows that no volume asked for: made only where they are in nobody's way, and never dropped if needed.
@Suite struct ForesightTests {
  private let stores = [store(0, tier: 0), store(1, tier: 1), store(2, tier: 1)]

  private func target(_ rules: CopyRules, _ copies: ExtentCopies, headroom: UInt64 = 0) -> StoreID? {
    let result = rules.foreshadow(
      copies, among: [id(0)], headroomBytes: [id(0): headroom], reason: "it is read")
    guard case .success(let move) = result else { return nil }
    #expect(move.kind == .replicate && move.reason == "it is read")
    return move.target
  }

  @Test func shadowGoesToTheFastTier() {
    #expect(target(rules(stores), copies(1)) == id(0))
  }

  @Test func lastFreeSlotsAreLeft() {
    let tight = [store(0, tier: 0, free: 3 << 20), store(1, tier: 1)]
    #expect(target(rules(tight), copies(1), headroom: 2 << 20) == id(0))
    #expect(target(rules(tight), copies(1), headroom: 2 << 20 + 1) == nil)
  }

  @Test(arguments: [StoreFitness.leaving, .away, .lost]) func unfitStoreGetsNone(_ fitness: StoreFitness) {
    #expect(target(rules([store(0, tier: 0, fitness: fitness), store(1, tier: 1)]), copies(1)) == nil)
  }

  @Test func protectionComesFirst() {
    let wanting = rules(stores, copies: 2)
    #expect(target(wanting, copies(1)) == nil)
    #expect(target(wanting, copies(1, (2, true))) == id(0))
    #expect(target(wanting, copies(1, (2, false))) == nil)
  }

  @Test func roomForOneMoreCopyIsLeft() {
    let more = stores + [store(3, tier: 1), store(4, tier: 1)]
    #expect(target(rules(more), copies(1, (2, true))) == id(0))
    #expect(target(rules(more), copies(1, (2, true), (3, true))) == nil)
  }

  @Test func copiesThatAreNotCountedOnMayShareANode() {
    let near = [store(0, tier: 0, node: "n"), store(1, tier: 1, node: "n"), store(2, tier: 1, node: "m")]
    #expect(target(rules(near, copies: 2, across: .node), copies(1, (2, true))) == id(0))
  }

  @Test func onlyShadowsBeyondWhatIsWantedAreSpare() {
    #expect(rules(stores).spareShadow(copies(1, (0, true)), in: [id(0)]) == id(0))
    #expect(rules(stores, copies: 2).spareShadow(copies(1, (0, true)), in: [id(0)]) == nil)
    #expect(rules(stores, copies: 2).spareShadow(copies(1, (0, true), (2, true)), in: [id(0)]) == id(0))
    #expect(rules(stores).spareShadow(copies(1, (2, true)), in: [id(0)]) == nil)
  }

  // MARK: How much

  @Test func allowanceIsAShareOfTheTierAndLeavesHeadroom() {
    let allowance = ShadowAllowance(share: 0.25)
    let stores = [store(0, tier: 0, free: 100 << 20)]
    #expect(allowance.headroomBytes(in: stores[0], extentBytes: 1 << 20) == 10 << 20)
    #expect(allowance.headroomBytes(in: stores[0], extentBytes: 16 << 20) == 64 << 20)
    #expect(allowance.bytes(in: stores, ownBytes: 0, extentBytes: 1 << 20) == 50 << 20)
    #expect(allowance.shareBytes(in: stores + stores) == 100 << 20)
    let full = [store(0, tier: 0, free: 12 << 20)]
    #expect(allowance.bytes(in: full, ownBytes: 8 << 20, extentBytes: 1 << 20) == 10 << 20)
    let fuller = [store(0, tier: 0, free: 0)]
    #expect(allowance.bytes(in: fuller, ownBytes: 8 << 20, extentBytes: 1 << 20) == 8 << 20)
  }

  // MARK: The loop and what the caller knows better

  private func loop(_ capacity: Int) -> FastLoop {
    FastLoop(
      capacity: capacity, extentCount: 1000, settings: .init(extentBytes: 1 << 20, copyCost: 2))
  }

  @Test func placedExtentsLeaveInTheirOrder() {
    var loop = loop(2)
    #expect(loop.place(7, at: 1) == nil)
    #expect(loop.place(8, at: 2) == nil)
    #expect(loop.place(7, at: 3) == nil)
    #expect(loop.place(9, at: 4) == 8)
    #expect(loop.tier.next?.extent == 7 && loop.tier.next?.touchedMicroseconds == 3)
    #expect(loop.dropNext() == 7 && loop.dropNext() == 9 && loop.dropNext() == nil)
  }

  @Test func nothingBeyondTheEndIsPlaced() {
    var loop = loop(2)
    _ = loop.place(1000, at: 1)
    #expect(loop.tier.count == 0)
  }

  /// Against a list of what should be there, in any order of additions, touches and removals.
  @Test(arguments: 1...8) func tierForgetsWhatIsRemoved(_ seed: UInt64) {
    var random = SeededGenerator(seed: seed)
    var tier = FastTier(capacity: 8)
    var list: [UInt32] = []
    for step in 0..<2000 {
      let extent = UInt32.random(in: 0..<24, using: &random)
      if Int.random(in: 0..<3, using: &random) == 0 {
        tier.remove(extent)
        list.removeAll { $0 == extent }
      } else if tier.touch(extent, request: 1, at: UInt64(step), isFinished: false) != nil {
        #expect(list.contains(extent))
        list.removeAll { $0 == extent }
        list.append(extent)
      } else {
        let departure = tier.add(extent, request: 1, at: UInt64(step), readyMicroseconds: 0)
        #expect(departure?.extent == (list.count == 8 ? list.removeFirst() : nil))
        list.append(extent)
      }
      #expect(tier.count == list.count && tier.next?.extent == list.first)
    }
  }

  /// A run is fetched ahead only where the caller lets it.
  @Test func onlyWhatTheSlowTierHasIsFetchedAhead() {
    func ahead(mayFetch: @escaping (UInt32) -> Bool) -> Set<UInt32> {
      var loop = loop(100)
      var found: Set<UInt32> = []
      var time: UInt64 = 0
      for start in stride(from: UInt32(0), to: 40 << 20, by: 16 << 10) {
        loop.beginRequest()
        time += 500
        let access = ExtentAccess(
          extent: start >> 20, start: start & 0xfffff, end: start & 0xfffff + 16 << 10,
          requestBytes: 16 << 10, microseconds: time)
        if let ahead = loop.touch(access, isLast: true, mayFetch: mayFetch).ahead {
          found.insert(ahead.extent)
        }
      }
      return found
    }
    #expect(ahead { _ in true }.contains { $0 % 2 == 1 })
    #expect(!ahead { $0 % 2 == 0 }.contains { $0 % 2 == 1 })
  }

  @Test func copiesThatAreNotMadeCostNothing() {
    var ledger = CopyLedger(capacity: 100, copyCost: 2)
    for _ in 0..<5 { ledger.addCopy() }
    ledger.refundCopy()
    #expect(ledger.balance == -8)
    for _ in 0..<9 { ledger.refundCopy() }
    #expect(ledger.balance == 0)
  }
}
