/// The server's side of fixed newstyle negotiation, as a state machine over bytes.
///
/// It reads no socket and keeps no time: the driver feeds what arrives, sends what `takeOutput` gives,
/// and looks at `outcome`. How the input is cut into pieces makes no difference.
///
/// ```
/// start ─▶ client flags ─▶ option header ─▶ option data ─▶ reply ─┐
///                              ▲    │                             │
///                              │    └────────▶ skipped data ──────┤
///                              └──────────────────────────────────┤
///                                transmission / closed ◀──────────┘
/// ```
///
/// Memory: at most `HandshakeLimits.optionBytesKeptMax` bytes of one option, which are kept as they arrive
/// and never reserved because a header announced them.
public struct Handshake: Sendable {
  /// Where the negotiation stands.
  public enum Outcome: Hashable, Sendable {
    /// More input is needed.
    case negotiating
    /// Send the output, then read requests: what `consume` left unused is the first of them.
    case transmission(Negotiated)
    /// Send the output, then close.
    case closed(HandshakeEnd)
  }

  /// What the next bytes are.
  enum Expectation: Hashable {
    case clientFlags
    case optionHeader
    /// Data to be kept, of the option in `option`.
    case optionData(length: Int)
    /// Data to be thrown away before the answer in `afterSkip` is sent.
    case skippedData(remaining: Int)
  }

  /// The answer to an option whose data is not looked at.
  struct Refusal: Hashable {
    let reply: OptionReply
    let message: String
  }

  let directory: any ExportDirectory
  let limits: HandshakeLimits
  let offersChunks: Bool

  /// Bytes to be sent, oldest first.
  public internal(set) var output: [UInt8] = []
  /// Where the negotiation stands; final once it is not `negotiating`.
  public internal(set) var outcome = Outcome.negotiating

  /// Set when the server is about to end: options are refused with ERR_SHUTDOWN, only ABORT is obeyed
  /// (proto.md "Termination of the session during option haggling").
  public var isShuttingDown = false

  private var expectation = Expectation.clientFlags
  private var pending: [UInt8] = []
  private var refusal: Refusal?
  private var optionBytesTotal = 0
  private var optionsTotal = 0

  /// The option that is being answered, as its number came.
  var option: UInt32 = 0
  var clientFlags = HandshakeFlags()
  var structuredReplies = false
  var extendedHeaders = false
  var contextSet: ContextSet?

  /// A handshake with a new client. Nothing happens before `start`.
  ///
  /// - Parameter offersChunks: whether structured replies and extended headers are to be had.
  public init(
    directory: any ExportDirectory, limits: HandshakeLimits = HandshakeLimits(), offersChunks: Bool = true
  ) {
    self.directory = directory
    self.limits = limits
    self.offersChunks = offersChunks
  }

  /// Queues the greeting (proto.md "Newstyle negotiation"). Call it once, first.
  public mutating func start() {
    output.append(bigEndian: HandshakeMagic.greeting)
    output.append(bigEndian: HandshakeMagic.option)
    output.append(bigEndian: UInt16(HandshakeFlags.offered.rawValue))
  }

  /// The bytes to be sent; they are the driver's from now on.
  public mutating func takeOutput() -> [UInt8] {
    let taken = output
    output = []
    return taken
  }

  /// Uses as many bytes as it can and returns their number.
  ///
  /// It stops early for two reasons only: the negotiation ended (see `outcome`), or replies wait to be sent
  /// (`HandshakeLimits.outputBytesHigh`): then take the output and call again with the rest.
  public mutating func consume(_ input: UnsafeRawBufferPointer) -> Int {
    var used = 0
    while case .negotiating = outcome, used < input.count, output.count < limits.outputBytesHigh {
      let rest = unsafe UnsafeRawBufferPointer(rebasing: input[used...])
      switch expectation {
      case .skippedData(let remaining):
        let count = min(remaining, rest.count)
        used += count
        expectation = .skippedData(remaining: remaining - count)
        if count == remaining { finishSkippedOption() }
      case .clientFlags:
        used += unsafe gather(4, from: rest) { $0.receiveClientFlags($1) }
      case .optionHeader:
        used += unsafe gather(16, from: rest) { $0.receiveOptionHeader($1) }
      case .optionData(let length):
        used += unsafe gather(length, from: rest) { $0.finishKeptOption($1) }
      }
    }
    return used
  }

