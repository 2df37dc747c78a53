/// The `Host` header of a request that came by TCP.
package enum HostHeader {
  /// Whether the client means this server: it names an address, `localhost`, or the host listened on.
  ///
  /// Any other name may be one that somebody else's name server points here.
  package static func isTrusted(_ value: String, listeningOn host: String) -> Bool {
    var name = value[...]
    if name.hasPrefix("[") {
      guard let end = name.firstIndex(of: "]") else { return false }
      return name[..<end].dropFirst().allSatisfy { $0.isHexDigit || $0 == ":" || $0 == "." }
    }
    if let colon = name.lastIndex(of: ":") { name = name[..<colon] }
    let parts = name.split(separator: ".", omittingEmptySubsequences: false)
    let isAddress = parts.count == 4 && parts.allSatisfy { UInt8($0) != nil }
    return isAddress || name.lowercased() == "localhost" || name == host
  }
}
