import NBDWire
import Testing

/// INFO and GO.
@Suite struct HandshakeInfoTests {
  static let exportReply: [UInt8] =
    big(UInt16(0)) + big(UInt64(0x1_0000_0000))
    + big(ExportInfo.disk.transmissionFlags.rawValue & ~(1 << 7) | 1)

  @Test func infoTellsAboutTheExportAndGoesOnHaggling() {
    let driver = converse(Client.info("disk") + Client.list)
    #expect(
      driver.replies?.prefix(2) == [Reply(6, Reply.info, Self.exportReply), Reply(6, Reply.ack)])
    #expect(driver.replies?.last == Reply(3, Reply.ack))
    #expect(driver.handshake.outcome == .negotiating)
  }

  @Test func goOpensTheExport() {
    let driver = converse(Client.go("disk"))
    #expect(driver.replies == [Reply(7, Reply.info, Self.exportReply), Reply(7, Reply.ack)])
    #expect(driver.negotiated?.export.name == "disk")
    #expect(driver.negotiated?.noZeroes == true)
  }

  @Test func goNeverPadsWithZeroes() {
    #expect(converse(Client.go("disk"), flags: 1).replies?.count == 2)
  }

  @Test func everyKnownRequestIsAnsweredOnceAndUnknownOnesAreIgnored() {
    let driver = converse(Client.info("", [2, 0, 0xffff, 3, 1, 4, 3]))
    let replies = driver.replies ?? []
    #expect(replies.last == Reply(6, Reply.ack))
    #expect(
      Set(replies.dropLast()) == [
        Reply(6, Reply.info, Self.exportReply),
        Reply(6, Reply.info, big(UInt16(1)) + Array("disk".utf8)),
        Reply(6, Reply.info, big(UInt16(2)) + Array("the first".utf8)),
        Reply(
          6, Reply.info,
          big(UInt16(3)) + big(UInt32(1)) + big(UInt32(4096)) + big(UInt32(32 << 20))),
      ])
    #expect(replies.count == 5)
  }

  @Test func anEmptyDescriptionIsNotSent() {
    #expect(converse(Client.info("backup", [2])).replies?.count == 2)
  }

  @Test func flagsWithoutTheirConditionAreNotAnnounced() {
    var info = ExportInfo.disk
    info.transmissionFlags = [.sendFastZero, .sendDontFragment]
    let driver = converse(Client.structuredReply + Client.go("disk"), shelf: Shelf([info]))
    #expect(driver.negotiated?.export.transmissionFlags == [.hasFlags, .sendDontFragment])
  }

  @Test(arguments: [6, 7] as [UInt32])
  func anUnknownExportLeavesTheClientHaggling(option: UInt32) {
    let driver = converse(Client.option(option, Client.infoData("nope")) + Client.go("disk"))
    #expect(driver.replies?.first == Reply(option, Reply.unknown))
    #expect(driver.negotiated?.export.name == "disk")
  }

  static let malformed: [[UInt8]] = [
    [], [0], [0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0, 0],
    // The name is longer than the data, than the data less 6, than a string may be.
    big(UInt32(5)) + Array("disk".utf8) + [0, 0],
    big(UInt32(6)) + Array("disk".utf8) + [0, 0],
    big(UInt32.max) + Array("disk".utf8) + [0, 0],
    big(UInt32(4097)) + [UInt8](repeating: 0x61, count: 4097) + [0, 0],
    // More and fewer information requests than announced, and half of one.
    Client.counted("disk") + [0, 1], Client.counted("disk") + [0, 1, 0],
    Client.counted("disk") + [0, 0, 0, 3], Client.counted("disk") + [0xff, 0xff, 0, 3],
    // Not UTF-8, and a NUL.
    big(UInt32(2)) + [0xc3, 0x28, 0, 0], big(UInt32(2)) + [0x61, 0, 0, 0],
  ]

  @Test(arguments: malformed)
  func malformedDataIsInvalidAndLeavesTheClientHaggling(data: [UInt8]) {
    for option: UInt32 in [6, 7] {
      let driver = converse(Client.option(option, data) + Client.go("disk"))
      #expect(driver.replies?.first == Reply(option, Reply.invalid))
      #expect(driver.negotiated != nil)
    }
  }

  @Test func aNameOf4096BytesIsLookedUp() {
    let driver = converse(Client.info(String(repeating: "n", count: 4096)))
    #expect(driver.replies == [Reply(6, Reply.unknown)])
  }

  @Test(arguments: [6, 7, 9, 10] as [UInt32])
  func dataBeyondTheLimitIsTooBigAndSkipped(option: UInt32) {
    let kept = HandshakeLimits.optionBytesKeptMaxDefault
    let data = [UInt8](repeating: 0x49, count: kept + 1)
    let driver = converse(Client.structuredReply + Client.option(option, data) + Client.go("disk"))
    #expect(driver.replies?[1] == Reply(option, Reply.tooBig))
    #expect(driver.negotiated != nil)
    let most = converse(Client.structuredReply + Client.option(option, Array(data.dropLast())))
    #expect(most.replies?[1] == Reply(option, Reply.invalid))
  }
}
