import NBDWire
import Testing

/// Greeting, client flags, and the options that open or list exports.
@Suite struct HandshakeTests {
  @Test func greetingIsFixedNewstyleWithoutZeroes() {
    var driver = Driver()
    driver.feed([])
    #expect(driver.sent == Array("NBDMAGIC".utf8) + Array("IHAVEOPT".utf8) + [0, 3])
    #expect(driver.handshake.outcome == .negotiating)
  }

  @Test func nothingIsSentBeforeTheStart() {
    var handshake = Handshake(directory: Shelf())
    #expect(handshake.takeOutput().isEmpty)
    handshake.start()
    #expect(handshake.output.count == 18)
    #expect(handshake.takeOutput().count == 18)
    #expect(handshake.output.isEmpty)
  }

  @Test(arguments: [4, 7, 0x8000_0000, 0xffff_ffff] as [UInt32])
  func unknownClientFlagsDropTheConnection(flags: UInt32) {
    let driver = converse(Client.list, flags: flags)
    #expect(driver.end == .unknownClientFlags(flags))
    #expect(driver.sent.count == Driver.greetingBytes)
    #expect(driver.rest == Client.list)
  }

  @Test(arguments: [0, 1, 2, 3] as [UInt32])
  func knownClientFlagsAreTaken(flags: UInt32) {
    #expect(converse([], flags: flags).handshake.outcome == .negotiating)
  }

  @Test func wrongOptionMagicDropsTheConnection() {
    var bytes = Client.list
    bytes[0] ^= 1
    #expect(converse(bytes).end == .wrongOptionMagic)
  }

  @Test func exportNameAnswersSizeFlagsAndZeroes() {
    let flags = ExportInfo.disk.transmissionFlags.rawValue & ~(1 << 7) | 1
    let padded = converse(Client.exportName("disk"), flags: 1)
    let expected = big(UInt64(0x1_0000_0000)) + big(flags)
    #expect(Array(padded.sent.dropFirst(18)) == expected + [UInt8](repeating: 0, count: 124))
    #expect(padded.negotiated?.noZeroes == false)

    let bare = converse(Client.exportName("disk"), flags: 3)
    #expect(Array(bare.sent.dropFirst(18)) == expected)
    #expect(bare.negotiated?.noZeroes == true)
    #expect(bare.negotiated?.export.name == "disk")
    #expect(bare.negotiated?.export.transmissionFlags.rawValue == flags)
  }

  @Test func emptyExportNameIsTheDefaultExport() {
    #expect(converse(Client.exportName("")).negotiated?.export.name == "disk")
    let none = converse(Client.exportName(""), shelf: Shelf(hasDefault: false))
    #expect(none.end == .unknownExport(""))
  }

  @Test func unknownExportNameEndsTheSessionWithoutAWord() {
    let driver = converse(Client.exportName("nope"))
    #expect(driver.end == .unknownExport("nope"))
    #expect(driver.sent.count == Driver.greetingBytes)
  }

  @Test(arguments: [[0x64, 0], [0xff], [0xc3]] as [[UInt8]])
  func exportNameMustBeTextWithoutNUL(name: [UInt8]) {
    #expect(converse(Client.option(1, name)).end == .malformedExportName)
  }

  @Test func exportNameMayHave4096BytesAndNoMore() {
    let longest = String(repeating: "n", count: 4096)
    var info = ExportInfo.disk
    info.name = longest
    let shelf = Shelf([info])
    #expect(converse(Client.exportName(longest), shelf: shelf).negotiated?.export.name == longest)
    // The header alone decides: a longer name is not waited for.
    #expect(converse(Client.optionHeader(1, length: 4097), shelf: shelf).end == .malformedExportName)
  }

  @Test func withoutFixedNewstyleOnlyExportNameIsValid() {
    #expect(converse(Client.exportName("disk"), flags: 0).negotiated?.export.name == "disk")
    for option: UInt32 in [2, 3, 5, 6, 7, 8, 9, 10, 11, 99] {
      let driver = converse(Client.option(option), flags: 0)
      #expect(driver.end == .needsFixedNewstyle(option: option))
      #expect(driver.sent.count == Driver.greetingBytes)
    }
  }

  @Test func abortIsAcknowledgedThenClosed() {
    let driver = converse(Client.abort + Client.list)
    #expect(driver.replies == [Reply(2, Reply.ack)])
    #expect(driver.end == .clientAborted)
    #expect(driver.rest == Client.list)
  }

  @Test func abortMayDragDataAlong() {
    let driver = converse(Client.option(2, [UInt8](repeating: 7, count: 100_000)))
    #expect(driver.replies == [Reply(2, Reply.ack)])
    #expect(driver.end == .clientAborted)
    let partial = converse(Client.optionHeader(2, length: 9) + [1, 2, 3])
    #expect(partial.handshake.outcome == .negotiating)
    #expect(partial.replies == [])
  }

