/// A resource of the API, as named by a path.
package enum Route: Sendable, Equatable {
  case pool
  case status
  case stores
  case store(name: String)
  case storeHealth(name: String)
  case health
  case volumes
  case volume(name: String)
  case extents(volume: String, extents: String)
  case jobs
  case job(number: Int)
  case scrub

  /// Parses a path that is still percent-encoded; nil if it names nothing.
  package init?(path: String) {
    let parts = path.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
    guard (3...6).contains(parts.count), parts[0].isEmpty, parts[1].elementsEqual("v1".utf8) else {
      return nil
    }
    let collection = String(decoding: parts[2], as: UTF8.self)
    if parts.count == 3 {
      self.init(collection: collection)
    } else {
      // A longer name is nobody's, and to compare it with others would take a while.
      guard let name = PercentCoding.decode(parts[3]),
        (1...Validation.nameBytesMax).contains(name.utf8.count)
      else { return nil }
      if parts.count == 4 {
        self.init(collection: collection, name: name)
      } else if collection == "stores", parts.count == 5, parts[4].elementsEqual("health".utf8) {
        self = .storeHealth(name: name)
      } else {
        guard collection == "volumes", parts[4].elementsEqual("extents".utf8),
          let extents = parts.count == 6 ? PercentCoding.decode(parts[5]) : "all"
        else { return nil }
        self = .extents(volume: name, extents: extents)
      }
    }
  }

  private init?(collection: String) {
    switch collection {
    case "pool": self = .pool
    case "status": self = .status
    case "stores": self = .stores
    case "volumes": self = .volumes
    case "jobs": self = .jobs
    case "scrub": self = .scrub
    case "health": self = .health
    default: return nil
    }
  }

  private init?(collection: String, name: String) {
    switch collection {
    case "stores": self = .store(name: name)
    case "volumes": self = .volume(name: name)
    case "jobs":
      guard let number = Int(name) else { return nil }
      self = .job(number: number)
    default: return nil
    }
  }

  /// What can be done to it; HEAD goes wherever GET goes.
  package var methods: [String] {
    switch self {
    case .pool, .status, .health, .storeHealth, .extents: ["GET", "HEAD"]
    case .stores, .volumes, .jobs: ["GET", "HEAD", "POST"]
    case .job: ["GET", "HEAD", "DELETE"]
    case .scrub: ["GET", "HEAD", "POST", "DELETE"]
    case .store, .volume: ["GET", "HEAD", "PATCH", "DELETE"]
    }
  }
}
