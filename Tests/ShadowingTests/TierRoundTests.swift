import Forecasting
import Primitives
import Testing

@testable import Shadowing

private let mebibyte: UInt64 = 1 << 20

private func store(_ number: UInt8, tier: Int, free: UInt64, of capacity: UInt64 = 100) -> StoreCandidate {
  StoreCandidate(
    id: StoreID(rawValue: number), name: "tier\(tier)", tier: tier, freeBytes: free * mebibyte,
    capacityBytes: capacity * mebibyte)
}

@Suite struct TierPolicyTests {
  private let policy = TierPolicy(tiers: [2, 0, 1])

  @Test func theScoreSaysTheTier() {
    let tiers = [0.9, 0.6, 0.1].map { policy.tier(current: 1, score: $0, idleSeconds: 0).tier }
    #expect(tiers == [0, 1, 2])
    #expect(policy.tier(current: 0, score: 0.78, idleSeconds: 0).tier == 0)
    #expect(policy.tier(current: 0, score: 0.1, idleSeconds: 0).cause == .volatility(0.1))
  }

  @Test func tiersThatAreMissingAreMadeUpForBySlowerOnes() {
    let policy = TierPolicy(tiers: [0, 3])
    #expect(policy.tier(current: 3, score: 0.6, idleSeconds: 0).tier == 3)
    #expect(policy.tier(current: 3, score: 0.9, idleSeconds: 0).tier == 0)
    #expect(policy.tier(current: 0, score: 0.6, idleSeconds: 0).tier == 3)
    #expect(TierPolicy(tiers: [1]).tier(current: 1, score: 0.1, idleSeconds: 0).tier == 1)
    // Nothing is called back from a slow tier for being no colder than others there.
    #expect(TierPolicy(tiers: [0, 1, 2, 3]).tier(current: 3, score: 0.1, idleSeconds: 0).tier == 3)
  }

  @Test func whatAVolumeIsToldComesFirst() {
    let pinned = TierPolicy(tiers: [0, 1, 2], rules: TierRules(pin: 2))
    #expect(pinned.tier(current: 0, score: 1, idleSeconds: 0) == (2, .pinned))
    // A tier that there is not pins nothing.
    #expect(
      TierPolicy(tiers: [0, 1], rules: TierRules(pin: 2)).tier(current: 1, score: 0.9, idleSeconds: 0).tier
        == 0)
    let without = TierPolicy(tiers: [0, 1, 2], rules: TierRules(never: TierSet([0])))
    #expect(without.tier(current: 0, score: 0.9, idleSeconds: 0) == (1, .forbidden))
    #expect(without.tier(current: 2, score: 0.9, idleSeconds: 0).tier == 1)
    #expect(
      TierPolicy(tiers: [0], rules: TierRules(never: TierSet([0]))).tier(
        current: 0, score: 0.9, idleSeconds: 0
      ).tier == 0)
  }

  @Test func whatIsColdForLongIsArchived() {
    var policy = policy
    policy.archiveAfterSeconds = 86_400
    #expect(policy.tier(current: 0, score: 0.1, idleSeconds: 86_399).cause == .volatility(0.1))
    #expect(policy.tier(current: 0, score: 0.9, idleSeconds: 86_400) == (2, .cold(seconds: 86_400)))
    #expect(policy.tier(current: 2, score: 0, idleSeconds: 90_000).tier == 2)
    #expect(policy.tier(current: 0, score: 0.9, idleSeconds: nil).tier == 0)
  }
}

@Suite struct TierRoundTests {
  private static let now = HeatTime(1_000_000)
  private let settings = TierRound.Settings(freeShare: 0.1, horizonSeconds: 7200, movesMax: 100)