  @Test func listNamesEveryExportWithItsDescription() {
    let driver = converse(Client.list)
    #expect(
      driver.replies == [
        Reply(3, Reply.server, Client.counted("disk") + Array("the first".utf8)),
        Reply(3, Reply.server, Client.counted("backup")),
        Reply(3, Reply.ack),
      ])
    #expect(driver.handshake.outcome == .negotiating)
  }

  @Test(arguments: [3, 5, 8, 11] as [UInt32])
  func optionsWithoutDataRefuseData(option: UInt32) {
    let driver = converse(Client.option(option, [1, 2, 3]) + Client.list)
    #expect(driver.replies?.first == Reply(option, Reply.invalid))
    #expect(driver.replies?.last == Reply(3, Reply.ack))
  }

  @Test func refusedOptionsChangeNothing() {
    let driver = converse(Client.option(8, [0]) + Client.option(11, [0]) + Client.go("disk"))
    #expect(driver.negotiated?.structuredReplies == false)
    #expect(driver.negotiated?.extendedHeaders == false)
  }

  @Test(arguments: [0, 4, 12, 13, 0x1234_5678, 0xffff_ffff] as [UInt32])
  func unknownOptionsAreUnsupportedAndTheParserStaysInStep(option: UInt32) {
    for length in [0, 1, 16, 40_000, 500_000] {
      // The data looks like an option, so that a parser out of step would be led astray.
      let data = [UInt8](
        repeatElement(Client.abort, count: length / 16 + 1).joined().prefix(length))
      let driver = converse(Client.option(option, data) + Client.list)
      #expect(driver.replies?.first == Reply(option, Reply.unsupported))
      #expect(driver.replies?.last == Reply(3, Reply.ack))
      #expect(driver.handshake.outcome == .negotiating)
    }
  }

  @Test func startTLSIsUnsupported() {
    #expect(converse(Client.option(5)).replies == [Reply(5, Reply.unsupported)])
  }

  @Test func structuredRepliesAndExtendedHeaders() {
    let simple = converse(Client.go("disk")).negotiated
    #expect(simple?.replyFormat == .simple)
    #expect(simple?.export.transmissionFlags.contains(.sendDontFragment) == false)
    let structured = converse(Client.structuredReply + Client.structuredReply + Client.go("disk"))
    #expect(structured.replies?.prefix(2) == [Reply(8, Reply.ack), Reply(8, Reply.ack)])
    #expect(structured.negotiated?.replyFormat == .structured)
    #expect(structured.negotiated?.requestHeaderBytes == 28)
    #expect(structured.negotiated?.export.transmissionFlags.contains(.sendDontFragment) == true)
    let extended = converse(Client.extendedHeaders + Client.go("disk"))
    #expect(extended.replies?.first == Reply(11, Reply.ack))
    #expect(extended.negotiated?.replyFormat == .extended)
    #expect(extended.negotiated?.structuredReplies == true)
    #expect(extended.negotiated?.requestHeaderBytes == 32)
  }

  @Test func repliesInChunksCanBeTurnedOff() {
    var driver = Driver(Shelf(), offersChunks: false)
    driver.feed(
      Client.flags() + Client.structuredReply + Client.extendedHeaders
        + Client.setContexts("disk", ["base:allocation"]) + Client.go("disk"))
    #expect(driver.replies?.prefix(2) == [Reply(8, Reply.unsupported), Reply(11, Reply.unsupported)])
    #expect(driver.replies?[2] == Reply(10, Reply.invalid))
    #expect(driver.negotiated?.replyFormat == .simple)
    #expect(driver.negotiated?.export.transmissionFlags.contains(.sendDontFragment) == false)
  }

  @Test func thereIsNoWayBackFromExtendedHeaders() {
    let driver = converse(Client.extendedHeaders + Client.structuredReply + Client.go("disk"))
    #expect(driver.replies?[1] == Reply(8, Reply.extendedRequired))
    #expect(driver.negotiated?.extendedHeaders == true)
    let named = converse(Client.extendedHeaders + Client.exportName("disk"))
    #expect(named.end == .exportNameAfterExtendedHeaders)
  }

  @Test func bytesAfterTheNegotiationAreLeftForTheTransmission() {
    let request: [UInt8] = [0x25, 0x60, 0x95, 0x13, 0, 0]
    let driver = converse(Client.go("disk") + request)
    #expect(driver.negotiated != nil)
    #expect(driver.rest == request)
    let named = converse(Client.exportName("disk") + request)
    #expect(named.rest == request)
  }

  @Test func aServerThatShutsDownRefusesEverythingButAbort() {
    for option: UInt32 in [3, 5, 6, 7, 8, 9, 10, 11, 77] {
      var driver = Driver()
      driver.handshake.isShuttingDown = true
      driver.feed(Client.flags() + Client.option(option, [1]) + Client.abort)
      #expect(driver.replies == [Reply(option, Reply.shutdown), Reply(2, Reply.ack)])
      #expect(driver.end == .clientAborted)
    }
    var driver = Driver()
    driver.handshake.isShuttingDown = true
    driver.feed(Client.flags() + Client.exportName("disk"))
    #expect(driver.end == .shuttingDown)
  }

  @Test func everyEndSaysWhy() {
    let ends: [HandshakeEnd] = [
      .clientAborted, .unknownClientFlags(4), .wrongOptionMagic, .tooManyOptions, .tooMuchOptionData,
      .needsFixedNewstyle(option: 7), .unknownExport("nope"), .malformedExportName,
      .exportNameAfterExtendedHeaders, .shuttingDown,
    ]
    #expect(Set(ends.map(\.description)).count == ends.count)
    #expect(HandshakeEnd.unknownExport("nope").description.contains("nope"))
  }
}
