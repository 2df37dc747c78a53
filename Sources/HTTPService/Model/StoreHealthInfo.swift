/// What is done with a store because of its health.
public enum StoreHealthState: String, Codable, Sendable, CaseIterable {
  /// Nothing: it is well enough.
  case serving
  /// It gets new data only if no other store can take it.
  case noNewPlacements = "no-new-placements"
  /// Likewise, and its extents are moved elsewhere.
  case evacuating
  /// It is not used: shadows have taken over.
  case satOut = "sat-out"
  /// It gets what it has missed.
  case returning
}

/// A store's health in short.
public struct StoreHealthSummary: Codable, Sendable, Equatable {
  /// The failure score: 0 (healthy) to 100 (critical), with one decimal.
  public var score: Double
  /// What is done because of it.
  public var state: StoreHealthState

  /// Takes both as they are.
  public init(score: Double, state: StoreHealthState) {
    self.score = score
    self.state = state
  }
}

/// The health of a store: the answer to `GET /v1/stores/{name}/health`.
public struct StoreHealthInfo: Codable, Sendable, Equatable {
  /// The store.
  public var name: String
  /// The failure score: 0 (healthy) to 100 (critical), with one decimal.
  public var score: Double
  /// What is done because of it.
  public var state: StoreHealthState
  /// For how long that has been so.
  public var stateSeconds: UInt64
  /// Whether anything is done at all, or stores are only watched.
  public var acts: Bool
  /// Why less is done than the score calls for, in words.
  public var holdingBack: String?
  /// Whether there is a history of latencies to compare with.
  public var hasBaseline: Bool
  /// The modes of failure that score at least 1, worst first.
  public var modes: [FailureModeInfo]
  /// Thresholds that will be met if it goes on like this.
  public var warnings: [HealthWarningInfo]
  /// What happened lately.
  public var latest: StoreLoadInfo
  /// Operations that failed since the daemon started, whoever wanted them.
  public var failed: OperationCounts
  /// Operations that had not ended by their deadline, since the daemon started.
  public var missedDeadlines: UInt64
  /// Operations that have begun and not ended.
  public var inFlight: UInt64
  /// Taken by extents.
  public var usedBytes: UInt64
  /// Taken by extents or left for them.
  public var capacityBytes: UInt64
  /// How it stands with the server; of stores in an export only.
  public var connection: StoreConnection?
  /// What the device beneath says of itself; nil of stores that have none, and before it was asked.
  public var media: MediaInfo?

  /// A store of which nothing bad is known.
  public init(
    name: String, score: Double = 0, state: StoreHealthState = .serving, stateSeconds: UInt64 = 0,
    acts: Bool = true, hasBaseline: Bool = false, modes: [FailureModeInfo] = [],
    warnings: [HealthWarningInfo] = [], latest: StoreLoadInfo = StoreLoadInfo(),
    failed: OperationCounts = OperationCounts(), missedDeadlines: UInt64 = 0, inFlight: UInt64 = 0,
    usedBytes: UInt64 = 0, capacityBytes: UInt64 = 0
  ) {
    self.name = name
    self.score = score
    self.state = state
    self.stateSeconds = stateSeconds
    self.acts = acts
    self.hasBaseline = hasBaseline
    self.modes = modes
    self.warnings = warnings
    self.latest = latest
    self.failed = failed
    self.missedDeadlines = missedDeadlines
    self.inFlight = inFlight
    self.usedBytes = usedBytes
    self.capacityBytes = capacityBytes
  }
}

/// How badly a store does in one way.
public struct FailureModeInfo: Codable, Sendable, Equatable {
  /// `fail-slow`, `errors`, `stall`, `space`, `network` or `media`.
  public var mode: String
  /// 1 to 100, with one decimal.
  public var score: Double
  /// Why, in words with figures.
  public var reason: String

  /// Takes all as they are.
  public init(mode: String, score: Double, reason: String) {
    self.mode = mode
    self.score = score
    self.reason = reason
  }
}

/// A threshold that will be met if it goes on like this.
public struct HealthWarningInfo: Codable, Sendable, Equatable {
  /// Which one.
  public enum Kind: String, Codable, Sendable, CaseIterable {
    /// No room is left.
    case full
    /// So slow that it is evacuated.
    case slow
    /// Fails so often that it is evacuated.
    case failing
  }

