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
  case load(LoadSubject)
  case forecast(LoadSubject)
  case heatMap(volume: String)
  case prediction
  case plan
  case why(volume: String, offset: UInt64)
  case hints
  case hint(number: Int)

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
      } else if parts.count == 5, let route = Self.load(of: name, in: collection, parts[4]) {
        self = route
      } else if collection == "volumes", parts.count == 6, parts[4].elementsEqual("why".utf8) {
        guard let text = PercentCoding.decode(parts[5]), let offset = UInt64(text) else { return nil }
        self = .why(volume: name, offset: offset)
      } else {
        guard collection == "volumes", parts[4].elementsEqual("extents".utf8),
          let extents = parts.count == 6 ? PercentCoding.decode(parts[5]) : "all"
        else { return nil }
        self = .extents(volume: name, extents: extents)
      }
    }
  }

  /// What is known of a volume's or store's load.
  private static func load(of name: String, in collection: String, _ what: Substring.UTF8View) -> Route? {
    let subject: LoadSubject
    switch collection {
    case "volumes": subject = .volume(name)
    case "stores": subject = .store(name)
    default: return nil
    }
    if what.elementsEqual("load".utf8) { return .load(subject) }
    if what.elementsEqual("forecast".utf8) { return .forecast(subject) }
    if what.elementsEqual("heatmap".utf8), collection == "volumes" { return .heatMap(volume: name) }
    return nil
  }

  /// The parameters that a route takes.
  var queries: [String] {
    switch self {
    case .load: ["window"]
    case .forecast: ["horizon", "metric"]
    case .heatMap: ["span"]
    default: []
    }
  }

  /// All parameters that there are.
  static let queryNames = ["horizon", "metric", "span", "window"]

  private init?(collection: String) {
    switch collection {
    case "pool": self = .pool
    case "status": self = .status
    case "stores": self = .stores
    case "volumes": self = .volumes
    case "jobs": self = .jobs
    case "scrub": self = .scrub
    case "prediction": self = .prediction
    case "plan": self = .plan
    case "hints": self = .hints
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
    case "hints":
      guard let number = Int(name) else { return nil }
      self = .hint(number: number)
    default: return nil
    }
  }

  /// What can be done to it; HEAD goes wherever GET goes.
  package var methods: [String] {
    switch self {
    case .pool, .status, .health, .storeHealth, .extents, .load, .forecast, .heatMap, .prediction, .why:
      ["GET", "HEAD"]
    case .stores, .volumes, .jobs, .hints, .plan: ["GET", "HEAD", "POST"]
    case .job, .hint: ["GET", "HEAD", "DELETE"]
    case .scrub: ["GET", "HEAD", "POST", "DELETE"]
    case .store, .volume: ["GET", "HEAD", "PATCH", "DELETE"]
    }
  }
}
