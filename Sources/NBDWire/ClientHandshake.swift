/// The client's side of fixed newstyle negotiation, as a state machine over bytes: opens one export with GO.
///
/// The server is not trusted: every magic number, length and flag is checked, and what is kept of a reply
/// is bounded before it is read. Neither structured replies nor extended headers are asked for. A simple
/// reply is the shortest, 16 bytes in front of data of a length that the client knows already, so the data
/// of a read can be received where it belongs, and nothing of a reply is sized by the server. What is given
/// up, holes in reads and lengths beyond 32 bits, is not needed: whoever redirects knows what is mapped.
public struct ClientHandshake: Sendable {
  /// Where the negotiation stands.
  public enum Outcome: Hashable, Sendable {
    /// Send the output; more input is needed.
    case negotiating
    /// The export is open; what `consume` left unused belongs to the transmission phase.
    case transmission(ExportInfo)
    /// Close.
    case closed(ClientHandshakeEnd)
  }

  /// What the next bytes are.
  private enum Expectation {
    case greeting
    case replyHeader
    case replyData(OptionReply, length: Int)
    case errorData(code: UInt32, length: Int)

    var length: Int {
      switch self {
      case .greeting: 18
      case .replyHeader: 20
      case .replyData(_, let length), .errorData(_, let length): length
      }
    }
  }

  /// Bytes of the longest reply that is read: a name or a message, with the fields in front of it.
  public static let replyBytesMax = 8 + NBDLimits.stringBytesMax
  /// Replies to one GO; a server has four kinds of information to give.
  public static let repliesMax = 64

  /// Where the negotiation stands; final once it is not `negotiating`.
  public private(set) var outcome = Outcome.negotiating
  private var output: [UInt8] = []
  private var expectation = Expectation.greeting
  private var pending: [UInt8] = []
  private var repliesTotal = 0
  private var hasExport = false
  private var export: ExportInfo

  /// A negotiation for the export of that name, of at most `NBDLimits.stringBytesMax` bytes. The server
  /// speaks first.
  public init(exportName: String) {
    export = ExportInfo(name: exportName, sizeBytes: 0, transmissionFlags: [])
  }

  /// The bytes to be sent; they are the driver's from now on.
  public mutating func takeOutput() -> [UInt8] {
    let taken = output
    output = []
    return taken
  }

  /// Uses as many bytes as it can and returns their number: all, unless the negotiation ends.
  public mutating func consume(_ input: UnsafeRawBufferPointer) -> Int {
    var used = 0
    while case .negotiating = outcome {
      let moved = min(expectation.length - pending.count, input.count - used)
      unsafe pending.append(contentsOf: input[used..<(used + moved)])
      used += moved
      guard pending.count == expectation.length else { break }
      let bytes = pending
      pending = []
      receive(bytes)
    }
    return used
  }

  private mutating func receive(_ bytes: [UInt8]) {
    var reader = OptionReader(bytes)
    switch expectation {
    case .greeting: receiveGreeting(&reader)
    case .replyHeader: receiveReplyHeader(&reader)
    case .replyData(let reply, _):
      expectation = .replyHeader
      if reply == .info { receiveInfo(&reader) } else { finish() }
    case .errorData(let code, _): close(.refused(ServerRefusal(code: code, message: bytes)))
    }
  }

  private mutating func close(_ end: ClientHandshakeEnd) {
    outcome = .closed(end)
  }

  /// proto.md "Newstyle negotiation": the greeting, answered with the client's flags and GO.
  private mutating func receiveGreeting(_ reader: inout OptionReader) {
    guard reader.next(UInt64.self) == HandshakeMagic.greeting, let style = reader.next(UInt64.self),
      let number = reader.next(UInt16.self)
    else { return close(.noServer) }
    guard style == HandshakeMagic.option else { return close(.oldstyle) }
    let flags = HandshakeFlags(rawValue: UInt32(number))
    guard flags.contains(.fixedNewstyle) else { return close(.oldstyle) }
    output.append(bigEndian: flags.intersection(.offered).rawValue)
    let name = Array(export.name.utf8)
    output.append(bigEndian: HandshakeMagic.option)
    output.append(bigEndian: Option.go.rawValue)
    output.append(bigEndian: UInt32(4 + name.count + 4))
    output.append(bigEndian: UInt32(name.count))
    output += name
    // Whoever asks for the block sizes promises to heed them.
    output.append(bigEndian: UInt16(1))
    output.append(bigEndian: InfoType.blockSize.rawValue)
    expectation = .replyHeader
  }

  /// proto.md "Option reply": decides from the header alone whether the data is read.
  private mutating func receiveReplyHeader(_ reader: inout OptionReader) {
    guard reader.next(UInt64.self) == HandshakeMagic.optionReply, let option = reader.next(UInt32.self),
      let code = reader.next(UInt32.self), let length = reader.next(UInt32.self)
    else { return close(.wrongReplyMagic) }
    repliesTotal += 1
    guard option == Option.go.rawValue else { return close(.otherOption(option)) }
    guard repliesTotal <= Self.repliesMax else { return close(.tooManyReplies) }
    guard length <= Self.replyBytesMax else { return close(.replyTooLong(length)) }
    if code & 0x8000_0000 != 0 {
      expectation = .errorData(code: code, length: Int(length))
    } else if let reply = OptionReply(rawValue: code),
      reply == .info || (reply == .acknowledge && length == 0)
    {
      expectation = .replyData(reply, length: Int(length))
    } else {
      close(.unexpectedReply(code))
    }
  }

  /// proto.md "NBD_REP_INFO": what is not known is passed over.
  private mutating func receiveInfo(_ reader: inout OptionReader) {
    guard let number = reader.next(UInt16.self) else { return close(.malformedInfo) }
    switch InfoType(rawValue: number) {
    case .export:
      guard reader.remaining == 10, let size = reader.next(UInt64.self), let flags = reader.next(UInt16.self)
      else { return close(.malformedInfo) }
      hasExport = true
      export.sizeBytes = size
      export.transmissionFlags = TransmissionFlags(rawValue: flags)
    case .blockSize:
      guard reader.remaining == 12, let minimum = reader.next(UInt32.self),
        let preferred = reader.next(UInt32.self), let maximum = reader.next(UInt32.self)
      else { return close(.malformedInfo) }
      export.blockSizeMinimum = minimum
      export.blockSizePreferred = preferred
      export.payloadMaximum = maximum
    default: break
    }
  }

  /// The server has acknowledged GO: what it said must make sense as a whole.
  private mutating func finish() {
    guard hasExport else { return close(.noExportInfo) }
    guard export.transmissionFlags.contains(.hasFlags) else { return close(.noTransmissionFlags) }
    guard export.sizeBytes <= UInt64(Int64.max) else { return close(.impossibleSize(export.sizeBytes)) }
    // proto.md "Block size constraints": powers of two, but for the maximum.
    guard export.blockSizeMinimum.nonzeroBitCount == 1, export.blockSizeMinimum <= 64 << 10,
      export.blockSizePreferred.nonzeroBitCount == 1,
      export.blockSizePreferred >= export.blockSizeMinimum,
      export.payloadMaximum >= export.blockSizeMinimum
    else { return close(.impossibleBlockSizes) }
    outcome = .transmission(export)
  }
}