  /// Moves bytes to `pending` until it holds `count`, then hands them on. Returns how many it moved.
  private mutating func gather(
    _ count: Int, from input: UnsafeRawBufferPointer, then use: (inout Handshake, [UInt8]) -> Void
  ) -> Int {
    let moved = min(count - pending.count, input.count)
    unsafe pending.append(contentsOf: input[..<moved])
    if pending.count == count {
      let complete = pending
      pending = []
      use(&self, complete)
    }
    return moved
  }

  /// proto.md "Client flags": an unknown flag MUST drop the connection.
  private mutating func receiveClientFlags(_ bytes: [UInt8]) {
    var reader = OptionReader(bytes)
    clientFlags = HandshakeFlags(rawValue: reader.next(UInt32.self) ?? 0)
    guard clientFlags.isSubset(of: .offered) else {
      close(.unknownClientFlags(clientFlags.rawValue))
      return
    }
    expectation = .optionHeader
  }

  /// Decides from the header alone whether the data is worth keeping.
  private mutating func receiveOptionHeader(_ bytes: [UInt8]) {
    var reader = OptionReader(bytes)
    guard reader.next(UInt64.self) == HandshakeMagic.option, let number = reader.next(UInt32.self),
      let length = reader.next(UInt32.self)
    else {
      close(.wrongOptionMagic)
      return
    }
    option = number
    optionsTotal += 1
    optionBytesTotal += Int(length)
    let isOverBudget = optionsTotal > limits.optionsMax || optionBytesTotal > limits.optionBytesMax
    if let end = endBeforeData(of: Option(rawValue: number), length: Int(length), isOverBudget: isOverBudget)
    {
      close(end)
      return
    }
    refusal = refusalBeforeData(of: Option(rawValue: number), length: Int(length))
    let isKept = refusal == nil && Option(rawValue: number) != .abort
    expectation = isKept ? .optionData(length: Int(length)) : .skippedData(remaining: Int(length))
    if length == 0 { isKept ? finishKeptOption([]) : finishSkippedOption() }
  }

  /// The cases in which no answer is possible or owed, so that the session ends at the header.
  private mutating func endBeforeData(of option: Option?, length: Int, isOverBudget: Bool) -> HandshakeEnd? {
    if isOverBudget {
      // An ABORT is owed its acknowledgement however much data it drags along.
      if option == .abort { reply(.acknowledge) }
      return optionsTotal > limits.optionsMax ? .tooManyOptions : .tooMuchOptionData
    }
    // proto.md "NBD_OPT_EXPORT_NAME": the only valid option in non-fixed newstyle negotiation.
    if option != .exportName {
      return clientFlags.contains(.fixedNewstyle) ? nil : .needsFixedNewstyle(option: self.option)
    }
    if isShuttingDown { return .shuttingDown }
    // proto.md "NBD_OPT_EXTENDED_HEADERS": the client MUST NOT use EXPORT_NAME afterwards.
    if extendedHeaders { return .exportNameAfterExtendedHeaders }
    return length > NBDLimits.stringBytesMax ? .malformedExportName : nil
  }

  private func refusalBeforeData(of option: Option?, length: Int) -> Refusal? {
    if isShuttingDown, option != .abort, option != .exportName {
      return Refusal(reply: .errorShutdown, message: "the server is shutting down")
    }
    switch option {
    case nil:
      return Refusal(reply: .errorUnsupported, message: "unknown option")
    case .list, .startTLS, .structuredReply, .extendedHeaders:
      guard length > 0 else { return nil }
      return Refusal(reply: .errorInvalid, message: "the option takes no data")
    case .info, .go, .listMetaContext, .setMetaContext:
      guard length > limits.optionBytesKeptMax else { return nil }
      return Refusal(reply: .errorTooBig, message: "the option's data is too long")
    case .exportName, .abort:
      return nil
    }
  }

  private mutating func finishKeptOption(_ data: [UInt8]) {
    expectation = .optionHeader
    if let known = Option(rawValue: option) { answer(known, data) }
  }

  private mutating func finishSkippedOption() {
    expectation = .optionHeader
    guard let refusal else {
      // The only skipped option that is not refused: proto.md "NBD_OPT_ABORT", data SHOULD be ignored.
      reply(.acknowledge)
      close(.clientAborted)
      return
    }
    // proto.md "NBD_OPT_SET_META_CONTEXT" replaces the set even if it fails.
    if option == Option.setMetaContext.rawValue { contextSet = nil }
    fail(refusal.reply, refusal.message)
  }

  mutating func close(_ end: HandshakeEnd) {
    outcome = .closed(end)
  }
}
