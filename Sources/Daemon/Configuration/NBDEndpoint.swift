import HTTPService

/// A place where NBD clients connect, written as they write it.
public enum NBDEndpoint: Sendable, Equatable {
  case unix(path: String)
  case tcp(host: String, port: UInt16)

  /// The port that clients take when none is given.
  public static let standardPort: UInt16 = 10809

  /// Parses `nbd://HOST[:PORT]` or `nbd+unix:///?socket=PATH`; nil if it is neither, or names an export.
  ///
  /// HOST is a name, an IPv4 address or an IPv6 address in brackets; PATH may be percent-encoded. Port 0
  /// takes a free one.
  public init?(parsing text: String) {
    if text.hasPrefix("nbd+unix://") {
      var rest = text.dropFirst(11)
      if rest.hasPrefix("/") { rest = rest.dropFirst() }
      guard rest.hasPrefix("?socket="), !rest.contains("&"), !rest.contains("#"),
        let path = PercentCoding.decode(rest.dropFirst(8).utf8), !path.isEmpty
      else { return nil }
      self = .unix(path: path)
    } else if text.hasPrefix("nbd://") {
      var rest = text.dropFirst(6)
      if rest.hasSuffix("/") { rest = rest.dropLast() }
      guard let (host, port) = Self.split(rest) else { return nil }
      self = .tcp(host: host, port: port)
    } else {
      return nil
    }
  }

  private static func split(_ text: Substring) -> (host: String, port: UInt16)? {
    var host = text
    var port = standardPort
    let bracket = text.lastIndex(of: "]") ?? text.startIndex
    if let colon = text.lastIndex(of: ":"), colon >= bracket {
      host = text[..<colon]
      guard let number = UInt16(text[text.index(after: colon)...]) else { return nil }
      port = number
    }
    if host.hasPrefix("[") {
      guard host.hasSuffix("]") else { return nil }
      host = host.dropFirst().dropLast()
      guard host.contains(":"), host.allSatisfy({ $0.isHexDigit || $0 == ":" || $0 == "." }) else {
        return nil
      }
    } else {
      guard host.allSatisfy({ $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "." || $0 == "-") })
      else { return nil }
    }
    return host.isEmpty ? nil : (String(host), port)
  }

  /// The URI by which a client opens `export` here; nil names no export.
  public func uri(export: String? = nil) -> String {
    let name = export.map { PercentCoding.encode($0) } ?? ""
    switch self {
    case .unix(let path):
      return "nbd+unix:///\(name)?socket=" + PercentCoding.encode(path, keepingSlashes: true)
    case .tcp(let host, let port):
      let shown = host.contains(":") ? "[\(host)]" : host
      return "nbd://\(shown):\(port)" + (export == nil ? "" : "/" + name)
    }
  }
}

extension NBDEndpoint: CustomStringConvertible {
  public var description: String { uri() }
}
