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
      try Validation.check(VolumeRequest(name: "a", sizeBytes: extents * least, extentBytes: least))
    }
    #expect(throws: GnomonError.self) {
      try Validation.check(VolumeRequest(name: "a", sizeBytes: extents * least + 4096, extentBytes: least))
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
