import HTTPService
import Primitives
import Testing

/// Names, sizes and places.
@Suite struct ValidationTests {
  @Test(arguments: ["a", "disk 0", "größe", "a.b-c_d", "日本", String(repeating: "x", count: 255), "...", "a-"])
  func goodNames(name: String) {
    #expect(throws: Never.self) { try Validation.checkName(name, of: "volume") }
  }

  @Test(arguments: [
    "", "-a", "a/b", "a,b", "a=b", "a\\b", ".", "..", "a\nb", "\u{7f}", "\u{85}", "a\0",
    String(repeating: "x", count: 256), String(repeating: "é", count: 128),
  ])
  func badNames(name: String) {
    #expect(throws: GnomonError.self) { try Validation.checkName(name, of: "volume") }
  }

  @Test func sizesAreWholeBlocks() {
    for good in [4096, 8192, 1 << 40, UInt64(Int64.max) / 4096 * 4096] {
      #expect(throws: Never.self) { try Validation.checkSize(good, of: "x") }
    }
    for bad in [0, 1, 4095, 4097, UInt64(Int64.max), 1 << 63, .max] {
      #expect(throws: GnomonError.self) { try Validation.checkSize(bad, of: "x") }
    }
  }

  @Test func extentsArePowersOfTwoWithinBounds() {
    for shift in 0..<64 {
      let isGood = (try? Validation.checkExtent(1 << shift)) != nil
      #expect(isGood == (16...26).contains(shift), "1 << \(shift)")
    }
    for bad: UInt64 in [0, 65537, 3 << 16, .max] {
      #expect(throws: GnomonError.self) { try Validation.checkExtent(bad) }
    }
  }

