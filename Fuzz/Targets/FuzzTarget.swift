/// Code that takes bytes from strangers, and what must hold for any bytes.
///
/// A target is an ordinary function, so that the coverage-guided fuzzer and the test suite, which replays
/// the corpus, run the very same code. A property that does not hold is thrown; a trap speaks for itself.
package struct FuzzTarget: Sendable {
  /// Also the name of its folder in `Fuzz/corpus`.
  package let name: String
  /// Checks every property with one input.
  package let run: @Sendable (_ input: [UInt8]) throws(PropertyFailure) -> Void

  /// Every target, by name.
  package static let all: [FuzzTarget] = [
    FuzzTarget(name: "address", run: AddressTarget.run),
    FuzzTarget(name: "api", run: APITarget.run),
    FuzzTarget(name: "block-status", run: BlockStatusTarget.run),
    FuzzTarget(name: "configuration", run: ConfigurationTarget.run),
    FuzzTarget(name: "handshake", run: HandshakeTarget.run),
    FuzzTarget(name: "json", run: JSONTarget.run),
    FuzzTarget(name: "remote", run: RemoteTarget.run),
    FuzzTarget(name: "request", run: RequestTarget.run),
    FuzzTarget(name: "response", run: ResponseTarget.run),
    FuzzTarget(name: "smartctl", run: SmartctlTarget.run),
  ]

  /// The target of that name.
  package static func named(_ name: String) -> FuzzTarget? {
    all.first { $0.name == name }
  }
}

/// A property that an input broke.
package struct PropertyFailure: Error, CustomStringConvertible {
  /// One sentence about what should have held.
  package let description: String

  init(_ description: String) {
    self.description = description
  }
}

/// Throws unless the property holds.
func require(
  _ property: Bool, _ description: @autoclosure () -> String
) throws(PropertyFailure) {
  guard property else { throw PropertyFailure(description()) }
}