  /// Accesses a minute, one after the other, over the last minutes.
  private func heat(perMinute: Int, minutes: Int) -> ExtentHeat {
    var heat = ExtentHeat()
    for minute in 0..<UInt32(minutes) {
      for _ in 0..<perMinute { heat.touch(at: HeatTime(Self.now.seconds - 60 * (UInt32(minutes) - minute))) }
    }
    return heat
  }

  /// Extents of one volume; each with its store and its heat.
  private func round(
    _ extents: [(StoreCandidate, ExtentHeat?)], _ policy: TierPolicy = TierPolicy(tiers: [0, 1]),
    _ settings: TierRound.Settings? = nil
  ) -> TierRound {
    let settings = settings ?? self.settings
    var scale = VolatilityScale()
    for (_, heat) in extents {
      if let heat { scale.add(settings.expectation(heat, at: Self.now).accesses) }
    }
    var round = TierRound(settings)
    for (extent, (store, heat)) in extents.enumerated() {
      round.consider(
        UInt64(extent), of: VolumeID(rawValue: 1), bytes: mebibyte, in: store, by: policy, heat: heat,
        scale: scale, observedSeconds: 1000, at: Self.now)
    }
    return round
  }

  @Test func hotExtentsGoUpWhileThereIsRoom() {
    let (fast, slow) = (store(0, tier: 0, free: 13), store(1, tier: 1, free: 50))
    let extents = (0..<40).map { (slow, Optional(heat(perMinute: $0 + 1, minutes: 30))) }
    let (chosen, isMore) = round(extents).choose([fast, slow])
    // Three find room beyond what is to stay free; they are the hottest.
    #expect(chosen.map(\.extent) == [39, 38, 37])
    #expect(chosen.allSatisfy { $0.wanted == 0 && $0.current == 1 })
    #expect(isMore)
    #expect(chosen[0].reason(settings).hasPrefix("volatility 0.9"))
  }

  /// A scan, however many requests it makes, moves nothing.
  @Test func scansAndBurstsMoveNothing() {
    let (fast, slow) = (store(0, tier: 0, free: 90), store(1, tier: 1, free: 50))
    let scan = (0..<40).map { _ in (slow, Optional(heat(perMinute: 2000, minutes: 2))) }
    let quiet = (0..<160).map { _ in (slow, Optional(heat(perMinute: 1, minutes: 1))) }
    let (chosen, isMore) = round(scan + quiet).choose([fast, slow])
    #expect(chosen.isEmpty && !isMore)
    // The same, steadily, does.
    let steady = (0..<40).map { _ in (slow, Optional(heat(perMinute: 100, minutes: 30))) }
    #expect(round(steady + quiet).choose([fast, slow]).chosen.count == 40)
    // And what would not pay for the copy does not.
    let sparse = (0..<40).map { _ in (slow, Optional(heat(perMinute: 1, minutes: 4))) }
    #expect(round(sparse + quiet).choose([fast, slow]).chosen.isEmpty)
  }

  @Test func nothingGoesDownBeforeThereIsNeed() {
    let (fast, slow) = (store(0, tier: 0, free: 10), store(1, tier: 1, free: 50))
    let cold = (0..<50).map { _ in (fast, Optional<ExtentHeat>.none) }
    #expect(round(cold).choose([fast, slow]).chosen.isEmpty)
    // Four are needed to have a tenth free again.
    let full = store(0, tier: 0, free: 6)
    let chosen = round(cold.map { _ in (full, nil) }).choose([full, slow]).chosen
    #expect(chosen.count == 4)
    #expect(chosen[0].reason(settings) == "volatility 0.00, and tier 0 lacks room")
  }

