import Primitives

/// Records to rows and back. What is read is checked: a row is not under a checksum of ours.
extension Catalog {
  static func insert(_ store: StoreRecord, into database: Database) throws {
    try database.prepared(
      "INSERT INTO stores VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)"
    )
    .bind(1, Int64(store.id.rawValue)).bind(2, "\(store.uuid)").bind(3, store.name)
    .bind(4, store.kind.rawValue).bind(5, store.path).bind(6, Int64(store.sizeBytes))
    .bind(7, Int64(store.tier)).bind(8, store.region).bind(9, store.zone).bind(10, store.node)
    .bind(11, store.cost).bind(12, store.cache.rawValue).bind(13, Int64(store.isDraining ? 1 : 0)).run()
  }

  static func insert(_ volume: VolumeRecord, into database: Database) throws {
    try check(volume)
    try database.prepared("INSERT INTO volumes VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)")
      .bind(1, Int64(volume.id.rawValue)).bind(2, "\(volume.uuid)").bind(3, volume.name)
      .bind(4, Int64(volume.sizeBytes)).bind(5, Int64(volume.extentBytes))
      .bind(6, Int64(volume.readOnly ? 1 : 0)).bind(7, Int64(volume.redundancy.copies))
      .bind(8, volume.redundancy.across.rawValue).bind(9, volume.redundancy.protection.name)
      .bind(10, volume.redundancy.errors.rawValue).bind(11, volume.tiers.pinWord)
      .bind(12, "\(volume.tiers.never)").run()
  }

  /// Refuses a volume that the catalog could not keep.
  static func check(_ volume: VolumeRecord) throws {
    let sizes = ExtentSize.minimum...ExtentSize.maximum
    guard sizes.contains(volume.extentBytes), volume.extentBytes.nonzeroBitCount == 1 else {
      throw GnomonError(
        .invalid, "\(volume.extentBytes) is not an extent size",
        remedy: "use a power of two from 64 KiB to 64 MiB")
    }
    guard volume.sizeBytes > 0, volume.sizeBytes <= UInt64(Int64.max) - ExtentSize.maximum else {
      throw GnomonError(.invalid, "\(volume.sizeBytes) bytes are not a volume size")
    }
    guard (1...Redundancy.copiesMax).contains(volume.redundancy.copies) else {
      throw GnomonError(
        .invalid, "a volume can not have \(volume.redundancy.copies) copies",
        remedy: "use 1 to \(Redundancy.copiesMax)")
    }
    guard !volume.tiers.isContradictory else {
      throw GnomonError(
        .invalid, "volume \(volume.name) is pinned to \(volume.tiers.pinWord), and never to use it")
    }
    let pages = (volume.extentCount + UInt64(MapPage.entryCount) - 1) >> MapPage.entryShift
    guard pages <= MapPage.countMax else {
      throw GnomonError(
        .invalid, "volume \(volume.name) would have too many extents", remedy: "use a larger extent size")
    }
  }

  static func readStores(_ database: Database) throws -> [StoreRecord] {
    let statement = try database.prepared("SELECT * FROM stores ORDER BY id")
    defer { statement.reset() }
    var result: [StoreRecord] = []
    while try statement.step() {
      let name = statement.text(2)
      guard let id = UInt8(exactly: statement.int(0)), let uuid = UUID128(statement.text(1)),
        let kind = StoreKind(rawValue: statement.text(3)),
        let cache = CacheMode(rawValue: statement.text(11)),
        let size = UInt64(exactly: statement.int(5)), let tier = Int(exactly: statement.int(6)),
        (0...Tier.max).contains(tier)
      else { throw damaged("the catalog's row of store \(name) makes no sense") }
      result.append(
        StoreRecord(
          id: StoreID(rawValue: id), uuid: uuid, name: name, kind: kind, path: statement.text(4),
          sizeBytes: size, tier: tier, region: statement.text(7), zone: statement.text(8),
          node: statement.text(9), cost: statement.double(10), cache: cache,
          isDraining: statement.int(12) != 0))
    }
    return result
  }

  static func readVolumes(_ database: Database) throws -> [VolumeRecord] {
    let statement = try database.prepared("SELECT * FROM volumes ORDER BY id")
    defer { statement.reset() }
    var result: [VolumeRecord] = []
    while try statement.step() {
      let name = statement.text(2)
      guard let id = UInt32(exactly: statement.int(0)), let uuid = UUID128(statement.text(1)),
        let size = UInt64(exactly: statement.int(3)), let extent = UInt64(exactly: statement.int(4)),
        let across = FailureDomain(rawValue: statement.text(7)),
        let protection = Protection(name: statement.text(8)),
        let errors = ErrorPolicy(rawValue: statement.text(9)),
        let tiers = TierRules(pin: statement.text(10), never: statement.text(11))
      else { throw damaged("the catalog's row of volume \(name) makes no sense") }
      let volume = VolumeRecord(
        id: VolumeID(rawValue: id), uuid: uuid, name: name, sizeBytes: size, extentBytes: extent,
        readOnly: statement.int(5) != 0,
        redundancy: Redundancy(
          copies: Int(statement.int(6)), across: across, protection: protection, errors: errors),
        tiers: tiers)
      guard (try? check(volume)) != nil else {
        throw damaged("the catalog's row of volume \(name) makes no sense")
      }
      result.append(volume)
    }
    return result
  }
}

extension TierRules {
  /// As the catalog has them; nil if it can not be.
  fileprivate init?(pin: String, never: String) {
    let tier = Tier.parse(pin)
    guard tier != nil || pin == Self.noneWord, let never = TierSet(parsing: never) else { return nil }
    self.init(pin: tier, never: never)
  }
}
