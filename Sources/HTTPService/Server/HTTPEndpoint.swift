/// A place where the control API listens.
public enum HTTPEndpoint: Sendable, Equatable {
  /// A unix socket that only the daemon's own user may connect to.
  case unix(path: String)
  /// TCP; nothing but the address protects it, so it is meant for the loopback.
  case tcp(host: String, port: UInt16)

  /// Parses `unix:PATH` or `http://HOST:PORT`; nil if it is neither.
  ///
  /// HOST is an IPv4 address, an IPv6 address in brackets, or `localhost`. PORT 0 takes a free one.
  public init?(parsing text: String) {
    if text.hasPrefix("unix:") {
      let path = text.dropFirst(5)
      guard !path.isEmpty, !path.utf8.contains(0) else { return nil }
      self = .unix(path: String(path))
    } else if text.hasPrefix("http://") {
      var rest = text.dropFirst(7)
      if rest.hasSuffix("/") { rest = rest.dropLast() }
      guard let colon = rest.lastIndex(of: ":"), let port = UInt16(rest[rest.index(after: colon)...])
      else { return nil }
      var host = rest[..<colon]
      if host.hasPrefix("["), host.hasSuffix("]") {
        host = host.dropFirst().dropLast()
        guard host.contains(":") else { return nil }
      } else if host.contains(":") {
        return nil
      }
      guard !host.isEmpty, host.utf8.allSatisfy(Self.isHostByte) else { return nil }
      self = .tcp(host: String(host), port: port)
    } else {
      return nil
    }
  }

  private static func isHostByte(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"),
      UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: ":"):
      true
    default: false
    }
  }

  /// Whether only this machine can connect.
  public var isLocal: Bool {
    switch self {
    case .unix: true
    case .tcp(let host, _): host == "localhost" || host == "::1" || host.hasPrefix("127.")
    }
  }
}

extension HTTPEndpoint: CustomStringConvertible {
  public var description: String {
    switch self {
    case .unix(let path): "unix:" + path
    case .tcp(let host, let port): host.contains(":") ? "http://[\(host)]:\(port)" : "http://\(host):\(port)"
    }
  }
}
