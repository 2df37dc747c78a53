/// The answers to the options (proto.md "Option types").
extension Handshake {
  mutating func answer(_ option: Option, _ data: [UInt8]) {
    switch option {
    case .exportName: answerExportName(data)
    case .list: answerList()
    case .info, .go: answerInfo(data, goes: option == .go)
    case .structuredReply where offersChunks: answerStructuredReply()
    case .extendedHeaders where offersChunks: answerExtendedHeaders()
    case .structuredReply, .extendedHeaders: fail(.errorUnsupported, "replies in chunks are turned off")
    case .listMetaContext, .setMetaContext: answerMetaContext(data, sets: option == .setMetaContext)
    case .startTLS: fail(.errorUnsupported, "TLS is not supported")
    case .abort: preconditionFailure("ABORT is answered without its data")
    }
  }

  /// proto.md "NBD_OPT_EXPORT_NAME": size, flags, and 124 zeroes unless the client waived them. There is no
  /// way to answer with an error.
  private mutating func answerExportName(_ data: [UInt8]) {
    var reader = OptionReader(data)
    guard let name = reader.nextString(length: UInt32(data.count)) else {
      close(.malformedExportName)
      return
    }
    guard let export = directory.export(named: name) else {
      close(.unknownExport(name))
      return
    }
    let flags = export.transmissionFlags.announced(structuredReplies: structuredReplies)
    output.append(bigEndian: export.sizeBytes)
    output.append(bigEndian: flags.rawValue)
    if !clientFlags.contains(.noZeroes) {
      output.append(contentsOf: repeatElement(0, count: 124))
    }
    enterTransmission(export, requestedName: name)
  }

  /// proto.md "NBD_OPT_LIST": one SERVER reply for each export, the description after the name.
  private mutating func answerList() {
    for name in directory.exportNames() where name.utf8.count <= NBDLimits.stringBytesMax {
      let description = directory.export(named: name)?.description ?? ""
      reply(.server, bytes: 4 + name.utf8.count + description.utf8.count) { output in
        output.append(bigEndian: UInt32(name.utf8.count))
        output.append(contentsOf: name.utf8)
        output.append(contentsOf: description.utf8)
      }
    }
    reply(.acknowledge)
  }

  /// proto.md "NBD_OPT_INFO and NBD_OPT_GO". An error leaves the client haggling.
  private mutating func answerInfo(_ data: [UInt8], goes: Bool) {
    var reader = OptionReader(data)
    guard let name = reader.nextCountedString(), let requests = reader.next(UInt16.self),
      reader.remaining == Int(requests) * 2
    else {
      fail(.errorInvalid, "malformed export name or information requests")
      return
    }
    // Requests that we do not know are ignored, and a repeated one is answered once.
    var wanted: Set<InfoType> = []
    while let number = reader.next(UInt16.self) {
      if let type = InfoType(rawValue: number) { wanted.insert(type) }
    }
    guard let export = directory.export(named: name) else {
      fail(.errorUnknownExport, "there is no such export")
      return
    }
    sendInformation(about: export, wanted)
    reply(.acknowledge)
    if goes { enterTransmission(export, requestedName: name) }
  }

  private mutating func sendInformation(about export: ExportInfo, _ wanted: Set<InfoType>) {
    let flags = export.transmissionFlags.announced(structuredReplies: structuredReplies)
    reply(.info, bytes: 12) { output in
      output.append(bigEndian: InfoType.export.rawValue)
      output.append(bigEndian: export.sizeBytes)
      output.append(bigEndian: flags.rawValue)
    }
    if wanted.contains(.name) { sendText(.name, export.name) }
    if wanted.contains(.description), !export.description.isEmpty {
      sendText(.description, export.description)
    }
    guard wanted.contains(.blockSize) else { return }
    reply(.info, bytes: 14) { output in
      output.append(bigEndian: InfoType.blockSize.rawValue)
      output.append(bigEndian: export.blockSizeMinimum)
      output.append(bigEndian: export.blockSizePreferred)
      output.append(bigEndian: export.payloadMaximum)
    }
  }

  private mutating func sendText(_ type: InfoType, _ text: String) {
    reply(.info, bytes: 2 + text.utf8.count) { output in
      output.append(bigEndian: type.rawValue)
      output.append(contentsOf: text.utf8)
    }
  }

  /// proto.md "NBD_OPT_STRUCTURED_REPLY". Asking twice is harmless, and is answered like the first time.
  private mutating func answerStructuredReply() {
    guard !extendedHeaders else {
      // proto.md "NBD_REP_ERR_EXT_HEADER_REQD": there is no way back from extended headers.
      fail(.errorExtendedHeadersRequired, "extended headers are in use")
      return
    }
    structuredReplies = true
    reply(.acknowledge)
  }

  /// proto.md "NBD_OPT_EXTENDED_HEADERS": takes precedence over structured replies and implies them.
  private mutating func answerExtendedHeaders() {
    structuredReplies = true
    extendedHeaders = true
    reply(.acknowledge)
  }

  private mutating func enterTransmission(_ export: ExportInfo, requestedName: String) {
    var announced = export
    announced.transmissionFlags = export.transmissionFlags.announced(structuredReplies: structuredReplies)
    outcome = .transmission(
      Negotiated(
        export: announced, structuredReplies: structuredReplies, extendedHeaders: extendedHeaders,
        noZeroes: clientFlags.contains(.noZeroes),
        contexts: contextSet?.contexts(of: export, requestedAs: requestedName) ?? []))
  }

  /// Queues a reply without data to the current option.
  mutating func reply(_ type: OptionReply) {
    reply(type, bytes: 0) { _ in }
  }

  /// Queues a reply to the current option (proto.md "Fixed newstyle negotiation"); `write` must append
  /// exactly `bytes` bytes.
  mutating func reply(_ type: OptionReply, bytes: Int, _ write: (inout [UInt8]) -> Void) {
    output.append(bigEndian: HandshakeMagic.optionReply)
    output.append(bigEndian: option)
    output.append(bigEndian: type.rawValue)
    output.append(bigEndian: UInt32(bytes))
    let start = output.count
    write(&output)
    precondition(output.count - start == bytes, "an option reply must be as long as its header says")
  }

  /// Queues an error reply whose data is a message for people.
  mutating func fail(_ type: OptionReply, _ message: String) {
    reply(type, bytes: message.utf8.count) { $0.append(contentsOf: message.utf8) }
  }
}
