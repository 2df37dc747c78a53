import NBDWire

/// All that a server said in a negotiation, taken apart as a strict client would.
struct ReplyStream {
  private static let greetingBytes = 18
  /// The answer to EXPORT_NAME, which has no header: without and with its padding.
  private static let exportNameAnswers: Set<Int> = [10, 134]
  private static let types: Set<UInt64> = [
    1, 2, 3, 4, 0x8000_0001, 0x8000_0003, 0x8000_0006, 0x8000_0007, 0x8000_0009, 0x8000_000a,
  ]

  private let bytes: [UInt8]

  init(_ bytes: [UInt8]) {
    self.bytes = bytes
  }

  func check(outcome: Handshake.Outcome) throws(PropertyFailure) {
    try require(
      bytes.starts(with: Array("NBDMAGICIHAVEOPT".utf8)) && bytes.count >= Self.greetingBytes, "no greeting")
    var rest = bytes.dropFirst(Self.greetingBytes)
    while !rest.isEmpty {
      guard rest.count >= 20, bigEndian(rest.prefix(8)) == 0x0003_e889_0455_65a9 else {
        // Nothing else may come, and only at the end of the negotiation.
        guard case .transmission = outcome, Self.exportNameAnswers.contains(rest.count) else {
          throw PropertyFailure("\(rest.count) bytes that are no reply")
        }
        return
      }
      let fields = rest.dropFirst(8)
      try require(Self.types.contains(bigEndian(fields.dropFirst(4).prefix(4))), "an unknown reply")
      let length = Int(bigEndian(fields.dropFirst(8).prefix(4)))
      try require(rest.count >= 20 + length, "a reply that is shorter than it says")
      rest = rest.dropFirst(20 + length)
    }
  }
}