  @Test func theColdestGoFirstAndMakeRoomForTheHottest() {
    let (fast, slow) = (store(0, tier: 0, free: 10), store(1, tier: 1, free: 50))
    let there = (0..<20).map { (fast, Optional(heat(perMinute: 1, minutes: 1 + $0))) }
    let hot = (0..<3).map { _ in (slow, Optional(heat(perMinute: 50, minutes: 30))) }
    let (chosen, isMore) = round(there + hot).choose([fast, slow])
    #expect(chosen.map(\.extent) == [0, 1, 2])
    #expect(chosen.allSatisfy { $0.wanted == 1 })
    #expect(isMore)
    // In the next round there is room.
    let roomy = store(0, tier: 0, free: 13)
    #expect(round(there + hot).choose([roomy, slow]).chosen.map(\.extent) == [20, 21, 22])
  }

  @Test func pinsAndArchivingDoNotAskForNeed() {
    let (fast, slow) = (store(0, tier: 0, free: 50), store(1, tier: 1, free: 50))
    let extents = [(slow, Optional<ExtentHeat>.none), (fast, heat(perMinute: 9, minutes: 9))]
    let pinned = round(extents, TierPolicy(tiers: [0, 1], rules: TierRules(pin: 0))).choose([fast, slow])
      .chosen
    #expect(pinned.map(\.extent) == [0])
    #expect(pinned[0].reason(settings) == "its volume is pinned to tier 0")
    var policy = TierPolicy(tiers: [0, 1], archiveAfterSeconds: 900)
    let archived = round(extents.map { (fast, $0.1) }, policy).choose([fast, slow]).chosen
    // Of the first nothing is known for longer than that; the other was accessed a minute ago.
    #expect(archived.map(\.extent) == [0])
    policy.archiveAfterSeconds = 1001
    #expect(round(extents.map { (fast, $0.1) }, policy).choose([fast, slow]).chosen.isEmpty)
    let forbidden = round(extents, TierPolicy(tiers: [0, 1], rules: TierRules(never: TierSet([0])))).choose([
      fast, slow,
    ]).chosen
    #expect(forbidden.map { $0.reason(settings) } == ["its volume never uses tier 0"])
  }

  /// Used in the hour after the next, on so many of the last days.
  private func rhythm(days: UInt32, perMinute: Int = 10) -> ExtentHeat {
    var heat = ExtentHeat()
    let next = (Self.now.seconds / 3600 + 1) * 3600
    for back in 0..<days {
      for minute in 0..<UInt32(60) {
        let time = HeatTime(next - (days - back) * 86_400 + minute * 60)
        for _ in 0..<perMinute { heat.touch(at: time) }
      }
    }
    return heat
  }

