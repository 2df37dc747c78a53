import NBDWire
import Testing

/// LIST_META_CONTEXT and SET_META_CONTEXT.
@Suite struct MetaContextTests {
  @Test func contextsAreToldApartByTheirBytes() {
    var info = ExportInfo.disk
    info.metaContexts = ["x:K"]
    // The sign for kelvin is the letter to Unicode, but not to the protocol.
    let kelvin = Client.listContexts("disk", ["x:\u{212a}"]) + Client.setContexts("disk", ["x:\u{212a}"])
    let driver = converse(Client.structuredReply + kelvin, shelf: Shelf([info]))
    #expect(driver.replies == [Reply(8, Reply.ack), Reply(9, Reply.ack), Reply(10, Reply.ack)])
  }

  static func list(_ queries: [String]) -> [Reply]? {
    let replies = converse(Client.structuredReply + Client.listContexts("disk", queries)).replies
    return replies.map { Array($0.dropFirst()) }
  }

  static func contexts(after bytes: [UInt8]) -> [NegotiatedContext]? {
    converse(Client.structuredReply + bytes).negotiated?.contexts
  }

  static let allocation = NegotiatedContext(id: 1, name: "base:allocation")
  static let tier = NegotiatedContext(id: 2, name: "x-gnomon:tier")

  @Test func listingWithoutQueriesShowsAll() {
    let all = ["base:allocation", "x-gnomon:tier", "x-gnomon:store"]
    #expect(Self.list([]) == all.map { Reply.context(9, 0, $0) } + [Reply(9, Reply.ack)])
  }

