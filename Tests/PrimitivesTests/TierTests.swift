import Primitives
import Testing

@Suite struct TierTests {
  @Test func tiersAreReadAsPeopleWriteThem() {
    for tier in [0, 1, 9, 255] {
      #expect(Tier.parse("\(tier)") == tier && Tier.parse(Tier.name(tier)) == tier)
    }
    for text in ["", "tier", "256", "tier256", "-1", "+1", "tier-1", "tier 1", "Tier1", "1x", "none", "0,1"] {
      #expect(Tier.parse(text) == nil, "\(text)")
    }
  }

  @Test(arguments: [
    ("none", []), ("0", [0]), ("tier2", [2]), ("tier0,tier2", [0, 2]), ("2+0", [0, 2]), ("1,1", [1]),
    ("255,64,63,0", [0, 63, 64, 255]),
  ])
  func listsAreRead(text: String, tiers: [Int]) throws {
    let set = try #require(TierSet(parsing: text))
    #expect(set.tiers == tiers && set == TierSet(tiers) && set.isEmpty == tiers.isEmpty)
    #expect(TierSet(parsing: set.description) == set)
    for tier in -1...256 { #expect(set.contains(tier) == tiers.contains(tier)) }
  }

  @Test(arguments: ["", ",", "0,", ",0", "0,,1", "none,0", "tier0;tier1", "256", "all", "0 1"])
  func otherListsAreRefused(_ text: String) {
    #expect(TierSet(parsing: text) == nil)
  }

  @Test func listsAreWrittenAsTheyAreRead() {
    #expect(TierSet().description == "none")
    #expect(TierSet([2, 0]).description == "tier0,tier2")
  }

  @Test func rulesSayHowWellTiersFit() {
    func fits(_ rules: TierRules) -> [TierFit] { (0..<3).map(rules.fit) }
    #expect(fits(TierRules()) == [.wanted, .wanted, .wanted])
    #expect(fits(TierRules(pin: 1)) == [.allowed, .wanted, .allowed])
    #expect(fits(TierRules(never: TierSet([0]))) == [.forbidden, .wanted, .wanted])
    #expect(fits(TierRules(pin: 2, never: TierSet([0]))) == [.forbidden, .allowed, .wanted])
    #expect(TierRules(pin: 2, never: TierSet([0, 2])).isContradictory)
    #expect(!TierRules(pin: 2, never: TierSet([0])).isContradictory && !TierRules().isContradictory)
  }
}