  /// What is used at the same hour of each day goes up before that hour, and only so much of it in one round.
  @Test func whatIsDueGoesUpBefore() {
    let (fast, slow) = (store(0, tier: 0, free: 90), store(1, tier: 1, free: 50))
    let quiet = (0..<160).map { _ in (slow, Optional(heat(perMinute: 1, minutes: 1))) }
    let extents = quiet + (0..<20).map { (slow, Optional(rhythm(days: 3, perMinute: 1 + $0 / 4))) }
    let chosen = round(extents).choose([fast, slow]).chosen
    #expect(Set(chosen.map(\.extent)) == Set(160..<180))
    #expect(
      chosen[0].reason(settings).hasPrefix("in use at 14:00 on 3 of the last 4 days; volatility 0."),
      "\(chosen[0].reason(settings))")
    var few = settings
    few.dueMovesMax = 7
    let some = round(extents, TierPolicy(tiers: [0, 1]), few).choose([fast, slow])
    #expect(some.chosen.count == 7 && some.chosen.allSatisfy { $0.extent >= 172 } && !some.isMore)
    few.dueMovesMax = 0
    #expect(round(extents, TierPolicy(tiers: [0, 1]), few).choose([fast, slow]).chosen.isEmpty)
    // What came once only moves nothing, however much it was.
    let once = quiet + (0..<20).map { _ in (slow, Optional(rhythm(days: 1, perMinute: 5))) }
    #expect(round(once).choose([fast, slow]).chosen.isEmpty)
  }

  /// And it does not have to leave before that hour.
  @Test func whatIsDueDoesNotMakeRoom() {
    let (full, slow) = (store(0, tier: 0, free: 6), store(1, tier: 1, free: 50))
    let extents =
      (0..<20).map { _ in (full, Optional(rhythm(days: 3))) }
      + (0..<20).map { _ in (full, Optional(heat(perMinute: 1, minutes: 9))) }
    let chosen = round(extents).choose([full, slow]).chosen
    #expect(chosen.count == 4 && chosen.allSatisfy { $0.extent >= 20 && $0.wanted == 1 })
  }

  /// Also what belongs on the fast tier leaves it for what is so much hotter that it pays for both copies.
  @Test func theHotterDisplaceTheHot() {
    let (full, slow) = (store(0, tier: 0, free: 10), store(1, tier: 1, free: 50))
    let quiet = (0..<300).map { _ in (slow, Optional(heat(perMinute: 1, minutes: 1))) }
    let hot = (0..<20).map { (full, Optional(heat(perMinute: 3, minutes: 20 + $0))) }
    func chosen(_ perMinute: Int) -> [UInt64] {
      let hotter = (0..<3).map { _ in (slow, Optional(heat(perMinute: perMinute, minutes: 40))) }
      return round(quiet + hot + hotter).choose([full, slow]).chosen.map(\.extent)
    }
    #expect(Set(chosen(9)) == [300, 301, 302])
    #expect(chosen(3).isEmpty)
  }

  @Test func roundsAreBounded() {
    let (fast, slow) = (store(0, tier: 0, free: 0), store(1, tier: 1, free: 5000, of: 10_000))
    let settings = TierRound.Settings(freeShare: 0.9, horizonSeconds: 7200, movesMax: 10)
    let cold = (0..<500).map { (fast, Optional(heat(perMinute: 1, minutes: $0 % 60 + 1))) }
    let (chosen, isMore) = round(cold, TierPolicy(tiers: [0, 1]), settings).choose([fast, slow])
    #expect(chosen.count == 10 && isMore)
    // The coldest of all, though only a part of them was kept in mind.
    #expect(Set(chosen.map { $0.extent % 60 }).isSubset(of: [0, 1]))
  }
}

@Suite struct RetierTests {
  private let stores = [
    store(0, tier: 0, free: 50), store(1, tier: 1, free: 50), store(2, tier: 1, free: 80),
    store(3, tier: 1, free: 0),
  ]

  private func rules(_ count: Int = 1) -> CopyRules {
    CopyRules(
      stores: stores, volumeName: "v", extentBytes: mebibyte,
      wanted: Redundancy(copies: count, protection: .sync))
  }

  private func copies(_ live: UInt8, _ shadows: UInt8...) -> ExtentCopies {
    ExtentCopies(
      volume: VolumeID(rawValue: 1), extent: 3, live: StoreID(rawValue: live),
      shadows: shadows.map { ExtentCopies.Shadow(StoreID(rawValue: $0), isSynced: true) })
  }

  @Test func theTierIsEnough() throws {
    #expect(try rules().retier(copies(0), to: 0, reason: "r").get() == nil)
    let move = try #require(try rules().retier(copies(0), to: 1, reason: "r").get())
    #expect(move.kind == .migrate && move.source?.rawValue == 0 && move.reason == "r")
    #expect(move.target.rawValue == 2)
    #expect(throws: CopyRules.Objection.self) { try rules().retier(copies(0), to: 7, reason: "r").get() }
  }

  @Test func aShadowThatIsThereIsUsed() throws {
    let move = try #require(try rules().retier(copies(0, 1), to: 1, reason: "r").get())
    #expect(move.kind == .migrate && move.target.rawValue == 1)
    // Where both copies are needed, they change places.
    let both = try #require(try rules(2).retier(copies(0, 1), to: 1, reason: "r").get())
    #expect(both.kind == .promote && both.target.rawValue == 1)
  }
}
