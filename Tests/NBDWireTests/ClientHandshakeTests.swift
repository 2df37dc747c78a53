import NBDWire
import Testing

/// The client's side against our own server's side, and against servers that break the rules.
@Suite struct ClientHandshakeTests {
  private static let greeting = big(UInt64(0x4e42_444d_4147_4943)) + big(Client.haveOption) + big(UInt16(3))

  private static func reply(_ type: UInt32, _ data: [UInt8] = [], option: UInt32 = 7) -> [UInt8] {
    big(UInt64(0x0003_e889_0455_65a9)) + big(option) + big(type) + big(UInt32(data.count)) + data
  }

  private static func export(size: UInt64 = 1 << 30, flags: UInt16 = 5) -> [UInt8] {
    reply(3, big(UInt16(0)) + big(size) + big(flags))
  }

  private static func blocks(_ minimum: UInt32, _ preferred: UInt32, _ maximum: UInt32) -> [UInt8] {
    reply(3, big(UInt16(3)) + big(minimum) + big(preferred) + big(maximum))
  }

  private static let acknowledgement = reply(1)

  /// - Returns: the outcome, and the bytes that were left.
  private func meet(_ bytes: [UInt8], pieces: Int = .max) -> (ClientHandshake.Outcome, Int) {
    var handshake = ClientHandshake(exportName: "disk")
    var rest = bytes[...]
    while !rest.isEmpty {
      let piece = Array(rest.prefix(pieces))
      let used = unsafe piece.withUnsafeBytes { unsafe handshake.consume($0) }
      rest = rest.dropFirst(used)
      if used < piece.count { break }
    }
    return (handshake.outcome, rest.count)
  }

  private func end(_ bytes: [UInt8]) -> ClientHandshakeEnd? {
    if case .closed(let end) = meet(bytes).0 { return end }
    return nil
  }

  @Test(arguments: [1, 7, 4096])
  func ourServerOpensTheExport(pieces: Int) {
    var server = Handshake(directory: Shelf())
    server.start()
    var client = ClientHandshake(exportName: "disk")
    var (toClient, toServer): ([UInt8], [UInt8]) = (server.takeOutput(), [])
    while case .negotiating = client.outcome {
      let piece = Array(toClient.prefix(pieces))
      let used = unsafe piece.withUnsafeBytes { unsafe client.consume($0) }
      #expect(used == piece.count)
      toClient.removeFirst(used)
      toServer += client.takeOutput()
      let taken = unsafe toServer.withUnsafeBytes { unsafe server.consume($0) }
      toServer.removeFirst(taken)
      toClient += server.takeOutput()
      if toClient.isEmpty, toServer.isEmpty, case .negotiating = client.outcome { break }
    }
    guard case .transmission(let export) = client.outcome else {
      Issue.record("\(client.outcome)")
      return
    }
    #expect(export.sizeBytes == ExportInfo.disk.sizeBytes)
    #expect(export.transmissionFlags.isSuperset(of: [.hasFlags, .sendFlush, .sendFUA, .canMultiConnect]))
    #expect(export.blockSizeMinimum == 1 && export.payloadMaximum == 32 << 20)
    #expect(toClient.isEmpty)
    guard case .transmission(let negotiated) = server.outcome else {
      Issue.record("\(server.outcome)")
      return
    }
    #expect(negotiated.replyFormat == .simple && !negotiated.extendedHeaders)
  }

  @Test func whatComesAfterTheAcknowledgementIsLeft() {
    let (outcome, left) = meet(Self.greeting + Self.export() + Self.acknowledgement + [1, 2, 3])
    #expect(left == 3)
    guard case .transmission(let export) = outcome else {
      Issue.record("\(outcome)")
      return
    }
    #expect(export.sizeBytes == 1 << 30 && export.payloadMaximum == NBDLimits.payloadBytesDefault)
  }

  @Test func unknownInformationIsPassedOver() {
    let bytes =
      Self.greeting + Self.reply(3, big(UInt16(77)) + [1, 2, 3]) + Self.export() + Self.acknowledgement
    guard case .transmission = meet(bytes, pieces: 5).0 else {
      Issue.record("\(meet(bytes))")
      return
    }
  }

