package import Primitives

extension StoreRequest {
  static let fields = [
    "name", "kind", "path", "sizeBytes", "tier", "region", "zone", "node", "cost", "cache", "force",
  ]

  /// Reads and checks the body of `POST /v1/stores`.
  package init(json: JSONValue) throws(GnomonError) {
    let fields = try JSONFields(json, allowed: Self.fields)
    let kind: StoreKind = try fields.choice("kind") ?? .file
    let sizeBytes = try fields.bytes("sizeBytes")
    self.init(
      name: try fields.required("name", fields.string("name")),
      kind: kind,
      path: try fields.required("path", fields.string("path") ?? (kind == .memory ? Self.memoryPlace : nil)),
      sizeBytes: try fields.required("sizeBytes", sizeBytes ?? (kind == .nbd ? 0 : nil)),
      tier: try fields.integer("tier") ?? 0,
      region: try fields.string("region") ?? "",
      zone: try fields.string("zone") ?? "",
      node: try fields.string("node") ?? "",
      cost: try fields.number("cost") ?? 0,
      cache: try fields.choice("cache") ?? .direct,
      force: try fields.boolean("force") ?? false)
    try Validation.check(self)
  }
}

extension StoreChange {
  static let fields = ["draining"]

  /// Reads the body of `PATCH /v1/stores/{name}`.
  package init(json: JSONValue) throws(GnomonError) {
    let fields = try JSONFields(json, allowed: Self.fields)
    self.init(draining: try fields.required("draining", fields.boolean("draining")))
  }
}

extension VolumeRequest {
  static let fields = [
    "name", "sizeBytes", "extentBytes", "readOnly", "copies", "across", "protection", "errors", "pin",
    "never",
  ]

  /// Reads and checks the body of `POST /v1/volumes`.
  package init(json: JSONValue) throws(GnomonError) {
    let fields = try JSONFields(json, allowed: Self.fields)
    self.init(
      name: try fields.required("name", fields.string("name")),
      sizeBytes: try fields.required("sizeBytes", fields.bytes("sizeBytes")),
      extentBytes: try fields.bytes("extentBytes"),
      readOnly: try fields.boolean("readOnly") ?? false,
      redundancy: try RedundancyChange(fields), tiers: try TierRulesChange(fields))
    try Validation.check(self)
  }
}

extension RedundancyChange {
  init(_ fields: JSONFields) throws(GnomonError) {
    self.init(
      copies: try fields.integer("copies"), across: try fields.choice("across"),
      protection: try fields.choice("protection"), errors: try fields.choice("errors"))
    try Validation.check(self)
  }
}

extension TierRulesChange {
  init(_ fields: JSONFields) throws(GnomonError) {
    self.init(
      pin: fields.isNull("pin") ? .anywhere : try fields.tier("pin").map { .tier($0) },
      never: try fields.tiers("never"))
    try Validation.check(self)
  }
}

/// The body of `PATCH /v1/volumes/{name}`: a new size, or how the volume is to be kept.
package enum VolumePatch: Encodable, Equatable {
  case size(VolumeChange)
  case settings(VolumeSettings)

  /// One or the other, without a word that says which.
  package func encode(to encoder: any Encoder) throws {
    switch self {
    case .size(let change): try change.encode(to: encoder)
    case .settings(let change): try change.encode(to: encoder)
    }
  }

  static let fields = ["sizeBytes", "force", "copies", "across", "protection", "errors", "pin", "never"]

  /// Reads and checks the body.
  package init(json: JSONValue) throws(GnomonError) {
    let fields = try JSONFields(json, allowed: Self.fields)
    let settings = VolumeSettings(
      redundancy: try RedundancyChange(fields), tiers: try TierRulesChange(fields))
    let (sizeBytes, force) = (try fields.bytes("sizeBytes"), try fields.boolean("force"))
    guard sizeBytes == nil && force == nil || settings.isEmpty else {
      throw GnomonError(
        .invalid, "a volume's size and how it is kept can not be changed at once",
        remedy: "change one after the other")
    }
    if settings.isEmpty {
      let sizeBytes = try fields.required("sizeBytes", sizeBytes)
      try Validation.checkSize(sizeBytes, of: "the volume")
      self = .size(VolumeChange(sizeBytes: sizeBytes, force: force ?? false))
    } else {
      self = .settings(settings)
    }
  }
}

extension ScrubRequest {
  static let fields = ["volume", "store"]

  /// Reads the body of `POST /v1/scrub`.
  package init(json: JSONValue) throws(GnomonError) {
    let fields = try JSONFields(json, allowed: Self.fields)
    self.init(volume: try fields.string("volume"), store: try fields.string("store"))
  }
}

extension HintRequest {
  static let fields = ["volume", "offset", "length", "startSeconds", "seconds"]

  /// Reads and checks the body of `POST /v1/hints`.
  package init(json: JSONValue) throws(GnomonError) {
    let fields = try JSONFields(json, allowed: Self.fields)
    self.init(
      volume: try fields.required("volume", fields.string("volume")),
      offset: try fields.required("offset", fields.bytes("offset")),
      length: try fields.required("length", fields.bytes("length")),
      startSeconds: try fields.integer("startSeconds").map(Int64.init),
      seconds: try fields.integer("seconds").map(Int64.init) ?? Self.secondsStandard)
  }
}

extension MoveRequest {
  static let fields = ["kind", "volume", "extents", "store"]

  /// Reads and checks the body of `POST /v1/jobs`.
  package init(json: JSONValue) throws(GnomonError) {
    let fields = try JSONFields(json, allowed: Self.fields)
    self.init(
      try fields.required("kind", fields.choice("kind")),
      volume: try fields.required("volume", fields.string("volume")),
      extents: try fields.string("extents") ?? "all",
      store: try fields.required("store", fields.string("store")))
    _ = try ExtentSet(parsing: extents)
  }
}
