/// A resource of the API, as named by a path.
package enum Route: Sendable, Equatable {
  case pool
  case status
  case stores
  case store(name: String)
  case volumes
  case volume(name: String)

  /// Parses a path that is still percent-encoded; nil if it names nothing.
  package init?(path: String) {
    let parts = path.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
    guard parts.count == 3 || parts.count == 4, parts[0].isEmpty, String(parts[1]) == "v1" else { return nil }
    let collection = String(parts[2])
    if parts.count == 3 {
      switch collection {
      case "pool": self = .pool
      case "status": self = .status
      case "stores": self = .stores
      case "volumes": self = .volumes
      default: return nil
      }
    } else {
      // A longer name is nobody's, and to compare it with others would take a while.
      guard let name = PercentCoding.decode(parts[3]),
        (1...Validation.nameBytesMax).contains(name.utf8.count)
      else { return nil }
      switch collection {
      case "stores": self = .store(name: name)
      case "volumes": self = .volume(name: name)
      default: return nil
      }
    }
  }

  /// What can be done to it; HEAD goes wherever GET goes.
  package var methods: [String] {
    switch self {
    case .pool, .status: ["GET", "HEAD"]
    case .stores, .volumes: ["GET", "HEAD", "POST"]
    case .store: ["GET", "HEAD", "DELETE"]
    case .volume: ["GET", "HEAD", "PATCH", "DELETE"]
    }
  }
}
