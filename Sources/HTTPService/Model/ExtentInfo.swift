/// Extents that follow each other and have their copies in the same stores, in the same state, for the same
/// reason.
public struct ExtentRun: Codable, Sendable, Equatable {
  /// The first.
  public var first: UInt64
  /// The last.
  public var last: UInt64
  /// The store of the live copy; nil: they have no copy, and read as zeros.
  public var live: String?
  /// That store's tier.
  public var tier: Int?
  /// The other copies.
  public var shadows: [ShadowInfo]
  /// Why they lie there, in words; nil of extents without a copy.
  public var why: String?

  /// Takes all as they are.
  public init(
    first: UInt64, last: UInt64, live: String? = nil, tier: Int? = nil, shadows: [ShadowInfo] = [],
    why: String? = nil
  ) {
    self.first = first
    self.last = last
    self.live = live
    self.tier = tier
    self.shadows = shadows
    self.why = why
  }
}

/// A shadow of an extent.
public struct ShadowInfo: Codable, Sendable, Equatable {
  /// Where it lies.
  public var store: String
  /// Whether it is equal to the live copy.
  public var state: ShadowState

  /// Takes both as they are.
  public init(store: String, state: ShadowState) {
    self.store = store
    self.state = state
  }
}

/// Whether a shadow is equal to the live copy.
public enum ShadowState: String, Codable, Sendable, CaseIterable {
  /// It is: it may be read and take over.
  case synced
  /// It lacks something.
  case stale
  /// It lacks something that is being copied to it.
  case filling
}

/// The answer to `GET /v1/volumes/{name}/extents/{extents}`.
public struct ExtentList: Codable, Sendable, Equatable {
  /// Whose extents.
  public var volume: String
  /// Bytes of one.
  public var extentBytes: UInt64
  /// Extents that the volume has.
  public var extentCount: UInt64 = 0
  /// Ascending.
  public var runs: [ExtentRun]
  /// Ask again from here on: there was more than fits one answer.
  public var next: UInt64?

  /// Runs in one answer, at most.
  public static let runsMax = 4096

  /// Takes all as they are.
  public init(volume: String, extentBytes: UInt64, runs: [ExtentRun], next: UInt64? = nil) {
    self.volume = volume
    self.extentBytes = extentBytes
    self.runs = runs
    self.next = next
  }
}
