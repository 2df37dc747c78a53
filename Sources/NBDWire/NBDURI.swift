/// Where an NBD server is and which of its exports is meant, as NBD clients write it (NetworkBlockDevice/nbd
/// doc/uri.md):
///
/// ```
/// nbd://host[:port][/export]              TCP; an IPv6 address stands in brackets
/// nbd+unix:///[export]?socket=PATH        Unix socket
/// ```
public struct NBDURI: Hashable, Sendable {
  /// How the server is reached.
  public enum Endpoint: Hashable, Sendable {
    /// `host` is a name or an address, without brackets; empty if the URI names none.
    case tcp(host: String, port: UInt16)
    case unix(path: String)
  }

  /// Where the server listens.
  public var endpoint: Endpoint
  /// Empty: the default export.
  public var exportName: String

  /// An export of the server at `endpoint`.
  public init(_ endpoint: Endpoint, exportName: String = "") {
    self.endpoint = endpoint
    self.exportName = exportName
  }

  /// Parses a URI. The parts are percent-decoded; everything that is not understood is an error.
  public init(parsing text: String) throws(NBDURIError) {
    // RFC 3986 section 2: a URI is ASCII. It also keeps a combining character from hiding a delimiter.
    guard text.utf8.allSatisfy({ $0 < 0x80 }) else { throw .notASCII }
    guard let schemeEnd = text.utf8.firstRange(of: "://".utf8) else { throw .notAnNBDURI(text) }
    let scheme = text[..<schemeEnd.lowerBound].lowercased()
    let rest = text[schemeEnd.upperBound...]
    switch scheme {
    case "nbd", "nbd+unix": break
    case "nbds", "nbds+unix": throw .tlsNotSupported
    default: throw .notAnNBDURI(text)
    }
    guard !rest.utf8.contains(UInt8(ascii: "#")) else { throw .unexpectedFragment }

    let hierarchy = rest.prefix { $0 != "?" }
    let authority = hierarchy.prefix { $0 != "/" }
    // Only the first slash separates: `nbd://host//disk` names the export `/disk`.
    exportName = try Self.decode(hierarchy.dropFirst(authority.count + 1))
    guard exportName.utf8.count <= NBDLimits.stringBytesMax else { throw .exportNameTooLong }
    let socket = try Self.socket(in: rest.dropFirst(hierarchy.count + 1))

    if scheme == "nbd+unix" {
      guard authority.isEmpty else { throw .unexpectedHost(String(authority)) }
      guard let socket, !socket.isEmpty else { throw .missingSocket }
      endpoint = .unix(path: socket)
    } else {
      guard socket == nil else { throw .unexpectedSocket }
      endpoint = try Self.address(authority)
    }
  }

  /// The value of the only parameter that there is.
  private static func socket(in query: Substring) throws(NBDURIError) -> String? {
    var socket: String?
    for parameter in query.split(separator: "&") {
      let key = parameter.prefix { $0 != "=" }
      guard key == "socket", socket == nil else { throw .unknownParameter(String(key)) }
      socket = try decode(parameter.dropFirst(key.count + 1))
    }
    return socket
  }

  /// Takes `host`, `host:port`, `[address]` or `[address]:port` apart.
  private static func address(_ authority: Substring) throws(NBDURIError) -> Endpoint {
    guard !authority.contains("@") else { throw .unexpectedUser }
    let host: Substring
    let rest: Substring
    if authority.first == "[" {
      guard let close = authority.firstIndex(of: "]") else { throw .malformedHost(String(authority)) }
      host = authority[..<close].dropFirst()
      rest = authority[close...].dropFirst()
      guard !host.isEmpty, rest.isEmpty || rest.first == ":" else {
        throw .malformedHost(String(authority))
      }
    } else {
      host = authority.prefix { $0 != ":" }
      rest = authority.dropFirst(host.count)
    }
    // RFC 3986 section 3.2.3: a port may be empty, and then stands for the default.
    var port = NBDLimits.portDefault
    let digits = rest.dropFirst()
    if !digits.isEmpty {
      guard digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let number = UInt16(digits) else {
        throw .malformedPort(String(digits))
      }
      port = number
    }
    return .tcp(host: try decode(host), port: port)
  }

  /// Undoes percent-encoding; the result must be UTF-8 without NUL.
  private static func decode(_ text: Substring) throws(NBDURIError) -> String {
    var bytes: [UInt8] = []
    var digits: [UInt8] = []
    for byte in text.utf8 {
      if digits.isEmpty, byte != UInt8(ascii: "%") {
        bytes.append(byte)
        continue
      }
      digits.append(byte)
      guard digits.count == 3 else { continue }
      guard let high = hexValue(digits[1]), let low = hexValue(digits[2]) else {
        throw .malformedEscape(String(text))
      }
      bytes.append(high << 4 | low)
      digits = []
    }
    guard digits.isEmpty, !bytes.contains(0), let decoded = String(validating: bytes, as: UTF8.self) else {
      throw .malformedEscape(String(text))
    }
    return decoded
  }

  private static func hexValue(_ digit: UInt8) -> UInt8? {
    switch digit {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
    case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
    case UInt8(ascii: "A")...UInt8(ascii: "F"): digit - UInt8(ascii: "A") + 10
    default: nil
    }
  }
}

extension NBDURI: CustomStringConvertible {
  /// The URI; parsing it gives an equal value.
  public var description: String {
    let name = Self.encode(exportName, keeping: "/:@")
    switch endpoint {
    case .unix(let path):
      return "nbd+unix:///\(name)?socket=\(Self.encode(path, keeping: "/:@"))"
    case .tcp(let host, let port):
      let shown = host.contains(":") ? "[\(Self.encode(host, keeping: ":"))]" : Self.encode(host, keeping: "")
      let portSuffix = port == NBDLimits.portDefault ? "" : ":\(port)"
      return "nbd://\(shown)\(portSuffix)" + (name.isEmpty ? "" : "/" + name)
    }
  }

  /// Percent-encodes everything but RFC 3986's unreserved characters and those of `kept`.
  private static func encode(_ text: String, keeping kept: String) -> String {
    let digits = Array("0123456789ABCDEF")
    var encoded = ""
    for byte in text.utf8 {
      let isAlphanumeric =
        (0x30...0x39).contains(byte) || (0x41...0x5a).contains(byte) || (0x61...0x7a).contains(byte)
      if isAlphanumeric || "-._~".utf8.contains(byte) || kept.utf8.contains(byte) {
        encoded.unicodeScalars.append(Unicode.Scalar(byte))
      } else {
        encoded += "%\(digits[Int(byte >> 4)])\(digits[Int(byte & 15)])"
      }
    }
    return encoded
  }
}
