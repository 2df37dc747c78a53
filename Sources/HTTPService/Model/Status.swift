/// What the daemon is doing: the answer to `GET /v1/status`.
public struct Status: Codable, Sendable, Equatable {
  public var version: String
  public var pid: Int32
  public var uptimeSeconds: UInt64
  /// Absolute path of the pool's folder.
  public var directory: String
  /// URIs that NBD clients can connect to, without an export name.
  public var listeners: [String]
  public var reactors: Int
  /// Open NBD connections.
  public var connections: Int
  /// NBD connections since the start, refused ones included.
  public var connectionsAccepted: UInt64
  public var connectionsRefused: UInt64
  public var requestsInFlight: Int
  public var bytesInFlight: UInt64
  /// All volumes together, since the start.
  public var io: IOCounters
  public var volumes: [VolumeStatus]
  public var stores: [StoreStatus]
  public var memory: MemoryStatus

  public init(
    version: String, pid: Int32, uptimeSeconds: UInt64, directory: String, listeners: [String],
    reactors: Int, connections: Int, connectionsAccepted: UInt64 = 0, connectionsRefused: UInt64 = 0,
    requestsInFlight: Int = 0, bytesInFlight: UInt64 = 0, io: IOCounters = IOCounters(),
    volumes: [VolumeStatus] = [], stores: [StoreStatus] = [], memory: MemoryStatus = MemoryStatus()
  ) {
    self.version = version
    self.pid = pid
    self.uptimeSeconds = uptimeSeconds
    self.directory = directory
    self.listeners = listeners
    self.reactors = reactors
    self.connections = connections
    self.connectionsAccepted = connectionsAccepted
    self.connectionsRefused = connectionsRefused
    self.requestsInFlight = requestsInFlight
    self.bytesInFlight = bytesInFlight
    self.io = io
    self.volumes = volumes
    self.stores = stores
    self.memory = memory
  }
}

/// Operations since the start.
public struct IOCounters: Codable, Sendable, Equatable {
  public var reads: UInt64
  public var writes: UInt64
  public var flushes: UInt64
  public var trims: UInt64
  public var zeroes: UInt64
  public var readBytes: UInt64
  public var writtenBytes: UInt64
  /// Operations that were answered with an error.
  public var errors: UInt64

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
  public var name: String
  public var connections: Int
  public var io: IOCounters

  public init(name: String, connections: Int, io: IOCounters) {
    self.name = name
    self.connections = connections
    self.io = io
  }
}

/// What was done to one store.
public struct StoreStatus: Codable, Sendable, Equatable {
  public var name: String
  public var state: StoreState
  public var io: IOCounters

  public init(name: String, state: StoreState, io: IOCounters) {
    self.name = name
    self.state = state
    self.io = io
  }
}

/// Where the daemon's memory goes.
public struct MemoryStatus: Codable, Sendable, Equatable {
  /// Resident set of the process.
  public var residentBytes: UInt64
  /// Extent maps.
  public var mapBytes: UInt64
  /// Buffers of requests.
  public var bufferBytes: UInt64

  public init(residentBytes: UInt64 = 0, mapBytes: UInt64 = 0, bufferBytes: UInt64 = 0) {
    self.residentBytes = residentBytes
    self.mapBytes = mapBytes
    self.bufferBytes = bufferBytes
  }
}
