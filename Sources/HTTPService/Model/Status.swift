/// What the daemon is doing: the answer to `GET /v1/status`.
public struct Status: Codable, Sendable, Equatable {
  /// `Version.current` of the daemon.
  public var version: String
  /// The process that serves the pool.
  public var pid: Int32
  /// Since the control API began to answer.
  public var uptimeSeconds: UInt64
  /// Absolute path of the pool's folder.
  public var directory: String
  /// URIs that NBD clients can connect to, without an export name.
  public var listeners: [String]
  /// Threads that serve requests.
  public var reactors: Int
  /// Open NBD connections.
  public var connections: Int
  /// All volumes together, since the start.
  public var io: IOCounters
  /// Sorted by name.
  public var volumes: [VolumeStatus]
  /// Sorted by name.
  public var stores: [StoreStatus]
  /// The pool's metadata.
  public var catalog: CatalogStatus
  /// Where the memory goes.
  public var memory: MemoryStatus

  /// Figures that are not known yet are 0.
  public init(
    version: String, pid: Int32, uptimeSeconds: UInt64, directory: String, listeners: [String],
    reactors: Int, connections: Int, io: IOCounters = IOCounters(),
    volumes: [VolumeStatus] = [], stores: [StoreStatus] = [],
    catalog: CatalogStatus = CatalogStatus(), memory: MemoryStatus
  ) {
    self.version = version
    self.pid = pid
    self.uptimeSeconds = uptimeSeconds
    self.directory = directory
    self.listeners = listeners
    self.reactors = reactors
    self.connections = connections
    self.io = io
    self.volumes = volumes
    self.stores = stores
    self.catalog = catalog
    self.memory = memory
  }
}

/// What the data path and the catalog owe each other.
public struct CatalogStatus: Codable, Sendable, Equatable {
  /// Map changes that the catalog does not have yet.
  public var pendingChanges: Int
  /// Slots that are neither in use nor free yet.
  public var pendingSlots: Int
  /// Commits that failed since the start.
  public var commitErrors: UInt64
  /// Requests that were refused since the start: no store took a new extent, or too many changes are pending.
  public var refusals: UInt64

  /// Figures that are not known yet are 0.
  public init(pendingChanges: Int = 0, pendingSlots: Int = 0, commitErrors: UInt64 = 0, refusals: UInt64 = 0)
  {
    self.pendingChanges = pendingChanges
    self.pendingSlots = pendingSlots
    self.commitErrors = commitErrors
    self.refusals = refusals
  }
}

/// Operations since the start.
public struct IOCounters: Codable, Sendable, Equatable {
  /// Reads that were asked for.
  public var reads: UInt64
  /// Writes that were asked for.
  public var writes: UInt64
  /// Flushes that were asked for.
  public var flushes: UInt64
  /// Trims that were asked for.
  public var trims: UInt64
  /// Zeroing writes that were asked for.
  public var zeroes: UInt64
  /// Bytes that were read.
  public var readBytes: UInt64
  /// Bytes that were written, zeroes and trims aside.
  public var writtenBytes: UInt64
  /// Operations that were answered with an error.
  public var errors: UInt64

  /// Counters start at 0.
  public init(
    reads: UInt64 = 0, writes: UInt64 = 0, flushes: UInt64 = 0, trims: UInt64 = 0, zeroes: UInt64 = 0,
    readBytes: UInt64 = 0, writtenBytes: UInt64 = 0, errors: UInt64 = 0
  ) {
    self.reads = reads
    self.writes = writes
    self.flushes = flushes
    self.trims = trims
    self.zeroes = zeroes
    self.readBytes = readBytes
    self.writtenBytes = writtenBytes
    self.errors = errors
  }
}

/// What one volume's clients did.
public struct VolumeStatus: Codable, Sendable, Equatable {
  /// The volume.
  public var name: String
  /// Whether it serves.
  public var state: VolumeState
  /// NBD connections that have it open.
  public var connections: Int
  /// What clients asked of it.
  public var io: IOCounters

  /// Takes every figure as it is.
  public init(name: String, state: VolumeState = .online, connections: Int, io: IOCounters) {
    self.name = name
    self.state = state
    self.connections = connections
    self.io = io
  }
}

/// How one store is.
public struct StoreStatus: Codable, Sendable, Equatable {
  /// The store.
  public var name: String
  /// Whether it serves.
  public var state: StoreState
  /// Taken by extents.
  public var usedBytes: UInt64
  /// Left for extents.
  public var freeBytes: UInt64
  /// What failed there since the start.
  public var errors: StoreErrorCounts
  /// How it stands with the server; of stores in an export only.
  public var connection: StoreConnection?

  /// Takes every figure as it is.
  public init(
    name: String, state: StoreState, usedBytes: UInt64, freeBytes: UInt64,
    errors: StoreErrorCounts = StoreErrorCounts(), connection: StoreConnection? = nil
  ) {
    self.connection = connection
    self.name = name
    self.state = state
    self.usedBytes = usedBytes
    self.freeBytes = freeBytes
    self.errors = errors
  }
}

/// Where the daemon's memory goes.
public struct MemoryStatus: Codable, Sendable, Equatable {
  /// Resident set of the process.
  public var residentBytes: UInt64
  /// What the extent maps take once every extent is mapped, 8 bytes each.
  public var mapBytes: UInt64

  /// Takes both as they are.
  public init(residentBytes: UInt64, mapBytes: UInt64) {
    self.residentBytes = residentBytes
    self.mapBytes = mapBytes
  }
}
