public import Primitives

/// A store as the daemon sees it.
public struct StoreInfo: Codable, Sendable, Equatable {
  /// Unique within the pool.
  public var name: String
  /// Its number in the pool, 0 to 255: what BLOCK_STATUS reports as `x-gnomon:store`.
  public var id: UInt8
  /// Also in the label that the store carries.
  public var uuid: String
  /// What kind of place it is.
  public var kind: StoreKind
  /// Absolute path of the file or device, URI of the export, or `memory:`.
  public var path: String
  /// 0 is the fastest.
  public var tier: Int
  /// Empty if nobody said.
  public var region: String
  /// Empty if nobody said.
  public var zone: String
  /// Empty if nobody said.
  public var node: String
  /// Per GiB and month, in any one currency.
  public var cost: Double
  /// How the file or device is opened.
  public var cache: CacheMode
  /// What the store may occupy, its label included.
  public var sizeBytes: UInt64
  /// Taken by extents.
  public var usedBytes: UInt64
  /// Left for extents.
  public var freeBytes: UInt64
  /// Whether it serves.
  public var state: StoreState
  /// What failed there since the daemon started.
  public var errors: StoreErrorCounts
  /// How it stands with the server; of stores in an export only.
  public var connection: StoreConnection?
  /// Whether its copies are being moved away: it gets no new ones.
  public var draining: Bool
  /// The job that does so; nil when it is at its end.
  public var drainJob: Int?
  /// What stands in the way of that.
  public var complaint: String?
  /// How well it is; nil before anybody has looked.
  public var health: StoreHealthSummary?

  /// Takes every figure as it is.
  public init(
    name: String, id: UInt8, uuid: String, kind: StoreKind, path: String, tier: Int, region: String,
    zone: String,
    node: String, cost: Double, cache: CacheMode, sizeBytes: UInt64, usedBytes: UInt64, freeBytes: UInt64,
    state: StoreState, errors: StoreErrorCounts = StoreErrorCounts(), connection: StoreConnection? = nil,
    draining: Bool = false
  ) {
    self.name = name
    self.id = id
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
    self.errors = errors
    self.connection = connection
    self.draining = draining
  }

  /// What the catalog says about a store, with the figures that only the running daemon knows.
  public init(
    _ record: StoreRecord, usedBytes: UInt64, freeBytes: UInt64, state: StoreState,
    errors: StoreErrorCounts = StoreErrorCounts(), connection: StoreConnection? = nil
  ) {
    self.init(
      name: record.name, id: record.id.rawValue, uuid: record.uuid.description, kind: record.kind,
      path: record.path,
      tier: record.tier, region: record.region, zone: record.zone, node: record.node, cost: record.cost,
      cache: record.cache, sizeBytes: record.sizeBytes, usedBytes: usedBytes, freeBytes: freeBytes,
      state: state, errors: errors, connection: connection, draining: record.isDraining)
  }
}

/// How it stands between a store and its server.
public struct StoreConnection: Codable, Sendable, Equatable {
  /// The states of a connection.
  public enum State: String, Codable, Sendable, CaseIterable {
    /// Requests are answered.
    case connected
    /// It is broken, and tried again and again; requests wait, but not for ever.
    case reconnecting
    /// What the server has is not the store any more; requests fail.
    case refused
  }

  /// The state.
  public var state: State
  /// For how long it has been so.
  public var seconds: UInt64
  /// Connections that broke since the daemon started.
  public var breaks: UInt64
  /// Why the last one broke or could not be had; empty if nothing has gone wrong.
  public var lastError: String

  /// Takes everything as it is.
  public init(state: State, seconds: UInt64, breaks: UInt64 = 0, lastError: String = "") {
    self.state = state
    self.seconds = seconds
    self.breaks = breaks
    self.lastError = lastError
  }
}

/// Whether a store serves.
public enum StoreState: String, Codable, Sendable, CaseIterable {
  /// Open and serving.
  case online
  /// Open, but not written to: an fdatasync has failed.
  case failed
  /// It can not be reached now, or the pool is served without it.
  case offline
}

/// Operations of a store that failed since the daemon started.
public struct StoreErrorCounts: Codable, Sendable, Equatable {
  /// Reads.
  public var reads: UInt64
  /// Writes, zeroing among them.
  public var writes: UInt64
  /// New extents that the store did not take, full or broken.
  public var newExtents: UInt64
  /// Synchronizations: one is enough for the store to be `failed`.
  public var synchronizations: UInt64

  /// Counters start at 0.
  public init(reads: UInt64 = 0, writes: UInt64 = 0, newExtents: UInt64 = 0, synchronizations: UInt64 = 0) {
    self.reads = reads
    self.writes = writes
    self.newExtents = newExtents
    self.synchronizations = synchronizations
  }

  /// All of them.
  public var total: UInt64 { reads + writes + newExtents + synchronizations }
}

/// The answer to `GET /v1/stores`.
public struct StoreList: Codable, Sendable, Equatable {
  /// Sorted by name.
  public var stores: [StoreInfo]

  /// Wraps the list.
  public init(stores: [StoreInfo]) {
    self.stores = stores
  }
}

/// What is needed to add a store: the body of `POST /v1/stores`.
public struct StoreRequest: Codable, Sendable, Equatable {
  /// See `Validation.checkName`.
  public var name: String
  /// What kind of place it is.
  public var kind: StoreKind
  /// Absolute path of the file or device, URI of the export, or `memoryPlace`.
  public var path: String
  /// What the store may occupy; a multiple of 4096. Of an export 0 means all that it has.
  public var sizeBytes: UInt64
  /// 0 is the fastest.
  public var tier: Int
  /// Where it is; may be empty.
  public var region: String
  /// Where in the region it is; may be empty.
  public var zone: String
  /// On which machine it is; may be empty.
  public var node: String
  /// Per GiB and month, in any one currency.
  public var cost: Double
  /// How the file or device is to be opened.
  public var cache: CacheMode
  /// Use the place although there is something in it, which is lost.
  public var force: Bool

  /// The `path` of every memory store.
  public static let memoryPlace = "memory:"

  /// What is not said has its default.
  public init(
    name: String, kind: StoreKind = .file, path: String, sizeBytes: UInt64, tier: Int = 0,
    region: String = "", zone: String = "", node: String = "", cost: Double = 0, cache: CacheMode = .direct,
    force: Bool = false
  ) {
    self.force = force
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
