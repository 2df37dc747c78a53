import HTTPService
import NBDWire

/// A place where NBD clients connect, written as they write it.
public enum NBDEndpoint: Sendable, Equatable {
  case unix(path: String)
  case tcp(host: String, port: UInt16)

  /// Parses `nbd://HOST[:PORT]` or `nbd+unix:///?socket=PATH`; nil if it is neither, or names an export.
  public init?(parsing text: String) {
    try? self.init(checking: text)
  }

  /// Like `init(parsing:)`, but says what is wrong.
  init(checking text: String) throws(NBDURIError) {
    let uri = try NBDURI(parsing: text)
    guard uri.exportName.isEmpty else { throw .notAnNBDURI(text) }
    switch uri.endpoint {
    case .unix(let path):
      self = .unix(path: path)
    case .tcp(let host, let port):
      guard !host.isEmpty else { throw .malformedHost(host) }
      self = .tcp(host: host, port: port)
    }
  }

  /// The URI by which a client opens `export` here; nil names no export.
  public func uri(export: String? = nil) -> String {
    let name = export.map { PercentCoding.encode($0) } ?? ""
    switch self {
    case .unix(let path):
      return "nbd+unix:///\(name)?socket=" + PercentCoding.encode(path, keepingSlashes: true)
    case .tcp(let host, let port):
      // An IPv6 address keeps its colons, and is put in brackets for them.
      let parts = host.split(separator: ":", omittingEmptySubsequences: false)
      let escaped = parts.map { PercentCoding.encode(String($0)) }.joined(separator: ":")
      let shown = parts.count > 1 ? "[\(escaped)]" : escaped
      return "nbd://\(shown):\(port)" + (export == nil ? "" : "/" + name)
    }
  }
}

extension NBDEndpoint: CustomStringConvertible {
  /// `uri()` of no export.
  public var description: String { uri() }
}
