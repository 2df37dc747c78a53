import Daemon
import HTTPService
import Platform
import Primitives

/// The configuration file.
///
/// Property: what was accepted is within its bounds, for it is accepted again, and as the same, when every
/// key of it is written out.
enum ConfigurationTarget {
  @Sendable static func run(_ input: [UInt8]) throws(PropertyFailure) {
    guard let configuration = read(input) else { return }
    let text = JSONWriter.text(of: json(of: configuration))
    guard let again = read(Array(text.utf8)) else {
      throw PropertyFailure("a configuration that was accepted is refused: \(text)")
    }
    // Writing it out made the default explicit.
    var expected = configuration
    expected.listenIsExplicit = true
    try require(again == expected, "a configuration changes when it is written and read: \(text)")
  }

  private static func read(_ text: [UInt8]) -> Configuration? {
    do throws(GnomonError) {
      var reader = ConfigurationReader(defaults: Configuration(directory: "/pool"))
      try reader.read(text)
      try reader.configuration.check()
      return reader.configuration
    } catch {
      return nil
    }
  }

  private static func json(of configuration: Configuration) -> JSONValue {
    let limits = configuration.limits
    func texts(_ values: [some CustomStringConvertible]) -> JSONValue {
      .array(values.map { .string($0.description) })
    }
    func number(_ value: some BinaryInteger) -> JSONValue { .integer(Int64(value)) }
    return .object([
      "listen": texts(configuration.listen), "reactors": number(configuration.reactors),
      "readOnly": texts(configuration.readOnly),
      "api": .object([
        "listen": texts(configuration.api.listen), "remote": .boolean(configuration.api.remote),
      ]),
      "log": .object(["level": .string(configuration.log.level.name)]),
      "limits": .object([
        "connections": number(limits.connections), "handshakeSeconds": number(limits.handshakeSeconds),
        "requestsPerConnection": number(limits.requestsPerConnection),
        "requestsPerReactor": number(limits.requestsPerReactor),
        "bytesPerConnection": number(limits.bytesPerConnection),
        "bytesPerReactor": number(limits.bytesPerReactor),
      ]),
      "nbd": .object([
        "structuredReplies": .boolean(configuration.nbd.structuredReplies),
        "busyPollMicroseconds": number(configuration.nbd.busyPollMicroseconds),
      ]),
      "volumes": .object(["extent": number(configuration.volumes.extentBytes)]),
    ])
  }
}
