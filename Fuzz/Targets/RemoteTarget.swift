import NBDWire

/// What a server says: its negotiation, then replies. The first two bytes choose pieces and requests.
///
/// Properties: nothing more is taken than is given, and all of it while the negotiation goes on; what is
/// agreed on makes sense; the outcome does not depend on how the input is cut; a reply is taken for a
/// request if and only if that waits for one.
enum RemoteTarget {
  @Sendable static func run(_ input: [UInt8]) throws(PropertyFailure) {
    var reader = InputReader(input)
    let seed = reader.byte()
    let requests = reader.byte()
    let stream = reader.rest()
    var whole = ClientHandshake(exportName: "disk")
    let used = try feed(stream, to: &whole)
    var cuts = Cuts(seed: seed)
    var cut = ClientHandshake(exportName: "disk")
    var position = 0
    while position < stream.count {
      let end = min(stream.count, position + cuts.next())
      let count = try feed(Array(stream[position..<end]), to: &cut)
      position += count
      if case .negotiating = cut.outcome { continue }
      break
    }
    try require(cut.outcome == whole.outcome, "the outcome depends on how the input is cut")
    try require(position == used, "what is left over depends on how the input is cut")
    try checkOutcome(whole.outcome)
    try checkReplies(Array(stream[used...]), requests)
    try checkReplies(stream, requests)
  }

  private static func feed(
    _ bytes: [UInt8], to handshake: inout ClientHandshake
  ) throws(PropertyFailure) -> Int {
    let used = unsafe bytes.withUnsafeBytes { unsafe handshake.consume($0) }
    try require(used <= bytes.count, "more is taken than there is")
    if case .negotiating = handshake.outcome {
      try require(used == bytes.count, "a negotiation that does not take its input would hang")
    }
    try require(handshake.takeOutput().count <= 64, "more is said than one request")
    return used
  }

  private static func checkOutcome(_ outcome: ClientHandshake.Outcome) throws(PropertyFailure) {
    switch outcome {
    case .negotiating: break
    case .closed(let end):
      let text = end.description
      try require(text.utf8.count < 1024, "a reason of \(text.utf8.count) bytes")
      try require(text.unicodeScalars.allSatisfy { $0.value >= 32 }, "a reason that can not be printed")
    case .transmission(let export):
      try require(export.sizeBytes <= UInt64(Int64.max), "a size of more than 63 bits")
      try require(export.transmissionFlags.contains(.hasFlags), "flags that are none")
      try require(export.blockSizeMinimum.nonzeroBitCount == 1, "a smallest block that is no power of two")
      try require(export.payloadMaximum >= export.blockSizeMinimum, "no request is possible")
    }
  }

  /// Three requests wait; each reply is judged by what a list of the cookies says.
  private static func checkReplies(_ bytes: [UInt8], _ requests: UInt8) throws(PropertyFailure) {
    var cookies = RequestCookies()
    var waiting: [UInt64: UInt32] = [:]
    for number in 0..<UInt32(requests % 4) { waiting[cookies.issue(number)] = number }
    var position = 0
    while position + SimpleReply.size <= bytes.count {
      let head = Array(bytes[position..<position + SimpleReply.size])
      position += SimpleReply.size
      let reply = unsafe head.withUnsafeBytes { unsafe SimpleReply.decode($0.baseAddress!) }
      try require((reply != nil) == (bigEndian(head[..<4]) == 0x6744_6698), "the magic number is not heeded")
      guard let reply else { return }
      let expected = waiting.removeValue(forKey: reply.cookie)
      try require(cookies.redeem(reply.cookie) == expected, "a reply is taken for the wrong request")
      if let expected, reply.error & 1 == 0 { waiting[cookies.issue(expected)] = expected }
    }
  }
}
