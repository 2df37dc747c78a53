import HTTPService
import Platform
package import Primitives

/// Applies a configuration file's text to a configuration, key by key.
///
/// Every error names the key by its path and says what is allowed.
package struct ConfigurationReader {
  /// The defaults with everything that was read.
  package private(set) var configuration: Configuration
  private let settings = Setting.all

  /// Begins with what holds where the file says nothing.
  package init(defaults: Configuration) {
    configuration = defaults
  }

  /// Reads a whole file.
  package mutating func read(_ text: [UInt8]) throws(GnomonError) {
    try read(object: JSONValue(parsing: text, json5: true), at: "")
  }

  /// Reads the value of one key, from wherever it comes.
  mutating func set(_ path: String, to value: JSONValue) throws(GnomonError) {
    guard let setting = settings.first(where: { $0.path == path }) else {
      preconditionFailure("no setting \(path)")
    }
    try apply(value, to: setting)
  }

  private mutating func read(object: JSONValue, at prefix: String) throws(GnomonError) {
    guard case .object(let fields) = object else {
      let place = prefix.isEmpty ? "the file" : "'\(prefix)'"
      throw GnomonError(.invalid, "\(place) must hold an object", cause: "it is \(object.kind)")
    }
    let start = prefix.isEmpty ? "" : prefix + "."
    // Sorted, so that the same file gives the same message.
    for (name, value) in fields.sorted(by: { $0.key < $1.key }) {
      let path = start + name
      if let setting = settings.first(where: { $0.path == path }) {
        try apply(value, to: setting)
      } else if settings.contains(where: { $0.path.hasPrefix(path + ".") }), !name.contains(".") {
        try read(object: value, at: path)
      } else {
        throw unknown(path, under: start)
      }
    }
  }

  private func unknown(_ path: String, under start: String) -> GnomonError {
    // Misspelt, or right but in the wrong section.
    let paths = settings.map(\.path)
    let name = path.split(separator: ".").last.map(String.init) ?? path
    let siblings = paths.filter { $0.hasPrefix(start) }.map { sibling in
      start + (sibling.dropFirst(start.count).split(separator: ".").first.map(String.init) ?? "")
    }
    var allowed: [String] = []
    for sibling in siblings where !allowed.contains(sibling) { allowed.append(sibling) }
    let elsewhere = paths.first { $0.split(separator: ".").last.map(String.init) == name }
    let guess = NearestName.suggestion(for: path, among: allowed + paths) ?? elsewhere
    return GnomonError(
      .invalid, "unknown key '\(path)'",
      remedy: guess.map { "did you mean '\($0)'?" } ?? "allowed: " + allowed.joined(separator: ", "))
  }

  private mutating func apply(_ value: JSONValue, to setting: Setting) throws(GnomonError) {
    switch setting.kind {
    case .integer(let target, let bounds):
      guard case .integer(let number) = value, let small = Int(exactly: number), bounds.contains(small)
      else { throw wrong(value, setting.path, setting.allowed) }
      configuration[keyPath: target] = small
    case .size(let target, let bounds):
      guard let bytes = Self.bytes(value), bounds.contains(bytes) else {
        throw wrong(value, setting.path, setting.allowed)
      }
      configuration[keyPath: target] = bytes
    case .extent(let target):
      guard let bytes = Self.bytes(value), (try? Validation.checkExtent(bytes)) != nil else {
        throw wrong(value, setting.path, setting.allowed)
      }
      configuration[keyPath: target] = bytes
    case .flag(let target):
      guard case .boolean(let flag) = value else { throw wrong(value, setting.path, setting.allowed) }
      configuration[keyPath: target] = flag
    case .text(let target):
      guard case .string(let text) = value, !text.isEmpty, !text.utf8.contains(0) else {
        throw wrong(value, setting.path, setting.allowed)
      }
      configuration[keyPath: target] = text
    case .level(let target):
      guard case .string(let name) = value, let level = Log.Level(named: name) else {
        throw wrong(value, setting.path, setting.allowed)
      }
      configuration[keyPath: target] = level
    case .nbdEndpoints(let target):
      configuration[keyPath: target] = try list(value, setting) { try NBDEndpoint(checking: $0) }
      if target == \.listen { configuration.listenIsExplicit = true }
    case .httpEndpoints(let target):
      configuration[keyPath: target] = try list(value, setting) { HTTPEndpoint(parsing: $0) }
    case .volumeNames(let target):
      configuration[keyPath: target] = try list(value, setting) { name in
        try Validation.checkName(name, of: "volume")
        return name
      }
    }
  }

  private func list<Item: Equatable>(
    _ value: JSONValue, _ setting: Setting, _ parse: (String) throws -> Item?
  ) throws(GnomonError) -> [Item] {
    guard case .array(let values) = value else { throw wrong(value, setting.path, setting.allowed) }
    guard (setting.countBounds).contains(values.count) else {
      throw GnomonError(
        .invalid, "wrong number of values of '\(setting.path)': \(values.count)",
        remedy: "allowed: \(setting.allowed)")
    }
    var items: [Item] = []
    for (index, value) in values.enumerated() {
      let path = "\(setting.path)[\(index)]"
      guard case .string(let text) = value else { throw wrong(value, path, setting.allowedItem) }
      let item: Item
      do {
        guard let parsed = try parse(text) else { throw wrong(value, path, setting.allowedItem) }
        item = parsed
      } catch {
        var error = error as? GnomonError ?? wrong(value, path, setting.allowedItem, because: "\(error)")
        error.message = "wrong value of '\(path)'"
        throw error
      }
      guard !items.contains(item) else {
        throw GnomonError(.invalid, "'\(path)' is there already: \(text)", remedy: "name it once")
      }
      items.append(item)
    }
    return items
  }

  private static func bytes(_ value: JSONValue) -> UInt64? {
    switch value {
    case .integer(let number): UInt64(exactly: number)
    case .string(let text): ByteSize(parsing: text)?.rawValue
    default: nil
    }
  }

  private func wrong(
    _ value: JSONValue, _ path: String, _ allowed: String, because cause: String? = nil
  ) -> GnomonError {
    GnomonError(
      .invalid, "wrong value of '\(path)'", cause: cause ?? "it is \(value.summary)",
      remedy: "allowed: \(allowed)")
  }
}
