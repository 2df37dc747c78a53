/// The answer to `GET /v1/prediction`: what prediction has done since the daemon started.
public struct PredictionInfo: Codable, Sendable, Equatable {
  /// Whether reads are foreseen at all: `prediction.enabled`.
  public var enabled: Bool
  /// The tier that shadows are made on; nil: all stores are of one tier, and nothing is done.
  public var fastTier: Int?
  /// Bytes that shadows may take there.
  public var allowedBytes: UInt64 = 0
  /// Bytes that they take.
  public var usedBytes: UInt64 = 0
  /// Shadows that are there or on their way.
  public var shadows = 0
  /// Reads of extents by clients.
  public var reads = PredictedReads()
  /// What became of shadows.
  public var made = ShadowCounts()
  /// From the request that led to a shadow until it could be read, in microseconds; nil before the first.
  public var readyMicroseconds: ReadyTimes?
  /// Why no shadows are made at the moment; nil if nothing stands in the way.
  public var complaint: String?
  /// What all of this takes.
  public var costs = PredictionCosts()
  /// The latest decisions, newest first.
  public var decisions: [DecisionInfo] = []

  /// Decisions that are listed.
  public static let decisionsMax = 20

  /// Nothing has been done yet.
  public init(enabled: Bool) {
    self.enabled = enabled
  }
}

/// Reads of extents by clients, and which copies they came from.
public struct PredictedReads: Codable, Sendable, Equatable {
  /// Reads of mapped extents; one that goes over several extents counts for each.
  public var all: UInt64 = 0
  /// Those that a shadow on a faster tier than the live copy's was chosen for.
  public var fromFasterShadows: UInt64 = 0
  /// The share of these, from 0 to 1.
  public var share = 0.0
  /// Requests that were looked at and touched extents whose live copy lies on a slower tier.
  public var foreseeable: UInt64 = 0

  /// None.
  public init() {}
}

/// What became of shadows that prediction wanted.
public struct ShadowCounts: Codable, Sendable, Equatable {
  /// Decided upon.
  public var decided: UInt64 = 0
  /// Made.
  public var made: UInt64 = 0
  /// Read after they were made.
  public var used: UInt64 = 0
  /// Given up.
  public var dropped: UInt64 = 0
  /// Given up without having been read.
  public var neverUsed: UInt64 = 0
  /// Not made after all, as nobody wanted them any more, or others went before them.
  public var withdrawn: UInt64 = 0
  /// Not made because there was no room, or for another reason.
  public var refused: UInt64 = 0
  /// Could not be made.
  public var failed: UInt64 = 0
  /// Left to the volume, which needs them by now.
  public var released: UInt64 = 0
  /// Found when the daemon started.
  public var adopted: UInt64 = 0
  /// Bytes that were copied.
  public var copiedBytes: UInt64 = 0
  /// Shadows made per 1000 foreseeable requests.
  public var perThousandRequests = 0.0

  /// None.
  public init() {}
}

/// How long shadows took.
public struct ReadyTimes: Codable, Sendable, Equatable {
  /// Half of them took no longer.
  public var p50: UInt64
  /// 99 % of them took no longer.
  public var p99: UInt64

  /// Takes both as they are.
  public init(p50: UInt64, p99: UInt64) {
    self.p50 = p50
    self.p99 = p99
  }
}

/// What prediction takes.
public struct PredictionCosts: Codable, Sendable, Equatable {
  /// Bytes of memory.
  public var memoryBytes: UInt64 = 0
  /// Processor time of the thread that predicts.
  public var processorSeconds = 0.0
  /// Accesses that it did not see, because it did not keep up.
  public var droppedRecords: UInt64 = 0
  /// Volumes that are predicted.
  public var volumes = 0
  /// Volumes that are not, for lack of memory.
  public var volumesWithout = 0

  /// Nothing.
  public init() {}
}

/// Something that prediction decided on an extent, and what came of it.
public struct DecisionInfo: Codable, Sendable, Equatable {
  /// The volume; its number if it is gone.
  public var volume: String
  /// The extent.
  public var extent: UInt64
  /// `shadow`: one is made; `drop`: one is given up; `refuse`: one was worth making, and is not made.
  public var action: String
  /// The store of the shadow; nil of a refusal.
  public var store: String?
  /// Why, in words.
  public var reason: String
  /// Requests that it is expected to spare the slow tier; nil if nobody forecast it.
  public var expectedRequests: Double?
  /// `under way`, `done`, `withdrawn`, or why it failed.
  public var outcome: String
  /// From the request that led to it until it was done.
  public var microseconds: UInt64?
  /// Reads that the shadow had answered when it was given up.
  public var reads: UInt32?
  /// When, in seconds since 1970.
  public var seconds: Int64

  /// Takes all as they are.
  public init(
    volume: String, extent: UInt64, action: String, store: String?, reason: String,
    expectedRequests: Double?, outcome: String, microseconds: UInt64?, reads: UInt32?, seconds: Int64
  ) {
    self.volume = volume
    self.extent = extent
    self.action = action
    self.store = store
    self.reason = reason
    self.expectedRequests = expectedRequests
    self.outcome = outcome
    self.microseconds = microseconds
    self.reads = reads
    self.seconds = seconds
  }
}

/// How much an extent is accessed.
public struct ExtentHeatInfo: Codable, Sendable, Equatable {
  /// Its volatility score, from 0 to 1: the share of extents of which less is expected.
  public var score: Double
  /// The accesses that are expected of it within `horizonSeconds`.
  public var expectedAccesses: Double
  /// How far ahead they are expected.
  public var horizonSeconds: Int
  /// Since the last access.
  public var idleSeconds: Int
  /// The use that is due within a day because it came at the same hour of earlier days, in words; nil if
  /// there is none.
  public var rhythm: String?

  /// Takes all as they are.
  public init(
    score: Double, expectedAccesses: Double, horizonSeconds: Int, idleSeconds: Int, rhythm: String? = nil
  ) {
    self.score = score
    self.expectedAccesses = expectedAccesses
    self.horizonSeconds = horizonSeconds
    self.idleSeconds = idleSeconds
    self.rhythm = rhythm
  }
}

/// The answer to `GET /v1/volumes/{name}/why/{offset}`: why an extent lies where it does.
public struct WhyInfo: Codable, Sendable, Equatable {
  /// The volume.
  public var volume: String
  /// The byte that was asked for.
  public var offset: UInt64
  /// The extent, and where its copies lie.
  public var extent: ExtentRun
  /// How much it is accessed; nil if nothing is known, or nobody looks.
  public var heat: ExtentHeatInfo?
  /// The latest decisions on it that are remembered, newest first.
  public var decisions: [DecisionInfo]

  /// Takes all as they are.
  public init(
    volume: String, offset: UInt64, extent: ExtentRun, heat: ExtentHeatInfo?, decisions: [DecisionInfo]
  ) {
    self.volume = volume
    self.offset = offset
    self.extent = extent
    self.heat = heat
    self.decisions = decisions
  }
}
