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

extension VolumeRequest {
  static let fields = ["name", "sizeBytes", "extentBytes", "readOnly"]

  /// Reads and checks the body of `POST /v1/volumes`.
  package init(json: JSONValue) throws(GnomonError) {
    let fields = try JSONFields(json, allowed: Self.fields)
    self.init(
      name: try fields.required("name", fields.string("name")),
      sizeBytes: try fields.required("sizeBytes", fields.bytes("sizeBytes")),
      extentBytes: try fields.bytes("extentBytes"),
      readOnly: try fields.boolean("readOnly") ?? false)
    try Validation.check(self)
  }
}

extension VolumeChange {
  static let fields = ["sizeBytes", "force"]

  /// Reads and checks the body of `PATCH /v1/volumes/{name}`.
  package init(json: JSONValue) throws(GnomonError) {
    let fields = try JSONFields(json, allowed: Self.fields)
    self.init(
      sizeBytes: try fields.required("sizeBytes", fields.bytes("sizeBytes")),
      force: try fields.boolean("force") ?? false)
    try Validation.checkSize(sizeBytes, of: "the volume")
  }
}