  @Test func mapsOfVolumesAreBounded() {
    let extents = Validation.extentsMax
    let least = ExtentSize.minimum
    #expect(throws: Never.self) {
      try Validation.checkExtentCount(of: "a", sizeBytes: extents * least, extentBytes: least)
    }
    #expect(throws: GnomonError.self) {
      try Validation.checkExtentCount(of: "a", sizeBytes: extents * least + 4096, extentBytes: least)
    }
  }

  @Test func storesAreChecked() {
    let good = StoreRequest(name: "a", path: "/x", sizeBytes: 1 << 30)
    #expect(throws: Never.self) { try Validation.check(good) }
    let changes: [(inout StoreRequest) -> Void] = [
      { $0.name = "" }, { $0.path = "x" }, { $0.path = "/a\0b" }, { $0.sizeBytes = 4096 },
      { $0.sizeBytes += 1 },
      { $0.tier = -1 }, { $0.tier = 256 }, { $0.cost = -1 }, { $0.cost = .nan }, { $0.zone = "a\n" },
      { $0.node = String(repeating: "x", count: 256) }, { $0.kind = .memory },
    ]
    for (index, change) in changes.enumerated() {
      var bad = good
      change(&bad)
      #expect(throws: GnomonError.self, "change \(index)") { try Validation.check(bad) }
    }
  }

  @Test func poolsHaveNoDuplicates() {
    let store = StoreRequest(name: "a", path: "/x", sizeBytes: 1 << 30)
    var other = store
    other.name = "b"
    let volume = VolumeRequest(name: "v", sizeBytes: 4096)
    #expect(throws: Never.self) { try Validation.check(stores: [store], volumes: [volume]) }
    #expect(throws: GnomonError.self) { try Validation.check(stores: [], volumes: [volume]) }
    #expect(throws: GnomonError.self) { try Validation.check(stores: [store], volumes: [volume, volume]) }
    #expect(throws: GnomonError.self) { try Validation.check(stores: [store, other], volumes: []) }
    other.path = "/y"
    #expect(throws: Never.self) { try Validation.check(stores: [store, other], volumes: []) }
    other.name = "a"
    #expect(throws: GnomonError.self) { try Validation.check(stores: [store, other], volumes: []) }
  }

  private static let tiers = PoolTiers([(0, true), (2, true), (2, false), (5, false)])

  private func refusal(_ change: TierRulesChange, on rules: TierRules = TierRules()) -> GnomonError? {
    do throws(GnomonError) {
      _ = try Validation.check(change, on: rules, of: "v", among: Self.tiers)
      return nil
    } catch {
      return error
    }
  }

  @Test func tierRulesFitThePool() throws {
    for (change, rules) in [
      (TierRulesChange(), TierRules()),
      (TierRulesChange(pin: .tier(2), never: TierSet([0, 5])), TierRules()),
      (TierRulesChange(never: TierSet([5])), TierRules(pin: 2)),
      (TierRulesChange(pin: .anywhere, never: TierSet([2])), TierRules(pin: 2)),
      // Stores have gone since these were set: what is not said is not looked at.
      (TierRulesChange(pin: .anywhere), TierRules(pin: 9, never: TierSet([0, 2]))),
      (TierRulesChange(never: TierSet()), TierRules(pin: 9, never: TierSet([8]))),
    ] {
      let result = try Validation.check(change, on: rules, of: "v", among: Self.tiers)
      #expect(result == change.applied(to: rules))
    }
  }

  @Test func otherTierRulesAreRefused() {
    for (change, word) in [
      (TierRulesChange(pin: .tier(1)), "tier1"), (TierRulesChange(never: TierSet([0, 9])), "tier9"),
      (TierRulesChange(pin: .tier(5)), "memory"), (TierRulesChange(never: TierSet([0, 2])), "tier0,tier2"),
      (TierRulesChange(pin: .tier(0), never: TierSet([0])), "tier0"),
      (TierRulesChange(pin: .tier(256)), "256"),
    ] {
      let error = refusal(change)
      #expect(error?.code == .invalid && error?.remedy != nil, "\(change)")
      #expect(error.map { "\($0)".contains(word) } == true, "\(change): \(String(describing: error))")
    }
    let pinned = refusal(TierRulesChange(never: TierSet([0])), on: TierRules(pin: 0))
    #expect(pinned?.code == .conflict && pinned?.remedy?.contains("--pin none --never tier0") == true)
    let forbidden = refusal(TierRulesChange(pin: .tier(0)), on: TierRules(never: TierSet([0, 5])))
    #expect(forbidden?.code == .conflict && forbidden?.remedy?.contains("--pin tier0 --never tier5") == true)
  }

  @Test func aNewPoolHasTheTiersOfItsVolumes() {
    let store = StoreRequest(name: "a", path: "/x", sizeBytes: 1 << 30, tier: 3)
    func check(_ tiers: TierRulesChange) throws {
      try Validation.check(
        stores: [store], volumes: [VolumeRequest(name: "v", sizeBytes: 4096, tiers: tiers)])
    }
    #expect(throws: Never.self) { try check(TierRulesChange(pin: .tier(3))) }
    #expect(throws: GnomonError.self) { try check(TierRulesChange(pin: .tier(0))) }
    #expect(throws: GnomonError.self) { try check(TierRulesChange(never: TierSet([3]))) }
  }

  @Test(arguments: [
    ("listn", "listen"), ("--josn", "--json"), ("vol", "volume"), ("zzzzzz", nil), ("", nil),
    ("TIER", "tier"),
  ])
  func suggestionsAreNear(name: String, expected: String?) {
    let candidates = ["listen", "--json", "volume", "tier", "size"]
    #expect(NearestName.suggestion(for: name, among: candidates) == expected)
  }

  @Test func extentsAreReadAsPeopleWriteThem() throws {
    #expect(try ExtentSet(parsing: "all") == .all && ExtentSet.all.ranges(of: 5) == [0..<5])
    #expect(try ExtentSet(parsing: "7").ranges == [7...7])
    #expect(try ExtentSet(parsing: "9-12,7,11-20,7").ranges == [7...7, 9...20])
    #expect(try ExtentSet(parsing: "0-4,5").ranges(of: 6) == [0..<5, 5..<6])
    #expect(try ExtentSet(parsing: "0-4,8-9").text(from: 3, of: 10) == "3-4,8-9")
    #expect(try ExtentSet.all.text(from: 3, of: 10) == "3-9")
    for text in [
      "", ",", "1,", "-", "1-", "-1", "2-1", "1-2-3", "a", "1 2", "+1", "0x1", "all,1", "１",
      "18446744073709551616", String(repeating: "1,", count: 300) + "1",
    ] {
      #expect(throws: GnomonError.self, "\(text)") { try ExtentSet(parsing: text) }
    }
    // The largest number there is does not overflow.
    #expect(throws: GnomonError.self) { try ExtentSet(parsing: "18446744073709551615").ranges(of: 5) }
    #expect(throws: GnomonError.self) { try ExtentSet(parsing: "5").ranges(of: 5) }
  }
}
