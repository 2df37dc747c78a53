public import Primitives

/// A store as the daemon sees it.
public struct StoreInfo: Codable, Sendable, Equatable {
  public var name: String
  public var uuid: String
  public var kind: StoreKind
  /// Absolute path of the file or device.
  public var path: String
  /// 0 is the fastest.
  public var tier: Int
  public var region: String
  public var zone: String
  public var node: String
  /// Per GiB and month, in any one currency.
  public var cost: Double
  public var cache: CacheMode
  public var sizeBytes: UInt64
  public var usedBytes: UInt64
  public var freeBytes: UInt64
  public var state: StoreState

  public init(
    name: String, uuid: String, kind: StoreKind, path: String, tier: Int, region: String, zone: String,
    node: String, cost: Double, cache: CacheMode, sizeBytes: UInt64, usedBytes: UInt64, freeBytes: UInt64,
    state: StoreState
  ) {
    self.name = name
    self.uuid = uuid
    self.kind = kind
    self.path = path
    self.tier = tier
    self.region = region
    self.zone = zone
    self.node = node
    self.cost = cost
    self.cache = cache
    self.sizeBytes = sizeBytes
    self.usedBytes = usedBytes
    self.freeBytes = freeBytes
    self.state = state
  }

  /// What the catalog says about a store, with the figures that only the running daemon knows.
  public init(_ record: StoreRecord, usedBytes: UInt64, freeBytes: UInt64, state: StoreState) {
    self.init(
      name: record.name, uuid: record.uuid.description, kind: record.kind, path: record.path,
      tier: record.tier, region: record.region, zone: record.zone, node: record.node, cost: record.cost,
      cache: record.cache, sizeBytes: record.sizeBytes, usedBytes: usedBytes, freeBytes: freeBytes,
      state: state)
  }
}

/// Whether a store serves.
public enum StoreState: String, Codable, Sendable, CaseIterable {
  /// Open and serving.
  case online
  /// Open, but its operations fail.
  case failed
  /// Known to the catalog, but not opened.
  case offline
}

/// The answer to `GET /v1/stores`.
public struct StoreList: Codable, Sendable, Equatable {
  public var stores: [StoreInfo]

  public init(stores: [StoreInfo]) {
    self.stores = stores
  }
}

/// What is needed to add a store: the body of `POST /v1/stores`.
public struct StoreRequest: Codable, Sendable, Equatable {
  public var name: String
  public var kind: StoreKind
  /// Absolute path of the file or device.
  public var path: String
  public var sizeBytes: UInt64
  public var tier: Int
  public var region: String
  public var zone: String
  public var node: String
  public var cost: Double
  public var cache: CacheMode

  public init(
    name: String, kind: StoreKind = .file, path: String, sizeBytes: UInt64, tier: Int = 0,
    region: String = "", zone: String = "", node: String = "", cost: Double = 0, cache: CacheMode = .direct
  ) {
    self.name = name
    self.kind = kind
    self.path = path
    self.sizeBytes = sizeBytes
    self.tier = tier
    self.region = region
    self.zone = zone
    self.node = node
    self.cost = cost
    self.cache = cache
  }
}