  /// Which one.
  public var kind: Kind
  /// When, from now.
  public var seconds: UInt64

  /// Takes both as they are.
  public init(_ kind: Kind, seconds: UInt64) {
    self.kind = kind
    self.seconds = seconds
  }
}

/// What a store has done in a while.
public struct StoreLoadInfo: Codable, Sendable, Equatable {
  /// How long the while is: up to a minute.
  public var seconds: Double
  /// Latencies of what succeeded, by operation and size; those that there are.
  public var latencies: [LatencyInfo]
  /// Bytes read in a second.
  public var readBytesPerSecond: UInt64
  /// Bytes written in a second.
  public var writtenBytesPerSecond: UInt64
  /// Operations that succeeded in a second.
  public var operationsPerSecond: Double
  /// Operations in flight, on average.
  public var queueDepth: Double

  /// Nothing has happened.
  public init(
    seconds: Double = 0, latencies: [LatencyInfo] = [], readBytesPerSecond: UInt64 = 0,
    writtenBytesPerSecond: UInt64 = 0, operationsPerSecond: Double = 0, queueDepth: Double = 0
  ) {
    self.seconds = seconds
    self.latencies = latencies
    self.readBytesPerSecond = readBytesPerSecond
    self.writtenBytesPerSecond = writtenBytesPerSecond
    self.operationsPerSecond = operationsPerSecond
    self.queueDepth = queueDepth
  }
}

/// How long operations of one kind and size took, to within 3.2 %.
public struct LatencyInfo: Codable, Sendable, Equatable {
  /// `read`, `write` or `synchronize`.
  public var operation: String
  /// `small` (up to 4 KiB), `medium` (up to 64 KiB) or `large`; nil of synchronizations.
  public var size: String?
  /// How many there were.
  public var count: UInt64
  /// The mean.
  public var meanNanoseconds: UInt64
  /// What half of them did not exceed.
  public var p50Nanoseconds: UInt64
  /// What 99 of a hundred did not exceed.
  public var p99Nanoseconds: UInt64

  /// Takes all as they are.
  public init(
    operation: String, size: String?, count: UInt64, meanNanoseconds: UInt64, p50Nanoseconds: UInt64,
    p99Nanoseconds: UInt64
  ) {
    self.operation = operation
    self.size = size
    self.count = count
    self.meanNanoseconds = meanNanoseconds
    self.p50Nanoseconds = p50Nanoseconds
    self.p99Nanoseconds = p99Nanoseconds
  }
}

/// So many of each kind of operation.
public struct OperationCounts: Codable, Sendable, Equatable {
  /// Reads.
  public var reads: UInt64
  /// Writes, zeroing among them.
  public var writes: UInt64
  /// Synchronizations.
  public var synchronizations: UInt64

  /// Counters start at 0.
  public init(reads: UInt64 = 0, writes: UInt64 = 0, synchronizations: UInt64 = 0) {
    self.reads = reads
    self.writes = writes
    self.synchronizations = synchronizations
  }
}

/// What the device beneath a store says of itself. What it does not report is missing.
public struct MediaInfo: Codable, Sendable, Equatable {
  /// Its name; nil if there is no one device.
  public var device: String?
  /// How long ago it was asked.
  public var askedSecondsAgo: UInt64
  /// Why nothing, or nothing new, is known.
  public var complaint: String?
  /// Its own verdict.
  public var hasPassed: Bool?
  /// Sectors that were replaced by spare ones.
  public var reallocatedSectors: UInt64?
  /// Sectors that could not be read and wait to be written.
  public var pendingSectors: UInt64?
  /// Errors that could not be corrected.
  public var uncorrectableErrors: UInt64?
  /// The share of its rated life that is used up.
  public var wearPercent: Double?
  /// Spare blocks that are left.
  public var sparePercent: Double?
  /// Degrees Celsius.
  public var temperature: Double?

  /// A device of which nothing is known.
  public init(device: String?, askedSecondsAgo: UInt64, complaint: String? = nil) {
    self.device = device
    self.askedSecondsAgo = askedSecondsAgo
    self.complaint = complaint
  }
}

/// The answer to `GET /v1/health`.
public struct StoreHealthList: Codable, Sendable, Equatable {
  /// Sorted by name.
  public var stores: [StoreHealthInfo]

  /// Wraps the list.
  public init(stores: [StoreHealthInfo]) {
    self.stores = stores
  }
}
