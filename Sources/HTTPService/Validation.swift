import NBDWire
public import Primitives

/// What names, sizes and paths must be like, wherever they come from: command line, API or file.
public enum Validation {
  /// Longest name of a volume or store, in bytes of UTF-8.
  public static let nameBytesMax = 255
  /// Longest path, as the kernel has it.
  public static let pathBytesMax = 4095
  /// Extents that a volume may have: 4 PiB of 1 MiB, 32 GiB of map when every one is mapped.
  public static let extentsMax: UInt64 = 1 << 32
  /// Least size of a store: its label and some extents.
  public static let storeBytesMin: UInt64 = 2 << 20
  /// Stores that a pool may have: an extent map entry has eight bits for the store.
  public static let storesMax = 256
  /// Longest region, zone or node, in bytes of UTF-8.
  public static let placeBytesMax = 255

  /// Checks everything about a store that can be known without looking at the pool.
  public static func check(_ request: StoreRequest) throws(GnomonError) {
    try checkName(request.name, of: "store")
    try checkPlace(of: request)
    try checkStoreSize(of: request)
    guard (0...Tier.max).contains(request.tier) else {
      throw GnomonError(
        .invalid, "store '\(request.name)' has a wrong tier: \(request.tier)",
        remedy: "a tier is a number from 0 (fastest) to \(Tier.max)")
    }
    guard request.cost.isFinite, request.cost >= 0 else {
      throw GnomonError(
        .invalid, "store '\(request.name)' has a wrong cost: \(request.cost)",
        remedy: "the cost per GiB and month is a number from 0")
    }
    for (key, value) in [("region", request.region), ("zone", request.zone), ("node", request.node)] {
      guard value.utf8.count <= placeBytesMax, !value.unicodeScalars.contains(where: isControl) else {
        throw GnomonError(
          .invalid, "store '\(request.name)' has a wrong \(key)",
          remedy: "give at most \(placeBytesMax) bytes without control characters")
      }
    }
  }

  /// Checks everything about a volume that can be known without looking at the pool.
  public static func check(_ request: VolumeRequest) throws(GnomonError) {
    try checkName(request.name, of: "volume")
    try checkSize(request.sizeBytes, of: "volume '\(request.name)'")
    if let extentBytes = request.extentBytes { try checkExtent(extentBytes) }
    try check(request.redundancy)
    try check(request.tiers)
  }

  /// Checks that a volume of a valid size has no more extents than its map may.
  public static func checkExtentCount(
    of name: String, sizeBytes: UInt64, extentBytes: UInt64
  ) throws(GnomonError) {
    guard (sizeBytes - 1) / extentBytes >= extentsMax else { return }
    let limit = ByteSize(
      rawValue: min(extentsMax * extentBytes, UInt64(Int64.max) / Block.bytes * Block.bytes))
    throw GnomonError(
      .invalid, "volume '\(name)' is too large",
      cause: "with extents of \(ByteSize(rawValue: extentBytes)) a volume has at most \(limit)",
      remedy: "make it smaller, or create one with larger extents")
  }

  /// Checks what a volume is to survive.
  public static func check(_ change: RedundancyChange) throws(GnomonError) {
    guard let copies = change.copies, !(1...Redundancy.copiesMax).contains(copies) else { return }
    throw GnomonError(
      .invalid, "a volume can not have \(copies) copies",
      remedy: "give 1 (the live copy alone) to \(Redundancy.copiesMax)")
  }

  /// Checks the parts of a new pool and that no name or path occurs twice.
  public static func check(stores: [StoreRequest], volumes: [VolumeRequest]) throws(GnomonError) {
    guard !stores.isEmpty else {
      throw GnomonError(
        .invalid, "a pool needs a store", remedy: "give at least one --store NAME=PATH,size=SIZE,tier=N")
    }
    guard stores.count <= storesMax else {
      throw GnomonError(
        .invalid, "too many stores: \(stores.count)", remedy: "a pool has at most \(storesMax)")
    }
    for store in stores { try check(store) }
    for volume in volumes { try check(volume) }
    if let name = firstDuplicate(stores.map(\.name)) {
      throw GnomonError(.invalid, "two stores are named '\(name)'", remedy: "give each its own name")
    }
    guard stores.contains(where: { $0.kind != .memory }) else {
      throw GnomonError(
        .invalid, "a pool needs a store that lasts", cause: "memory may hold shadows only, never a live copy",
        remedy: "add a file, a block device or an NBD export")
    }
    let tiers = PoolTiers(stores.map { ($0.tier, $0.kind != .memory) })
    for volume in volumes { _ = try check(volume.tiers, of: volume.name, among: tiers) }
    if let path = firstDuplicate(stores.filter { $0.kind != .memory }.map(\.path)) {
      throw GnomonError(
        .invalid, "two stores have the path \(path)",
        remedy: "give each its own file, device or export")
    }
    if let name = firstDuplicate(volumes.map(\.name)) {
      throw GnomonError(.invalid, "two volumes are named '\(name)'", remedy: "give each its own name")
    }
  }

