import HTTPService
import Primitives

extension StoreRequest {
  static let form = "NAME=PATH,size=SIZE,tier=N"
  static let keys = ["size", "tier", "region", "zone", "node", "cost", "cache"]

  /// Reads and checks a store from the command line; a relative path is taken from `workingDirectory`.
  init(spec text: String, workingDirectory: String, force: Bool = false) throws(GnomonError) {
    let spec = try SpecText(parsing: text, kind: "store", form: Self.form, allowed: Self.keys)
    func wrong(_ key: String, _ remedy: String) -> GnomonError {
      GnomonError(
        .invalid, "store '\(spec.name)': wrong \(key) '\(spec.keys[key] ?? "")'", remedy: remedy)
    }
    let kind = Self.kind(ofPlace: spec.value)
    // An export has a size already: 0 stands for it.
    guard let sizeText = spec.keys["size"] ?? (kind == .nbd ? "0" : nil) else {
      throw GnomonError(
        .invalid, "store '\(spec.name)' has no size", remedy: "add ,size=SIZE, for example ,size=100G")
    }
    guard let size = ByteSize(parsing: sizeText) else { throw wrong("size", ByteSize.hint) }
    guard let tier = Int(spec.keys["tier"] ?? "0") else {
      throw wrong("tier", "give a number from 0 (fastest)")
    }
    guard let cost = Double(spec.keys["cost"] ?? "0") else { throw wrong("cost", "give a number") }
    guard let cache = CacheMode(rawValue: spec.keys["cache"] ?? CacheMode.direct.rawValue) else {
      throw wrong("cache", "allowed: " + CacheMode.allCases.map(\.rawValue).joined(separator: ", "))
    }
    self.init(
      name: spec.name, kind: kind,
      path: kind == .file ? AbsolutePath.of(spec.value, from: workingDirectory) : spec.value,
      sizeBytes: size.rawValue,
      tier: tier, region: spec.keys["region"] ?? "", zone: spec.keys["zone"] ?? "",
      node: spec.keys["node"] ?? "", cost: cost, cache: cache, force: force)
    try Validation.check(self)
  }

  /// What kind of place a text means: a URI of NBD, memory, or else a path.
  private static func kind(ofPlace text: String) -> StoreKind {
    if text == memoryPlace { return .memory }
    let scheme = text.firstRange(of: "://").map { text[..<$0.lowerBound].lowercased() }
    return ["nbd", "nbd+unix", "nbds", "nbds+unix"].contains(scheme) ? .nbd : .file
  }
}

extension VolumeRequest {
  static let form = "NAME=SIZE"
  static let keys = ["extent", "copies", "across", "protection", "errors", "pin", "never"]

  /// Reads and checks a volume from the command line.
  ///
  /// - Parameter options: keys that were given as options instead.
  init(spec text: String, options: [String: String] = [:]) throws(GnomonError) {
    let spec = try SpecText(
      parsing: text, kind: "volume", form: "NAME=SIZE[,KEY=VALUE]", allowed: Self.keys)
    if let key = Self.keys.first(where: { spec.keys[$0] != nil && options[$0] != nil }) {
      throw GnomonError(.invalid, "volume '\(spec.name)': '\(key)' is given twice")
    }
    let keys = spec.keys.merging(options) { said, _ in said }
    guard let size = ByteSize(parsing: spec.value) else {
      throw GnomonError(
        .invalid, "volume '\(spec.name)': wrong size '\(spec.value)'", remedy: ByteSize.hint)
    }
    var extent: ByteSize?
    if let text = keys["extent"] {
      extent = ByteSize(parsing: text)
      guard extent != nil else {
        throw GnomonError(
          .invalid, "volume '\(spec.name)': wrong extent '\(text)'", remedy: "for example extent=1M")
      }
    }
    let settings = try VolumeSettings(words: keys)
    self.init(
      name: spec.name, sizeBytes: size.rawValue, extentBytes: extent?.rawValue,
      redundancy: settings.redundancy, tiers: settings.tiers)
    try Validation.check(self)
  }
}

extension VolumeSettings {
  /// Reads and checks the words of the command line, by their keys; what is not there stays.
  init(words: [String: String]) throws(GnomonError) {
    self.init(
      redundancy: try RedundancyChange(
        copies: words["copies"], across: words["across"], protection: words["protection"],
        errors: words["errors"]),
      tiers: try TierRulesChange(pin: words["pin"], never: words["never"]))
  }
}

extension TierRulesChange {
  /// Reads and checks the words of the command line; what is nil stays.
  init(pin: String?, never: String?) throws(GnomonError) {
    func wrong(_ name: String, _ text: String, _ remedy: String) -> GnomonError {
      GnomonError(.invalid, "wrong \(name) '\(text)'", remedy: remedy)
    }
    self.init()
    if let pin {
      if pin == TierRules.noneWord {
        self.pin = .anywhere
      } else if let tier = Tier.parse(pin) {
        self.pin = .tier(tier)
      } else {
        throw wrong("pin", pin, Self.hint)
      }
    }
    if let text = never {
      guard let tiers = TierSet(parsing: text) else {
        throw wrong("never", text, Self.hint + "; several as tier0,tier2")
      }
      self.never = tiers
    }
    try Validation.check(self)
  }
}

extension RedundancyChange {
  /// Reads and checks the words of the command line; what is nil stays.
  init(copies: String?, across: String?, protection: String?, errors: String?) throws(GnomonError) {
    func choice<Choice: RawRepresentable<String> & CaseIterable>(
      _ name: String, _ text: String?
    ) throws(GnomonError) -> Choice? {
      guard let text else { return nil }
      guard let choice = Choice(rawValue: text) else {
        throw GnomonError(
          .invalid, "wrong \(name) '\(text)'",
          remedy: "allowed: " + Choice.allCases.map(\.rawValue).joined(separator: ", "))
      }
      return choice
    }
    if let copies, Int(copies) == nil {
      throw GnomonError(
        .invalid, "wrong copies '\(copies)'", remedy: "give a number from 1 to \(Redundancy.copiesMax)")
    }
    self.init(
      copies: copies.flatMap(Int.init), across: try choice("across", across),
      protection: try choice("protection", protection), errors: try choice("errors", errors))
    try Validation.check(self)
  }
}

extension ByteSize {
  /// How to write a size, for messages.
  static let hint = "a size is written like 4096, 512M, 10G, 10GiB or 1.5T"
}

/// Makes paths independent of the working directory.
enum AbsolutePath {
  /// Without a trailing slash; links and `..` stay as they are.
  static func of(_ path: String, from workingDirectory: String) -> String {
    var result = path.hasPrefix("/") ? path : workingDirectory + "/" + path
    while result.count > 1, result.hasSuffix("/") { result.removeLast() }
    return result
  }
}