  @Test func serversThatBreakTheRulesAreLeft() {
    let (hello, export, done) = (Self.greeting, Self.export(), Self.acknowledgement)
    #expect(end([UInt8](repeating: 0x47, count: 18)) == .noServer)
    #expect(end(big(UInt64(0x4e42_444d_4147_4943)) + big(UInt64(0x42_0281_8612_53)) + [0, 0]) == .oldstyle)
    #expect(end(Array(hello.dropLast()) + [2]) == .oldstyle)
    #expect(end(hello + [UInt8](repeating: 0, count: 20)) == .wrongReplyMagic)
    #expect(end(hello + Self.reply(1, option: 6)) == .otherOption(6))
    #expect(end(hello + Self.reply(2)) == .unexpectedReply(2))
    #expect(end(hello + export + Self.reply(1, [0])) == .unexpectedReply(1))
    #expect(end(hello + done) == .noExportInfo)
    #expect(end(hello + Self.export(flags: 4) + done) == .noTransmissionFlags)
    #expect(end(hello + Self.export(size: 1 << 63) + done) == .impossibleSize(1 << 63))
    #expect(end(hello + Self.reply(3, [0])) == .malformedInfo)
    #expect(end(hello + Self.reply(3, big(UInt16(0)) + big(UInt64(5)))) == .malformedInfo)
    #expect(end(hello + Self.reply(3, big(UInt16(3)) + big(UInt64(5)))) == .malformedInfo)
    for (minimum, preferred, maximum): (UInt32, UInt32, UInt32) in [
      (0, 4096, 1 << 20), (3, 4096, 1 << 20), (1 << 17, 1 << 17, 1 << 20), (512, 0, 1 << 20),
      (4096, 512, 1 << 20), (4096, 4096, 512),
    ] {
      let bytes = hello + export + Self.blocks(minimum, preferred, maximum) + done
      #expect(end(bytes) == .impossibleBlockSizes, "\(minimum) \(preferred) \(maximum)")
    }
    let flood = (0..<100).flatMap { _ in Self.reply(3, big(UInt16(9))) }
    #expect(end(hello + flood) == .tooManyReplies)
  }

  /// Nothing is kept, or waited for, because a header announced it.
  @Test func longRepliesEndAtTheirHeader() {
    let header = big(UInt64(0x0003_e889_0455_65a9)) + big(UInt32(7)) + big(UInt32(3)) + big(UInt32(1 << 30))
    #expect(end(Self.greeting + header) == .replyTooLong(1 << 30))
  }

  @Test func refusalsCarryTheServersWords() {
    let refused = end(Self.greeting + Self.reply(0x8000_0006, Array("no\n such\u{7f} disk".utf8)))
    #expect(refused?.description == "the server has no export of that name (no such disk)")
    #expect(end(Self.greeting + Self.reply(0x8000_0005))?.description.contains("TLS") == true)
    let long = end(Self.greeting + Self.reply(0x8000_0002, [UInt8](repeating: 0x61, count: 4000)))
    #expect(long.map { $0.description.utf8.count < 400 } == true)
  }
}

/// Replies find their requests, once.
@Suite struct SimpleReplyTests {
  private func decode(_ bytes: [UInt8]) -> SimpleReply? {
    unsafe bytes.withUnsafeBytes { unsafe SimpleReply.decode($0.baseAddress!) }
  }

  @Test func whatTheServerEncodesIsDecoded() {
    var bytes = [UInt8](repeating: 0, count: ReplyFormat.replyBytesMax)
    _ = unsafe bytes.withUnsafeMutableBytes {
      unsafe ReplyFormat.simple.error(into: $0.baseAddress!, cookie: 0x1234, requestOffset: 0, .noSpace)
    }
    let reply = decode(Array(bytes[..<SimpleReply.size]))
    #expect(reply?.error == 28 && reply?.cookie == 0x1234)
    bytes[1] ^= 1
    #expect(decode(bytes) == nil)
  }

  @Test func aCookieIsRedeemedOnce() {
    var cookies = RequestCookies()
    let first = cookies.issue(3)
    #expect(cookies.redeem(first ^ 1) == nil)
    #expect(cookies.redeem(first | 1 << 40) == nil)
    #expect(cookies.redeem(.max) == nil)
    #expect(cookies.redeem(first) == 3)
    #expect(cookies.redeem(first) == nil)
    let second = cookies.issue(3)
    #expect(second != first)
    cookies.withdraw(3)
    #expect(cookies.redeem(second) == nil)
    cookies.withdraw(3)
    #expect(cookies.redeem(cookies.issue(3)) == 3)
  }

  @Test func errorsBecomeTheSystems() {
    #expect(NBDErrno.systemNumber(of: 28) == 28 && NBDErrno.systemNumber(of: 95) == 95)
    #expect(NBDErrno.systemNumber(of: 22) == 5 && NBDErrno.systemNumber(of: 0xdead_beef) == 5)
  }
}