  /// Checks a name; `kind` is `volume` or `store`.
  public static func checkName(_ name: String, of kind: String) throws(GnomonError) {
    let problem: String? =
      if name.isEmpty {
        "it is empty"
      } else if name.utf8.count > nameBytesMax {
        "it has \(name.utf8.count) bytes"
      } else if name.unicodeScalars.contains(where: isControl) {
        "it has a control character"
      } else if name.hasPrefix("-") {
        "it begins with '-'"
      } else if name == "." || name == ".." {
        "it is '\(name)'"
      } else {
        name.unicodeScalars.first { "/,=\\".unicodeScalars.contains($0) }.map { "it contains '\($0)'" }
      }
    guard let problem else { return }
    throw GnomonError(
      .invalid, "wrong name of a \(kind)", cause: problem,
      remedy:
        "a name has 1 to \(nameBytesMax) bytes, none of them '/', ',', '=', '\\' or a control character, "
        + "and does not begin with '-'")
  }

  /// Checks the size of a volume or store.
  public static func checkSize(_ sizeBytes: UInt64, of subject: String) throws(GnomonError) {
    let limit = UInt64(Int64.max) / Block.bytes * Block.bytes
    guard sizeBytes > 0, sizeBytes <= limit else {
      throw GnomonError(
        .invalid, "wrong size of \(subject): \(sizeBytes) bytes",
        remedy: "give a multiple of \(Block.bytes) bytes from \(Block.bytes) to \(limit)")
    }
    guard sizeBytes.isMultiple(of: Block.bytes) else {
      // Rounding up never loses what the caller meant to put there.
      let nearest = min((sizeBytes / Block.bytes + 1) * Block.bytes, limit)
      throw GnomonError(
        .invalid, "wrong size of \(subject): \(sizeBytes) bytes",
        cause: "it is not a multiple of \(Block.bytes)", remedy: "the next is \(nearest)")
    }
  }

  /// Checks the extent size of a volume.
  public static func checkExtent(_ extentBytes: UInt64) throws(GnomonError) {
    let bounds = ExtentSize.minimum...ExtentSize.maximum
    guard bounds.contains(extentBytes), extentBytes.nonzeroBitCount == 1 else {
      let least = ByteSize(rawValue: bounds.lowerBound)
      let most = ByteSize(rawValue: bounds.upperBound)
      throw GnomonError(
        .invalid, "wrong extent size: \(ByteSize(rawValue: extentBytes))",
        remedy: "give a power of two from \(least) to \(most)")
    }
  }

  private static func checkPlace(of request: StoreRequest) throws(GnomonError) {
    let path = request.path
    func wrong(_ cause: String?, _ remedy: String) -> GnomonError {
      GnomonError(.invalid, "wrong path of a store: \(path)", cause: cause, remedy: remedy)
    }
    guard path.utf8.count <= pathBytesMax, !path.utf8.contains(0) else {
      throw wrong("it is too long, or has a zero byte", "give at most \(pathBytesMax) bytes")
    }
    switch request.kind {
    case .file:
      guard path.hasPrefix("/") else { throw wrong(nil, "give an absolute path of a file or block device") }
    case .memory:
      guard path == StoreRequest.memoryPlace else {
        throw wrong(nil, "the place of a memory store is \(StoreRequest.memoryPlace)")
      }
    case .nbd:
      let uri: NBDURI
      do throws(NBDURIError) {
        uri = try NBDURI(parsing: path)
      } catch {
        throw wrong("\(error)", "write it as nbd://HOST:PORT/EXPORT or nbd+unix:///EXPORT?socket=PATH")
      }
      switch uri.endpoint {
      case .tcp(let host, _):
        guard !host.isEmpty else { throw wrong("it names no host", "write it as nbd://HOST:PORT/EXPORT") }
      case .unix(let socket):
        guard socket.hasPrefix("/") else { throw wrong(nil, "give an absolute path of the socket") }
      }
    }
  }

  private static func checkStoreSize(of request: StoreRequest) throws(GnomonError) {
    // An export has a size already.
    if request.kind == .nbd && request.sizeBytes == 0 { return }
    try checkSize(request.sizeBytes, of: "store '\(request.name)'")
    let least = request.kind == .memory ? ExtentSize.minimum : storeBytesMin
    guard request.sizeBytes >= least else {
      throw GnomonError(
        .invalid, "store '\(request.name)' is too small", cause: "\(ByteSize(rawValue: request.sizeBytes))",
        remedy: "the least size is \(ByteSize(rawValue: least))")
    }
  }

  private static func firstDuplicate(_ names: [String]) -> String? {
    var seen: Set<String> = []
    return names.first { !seen.insert($0).inserted }
  }

  private static func isControl(_ scalar: Unicode.Scalar) -> Bool {
    scalar.properties.generalCategory == .control
  }
}
