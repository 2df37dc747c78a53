import NBDWire

/// Requests and the rules that judge them. The first bytes make up a negotiation, the rest are headers.
///
/// Properties: a header survives being encoded again; exactly the requests that break no rule are accepted;
/// whatever is refused is refused for a rule that it breaks; nothing accepted reaches beyond the export.
enum RequestTarget {
  @Sendable static func run(_ input: [UInt8]) throws(PropertyFailure) {
    var reader = InputReader(input)
    let negotiated = negotiation(&reader)
    let rules = RequestRules(negotiated)
    var size = reader.sizedNumber() & UInt64(Int64.max)
    while !reader.isAtEnd {
      let bytes = reader.take(negotiated.requestHeaderBytes)
      guard let header = try decoded(bytes, isExtended: negotiated.extendedHeaders) else { continue }
      try Judgement(negotiated, rules, header, size).check()
      // A volume may grow and shrink under a connection.
      size ^= header.cookie & 0xfff
    }
  }

  private static func negotiation(_ reader: inout InputReader) -> Negotiated {
    let choices = reader.byte()
    let export = ExportInfo(
      name: "disk", sizeBytes: 0,
      transmissionFlags: TransmissionFlags(rawValue: UInt16(truncatingIfNeeded: reader.number(bytes: 2))),
      blockSizeMinimum: 1 << UInt32(choices >> 3 & 15),
      payloadMaximum: choices & 128 == 0
        ? NBDLimits.payloadBytesDefault : UInt32(truncatingIfNeeded: reader.number(bytes: 4)))
    return Negotiated(
      export: export, structuredReplies: choices & 1 != 0, extendedHeaders: choices & 2 != 0,
      contexts: choices & 4 != 0 ? [NegotiatedContext(id: 1, name: AllocationStatus.contextName)] : [])
  }

  /// The header, with a magic number that is right if it was not; nil if the stream has no sense.
  private static func decoded(
    _ bytes: [UInt8], isExtended: Bool
  ) throws(PropertyFailure) -> RequestHeader? {
    let magic: UInt64 = isExtended ? 0x21e4_1c71 : 0x2560_9513
    let header = decode(bytes, isExtended)
    try require((header != nil) == (bigEndian(bytes.prefix(4)) == magic), "the magic number is not heeded")
    var corrected = bytes
    for index in 0..<4 { corrected[index] = UInt8(truncatingIfNeeded: magic >> UInt64(8 * (3 - index))) }
    guard let header = decode(corrected, isExtended) else {
      throw PropertyFailure("a header with the right magic number is not decoded")
    }
    var encoded = [UInt8](repeating: 0, count: bytes.count)
    let count = unsafe encoded.withUnsafeMutableBytes {
      unsafe header.encode(into: $0.baseAddress!, isExtended: isExtended)
    }
    try require(count == bytes.count && encoded == corrected, "a header changes on its way")
    return header
  }

  private static func decode(_ bytes: [UInt8], _ isExtended: Bool) -> RequestHeader? {
    unsafe bytes.withUnsafeBytes { buffer in
      let start = buffer.baseAddress!
      return isExtended
        ? unsafe RequestHeader.decode(extended: start) : unsafe RequestHeader.decode(compact: start)
    }
  }
}

/// What the rules say about one request, against what the protocol's text says.
private struct Judgement {
  let negotiated: Negotiated
  let rules: RequestRules
  let header: RequestHeader
  let size: UInt64

  init(_ negotiated: Negotiated, _ rules: RequestRules, _ header: RequestHeader, _ size: UInt64) {
    self.negotiated = negotiated
    self.rules = rules
    self.header = header
    self.size = size
  }

  func check() throws(PropertyFailure) {
    let verdict = rules.judge(header, sizeBytes: size)
    if header.command == .disconnect {
      try require(verdict == .finish, "DISC gets \(verdict)")
      return
    }
    guard rules.payloadBytes(of: header) <= rules.skipBytesMax else {
      try require(verdict == .disconnect, "an endless payload gets \(verdict)")
      return
    }
    let faults = faults
    switch verdict {
    case .accept: try require(faults.isEmpty, "accepted in spite of \(faults)")
    case .reject(let error):
      try require(faults.contains(error), "refused with \(error), but what is wrong is \(faults)")
    case .finish, .disconnect: throw PropertyFailure("\(verdict) for a request that can be answered")
    }
  }

  /// The errors that the request has earned; none if it is right.
  private var faults: Set<NBDErrno> {
    guard let command = header.command else { return [.invalid] }
    var faults: Set<NBDErrno> = []
    let flags = negotiated.export.transmissionFlags
    if command.modifies, flags.contains(.readOnly) { faults.insert(.notPermitted) }
    if !isOffered(command, flags) || !hasAllowedFlags(command, flags) { faults.insert(.invalid) }
    if command == .flush {
      if header.offset != 0 || header.length != 0 { faults.insert(.invalid) }
      return faults
    }
    let (end, overflow) = header.offset.addingReportingOverflow(header.length)
    if overflow || end > size {
      faults.insert(command == .write || command == .writeZeroes ? .noSpace : .invalid)
    }
    let block = UInt64(negotiated.export.blockSizeMinimum)
    if header.offset % block != 0 || header.length % block != 0 { faults.insert(.invalid) }
    let isPayload = command == .read || command == .write
    if isPayload, header.length > rules.payloadBytesMax {
      faults.insert(command == .read && header.flags.contains(.dontFragment) ? .overflow : .invalid)
    }
    if command == .blockStatus, header.length == 0 { faults.insert(.invalid) }
    return faults
  }

  private func isOffered(_ command: Command, _ flags: TransmissionFlags) -> Bool {
    switch command {
    case .read, .write, .disconnect: true
    case .flush: flags.contains(.sendFlush)
    case .trim: flags.contains(.sendTrim)
    case .cache: flags.contains(.sendCache)
    case .writeZeroes: flags.contains(.sendWriteZeroes)
    case .blockStatus: !negotiated.contexts.isEmpty
    }
  }

  private func hasAllowedFlags(_ command: Command, _ announced: TransmissionFlags) -> Bool {
    var allowed: CommandFlags = announced.contains(.sendFUA) ? [.forceUnitAccess] : []
    switch command {
    case .read where announced.contains(.sendDontFragment) && negotiated.structuredReplies:
      allowed.insert(.dontFragment)
    case .writeZeroes:
      allowed.insert(.noHole)
      if announced.contains(.sendFastZero) { allowed.insert(.fastZero) }
    case .blockStatus: allowed.insert(.requestOne)
    default: break
    }
    let hasPayload = header.flags.contains(.payloadLength)
    if command == .write, negotiated.extendedHeaders {
      guard hasPayload else { return false }
      allowed.insert(.payloadLength)
    }
    return header.flags.isSubset(of: allowed)
  }
}
