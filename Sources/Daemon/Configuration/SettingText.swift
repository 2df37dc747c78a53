import HTTPService
import Platform
import Primitives

extension Setting {
  /// What a value may be, in words.
  var allowed: String {
    switch kind {
    case .integer(_, let bounds):
      "a whole number from \(bounds.lowerBound) to \(bounds.upperBound)"
    case .size(_, let bounds):
      "a size from \(Self.size(bounds.lowerBound)) to \(Self.size(bounds.upperBound))"
    case .extent:
      "a power of two from \(Self.size(ExtentSize.minimum)) to \(Self.size(ExtentSize.maximum))"
    case .flag:
      "true or false"
    case .text:
      "a text that is not empty"
    case .level:
      Log.Level.allCases.map { "\"\($0.name)\"" }.joined(separator: ", ")
    case .nbdEndpoints, .httpEndpoints, .volumeNames:
      "a list of \(countBounds.lowerBound) to \(countBounds.upperBound): \(allowedItem)"
    }
  }

  /// What one value of a list may be, in words.
  var allowedItem: String {
    switch kind {
    case .nbdEndpoints: "\"nbd://HOST:PORT\" or \"nbd+unix:///?socket=PATH\""
    case .httpEndpoints: "\"unix:PATH\" or \"http://HOST:PORT\""
    case .volumeNames: "names of volumes"
    default: allowed
    }
  }

  /// How many values a list may have.
  var countBounds: ClosedRange<Int> {
    switch kind {
    case .nbdEndpoints, .httpEndpoints: 1...Self.endpointsMax
    default: 0...4096
    }
  }

  /// The value that `configuration` has, as it would be written in the file.
  func value(in configuration: Configuration) -> String {
    switch kind {
    case .integer(let source, _): "\(configuration[keyPath: source])"
    case .size(let source, _), .extent(let source): "\"\(Self.size(configuration[keyPath: source]))\""
    case .flag(let source): "\(configuration[keyPath: source])"
    case .text(let source): "\"\(configuration[keyPath: source])\""
    case .level(let source): "\"\(configuration[keyPath: source].name)\""
    case .nbdEndpoints(let source): Self.list(configuration[keyPath: source].map(\.description))
    case .httpEndpoints(let source): Self.list(configuration[keyPath: source].map(\.description))
    case .volumeNames(let source): Self.list(configuration[keyPath: source])
    }
  }

  private static func list(_ texts: [String]) -> String {
    "[" + texts.map { "\"\($0)\"" }.joined(separator: ", ") + "]"
  }

  /// A size as it is written in the file: `40M`.
  private static func size(_ bytes: UInt64) -> String {
    for (shift, unit) in [(UInt64(30), "G"), (20, "M"), (10, "K")] where bytes.trailingZeroBitCount >= shift {
      return "\(bytes >> shift)\(unit)"
    }
    return "\(bytes)"
  }
}
