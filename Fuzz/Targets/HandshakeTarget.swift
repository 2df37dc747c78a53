import NBDWire

/// A client's whole negotiation. The first two bytes choose limits and pieces, the rest is what it sends.
///
/// Properties: it never takes more than it is given, never wants both more input and less output, keeps
/// its output within bounds, answers with well-formed replies only, agrees on nothing that contradicts
/// itself, and does not care how the input is cut.
enum HandshakeTarget {
  @Sendable static func run(_ input: [UInt8]) throws(PropertyFailure) {
    var reader = InputReader(input)
    let setup = Setup(choices: reader.byte())
    let seed = reader.byte()
    let stream = reader.rest()

    var whole = Session(setup)
    try whole.feed(stream)
    var cuts = Cuts(seed: seed)
    var cut = Session(setup)
    var position = 0
    repeat {
      let end = min(stream.count, position + cuts.next())
      try cut.feed(Array(stream[position..<end]))
      position = end
    } while position < stream.count
    try require(whole.sent == cut.sent, "the replies depend on how the input is cut")
    try require(whole.unused == cut.unused, "what is left over depends on how the input is cut")
    try require(
      whole.handshake.outcome == cut.handshake.outcome, "the outcome depends on how the input is cut")
    try whole.checkOutcome()
    try ReplyStream(whole.sent).check(outcome: whole.handshake.outcome)
  }

  /// What the client meets.
  struct Setup {
    let limits: HandshakeLimits
    let directory: Directory
    let offersChunks: Bool
    let isShuttingDown: Bool

    init(choices: UInt8) {
      limits =
        choices & 1 == 0
        ? HandshakeLimits()
        : HandshakeLimits(optionBytesMax: 600, optionsMax: 12, optionBytesKeptMax: 256, outputBytesHigh: 90)
      directory = Directory(hasDefault: choices & 2 == 0)
      isShuttingDown = choices & 4 != 0
      offersChunks = choices & 8 == 0
    }
  }

  /// A handshake and its driver.
  struct Session {
    var handshake: Handshake
    var sent: [UInt8] = []
    var unused: [UInt8] = []
    private let limits: HandshakeLimits

    init(_ setup: Setup) {
      limits = setup.limits
      handshake = Handshake(
        directory: setup.directory, limits: setup.limits, offersChunks: setup.offersChunks)
      handshake.isShuttingDown = setup.isShuttingDown
      handshake.start()
    }

    mutating func feed(_ bytes: [UInt8]) throws(PropertyFailure) {
      unused += bytes
      while true {
        let used = unsafe unused.withUnsafeBytes { unsafe handshake.consume($0) }
        try require((0...unused.count).contains(used), "\(used) of \(unused.count) bytes were taken")
        unused.removeFirst(used)
        let output = handshake.takeOutput()
        // One option more may be answered when the mark is almost reached.
        try require(
          output.count <= limits.outputBytesHigh + Directory.answerBytesMax, "too much output at once")
        sent += output
        guard handshake.outcome == .negotiating, !unused.isEmpty else { return }
        try require(used > 0 || !output.isEmpty, "neither input is taken nor output given")
      }
    }

    func checkOutcome() throws(PropertyFailure) {
      guard case .transmission(let agreed) = handshake.outcome else { return }
      let flags = agreed.export.transmissionFlags
      try require(!agreed.extendedHeaders || agreed.structuredReplies, "extended headers without chunks")
      try require(agreed.contexts.isEmpty || agreed.structuredReplies, "contexts without chunks")
      try require(!flags.contains(.sendDontFragment) || agreed.structuredReplies, "DF without chunks")
      try require(flags.contains(.hasFlags), "transmission flags without the first")
      try require(Set(agreed.contexts.map(\.id)).count == agreed.contexts.count, "equal numbers of contexts")
      try require(!agreed.contexts.contains { $0.id == 0 }, "a context with number 0")
      let offered = Set(agreed.export.metaContexts)
      try require(agreed.contexts.allSatisfy { offered.contains($0.name) }, "a context that is not on offer")
    }
  }

  /// Two exports, one of them with a name that is not ASCII.
  final class Directory: ExportDirectory {
    /// Bytes of the longest answer to one option: three contexts, or all that INFO can tell.
    static let answerBytesMax = 512
    private static let exports = [
      ExportInfo(
        name: "disk", description: "the first", sizeBytes: 1 << 32,
        transmissionFlags: [
          .sendFlush, .sendFUA, .sendTrim, .sendWriteZeroes, .sendDontFragment, .sendFastZero,
        ],
        metaContexts: ["base:allocation", "x-gnomon:tier", "x-gnomon:store"]),
      ExportInfo(
        name: "größe", sizeBytes: 1 << 20, transmissionFlags: [.readOnly], metaContexts: ["base:allocation"]),
    ]
    private let hasDefault: Bool

    init(hasDefault: Bool) {
      self.hasDefault = hasDefault
    }

    func exportNames() -> [String] { Self.exports.map(\.name) }

    func export(named name: String) -> ExportInfo? {
      name.isEmpty ? (hasDefault ? Self.exports[0] : nil) : Self.exports.first { $0.name == name }
    }
  }
}