  @Test func wildcardsListANamespace() {
    #expect(Self.list(["base:"]) == [Reply.context(9, 0, "base:allocation"), Reply(9, Reply.ack)])
    #expect(
      Self.list(["x-gnomon:"]) == [
        Reply.context(9, 0, "x-gnomon:tier"), Reply.context(9, 0, "x-gnomon:store"), Reply(9, Reply.ack),
      ])
  }

  @Test func unknownQueriesListNothing() {
    let queries = ["qemu:", "base", "base:alloc", "x-gnomon", ":", "", "x-gnomon:tier:", "*"]
    #expect(Self.list(queries) == [Reply(9, Reply.ack)])
  }

  @Test func overlappingQueriesListAContextOnce() {
    #expect(
      Self.list(["base:allocation", "base:", "qemu:x", "base:allocation"])
        == [Reply.context(9, 0, "base:allocation"), Reply(9, Reply.ack)])
  }

  @Test func settingSelectsByFullNameOnly() {
    let driver = converse(
      Client.structuredReply
        + Client.setContexts(
          "disk", ["base:", "x-gnomon:tier", "qemu:dirty", "base:allocation", "x-gnomon:"])
        + Client.go("disk"))
    #expect(
      driver.replies?[1...3] == [
        Reply.context(10, 1, "base:allocation"), Reply.context(10, 2, "x-gnomon:tier"), Reply(10, Reply.ack),
      ])
    #expect(driver.negotiated?.contexts == [Self.allocation, Self.tier])
  }

  @Test func settingWithoutQueriesSelectsNone() {
    #expect(Self.contexts(after: Client.setContexts("disk") + Client.go("disk")) == [])
  }

  @Test func numbersAreUniqueAndNotZero() {
    let ids = Self.contexts(
      after: Client.setContexts("disk", ExportInfo.disk.metaContexts) + Client.go("disk"))?.map(\.id)
    #expect(ids.map(Set.init)?.count == 3)
    #expect(ids?.contains(0) == false)
  }

  @Test func theLastSetCounts() {
    let first = Client.setContexts("disk", ["base:allocation"])
    let second = Client.setContexts("disk", ["x-gnomon:tier"])
    #expect(Self.contexts(after: first + Client.go("disk")) == [Self.allocation])
    #expect(Self.contexts(after: first + second + Client.go("disk")) == [Self.tier])
    #expect(Self.contexts(after: first + Client.setContexts("disk") + Client.go("disk")) == [])
  }

  @Test(
    arguments: [
      Client.setContexts("nope", ["base:allocation"]), Client.option(10, []), Client.option(10, [1, 2, 3]),
      Client.option(10, [UInt8](repeating: 0, count: HandshakeLimits.optionBytesKeptMaxDefault + 1)),
    ])
  func aFailedSetForgetsTheOldOne(failing: [UInt8]) {
    let first = Client.setContexts("disk", ["base:allocation"])
    let driver = converse(Client.structuredReply + first + failing + Client.go("disk"))
    #expect((driver.replies?[3].type ?? 0) >= 0x8000_0000)
    #expect(driver.negotiated?.contexts == [])
  }

  @Test func listingLeavesTheSetAlone() {
    let bytes =
      Client.setContexts("disk", ["base:allocation"]) + Client.listContexts("nope")
      + Client.listContexts("disk") + Client.go("disk")
    #expect(Self.contexts(after: bytes) == [Self.allocation])
  }

  @Test func aSetForAnotherExportDoesNotApply() {
    let set = Client.setContexts("disk", ["base:allocation"])
    #expect(Self.contexts(after: set + Client.go("backup")) == [])
    // The name must be the same, not merely the export.
    #expect(Self.contexts(after: set + Client.go("")) == [])
    let unnamed = Client.setContexts("", ["base:allocation"])
    #expect(Self.contexts(after: unnamed + Client.go("")) == [Self.allocation])
    #expect(Self.contexts(after: set + Client.exportName("disk")) == [Self.allocation])
    #expect(Self.contexts(after: set + Client.go("nope") + Client.go("disk")) == [Self.allocation])
  }

  @Test func aSetForTheDefaultExportOfYesterdayDoesNotApply() {
    let shelf = Shelf()
    var driver = Driver(shelf)
    driver.feed(Client.flags() + Client.structuredReply + Client.setContexts("", ["base:allocation"]))
    shelf.replace(with: [.backup, .disk])
    driver.feed(Client.go(""))
    #expect(driver.negotiated?.export.name == "backup")
    #expect(driver.negotiated?.contexts == [])
  }

  @Test func structuredRepliesMustComeFirst() {
    let driver = converse(
      Client.listContexts("disk") + Client.setContexts("disk", ["base:allocation"]) + Client.structuredReply
        + Client.go("disk"))
    #expect(driver.replies?[0] == Reply(9, Reply.invalid))
    #expect(driver.replies?[1] == Reply(10, Reply.invalid))
    #expect(driver.negotiated?.contexts == [])
  }

  @Test func extendedHeadersAreEnough() {
    let driver = converse(
      Client.extendedHeaders + Client.setContexts("disk", ["base:allocation"]) + Client.go("disk"))
    #expect(driver.negotiated?.contexts == [Self.allocation])
  }

  @Test func anUnknownExportIsUnknown() {
    let driver = converse(Client.structuredReply + Client.listContexts("nope") + Client.setContexts("nope"))
    #expect(driver.replies?.dropFirst() == [Reply(9, Reply.unknown), Reply(10, Reply.unknown)])
  }

  static let malformed: [[UInt8]] = [
    [], [0, 0, 0, 0], Client.counted("disk"), Client.counted("disk") + [0, 0, 0],
    // Fewer and more queries than announced, and a count that is a lie.
    Client.counted("disk") + big(UInt32(1)), Client.counted("disk") + big(UInt32(0)) + [0],
    Client.counted("disk") + big(UInt32.max) + Client.counted("base:"),
    // A query that is longer than the data, or than a string may be.
    Client.counted("disk") + big(UInt32(1)) + big(UInt32(6)) + Array("base:".utf8),
    Client.contextData("disk", ["base:" + String(repeating: "a", count: 4092)]),
    // A name that is longer than the data, or than a string may be.
    big(UInt32(12)) + Array("disk".utf8) + [0, 0, 0, 0],
    Client.contextData(String(repeating: "n", count: 4097)),
    // Not UTF-8.
    Client.counted("disk") + big(UInt32(1)) + big(UInt32(1)) + [0xff],
  ]

  @Test(arguments: malformed)
  func malformedDataIsInvalid(data: [UInt8]) {
    for option: UInt32 in [9, 10] {
      let driver = converse(Client.structuredReply + Client.option(option, data) + Client.go("disk"))
      #expect(driver.replies?[1] == Reply(option, Reply.invalid))
      #expect(driver.negotiated != nil)
    }
  }
}
