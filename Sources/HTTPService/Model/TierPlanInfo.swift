/// The answer to `GET /v1/plan` and `POST /v1/plan`: what the tier policy has to move now.
public struct TierPlanInfo: Codable, Sendable, Equatable {
  /// Moves that are listed at most.
  public static let movesMax = 100

  /// An extent that belongs on another tier.
  public struct Move: Codable, Sendable, Equatable {
    /// The volume.
    public var volume: String
    /// The extent.
    public var extent: UInt64
    /// The tier of its live copy.
    public var fromTier: Int
    /// The tier that it belongs on.
    public var toTier: Int
    /// The store that it goes to.
    public var store: String
    /// The accesses that are expected of it within `horizonSeconds`.
    public var expectedAccesses: Double
    /// Why, in words.
    public var reason: String

    /// Takes all as they are.
    public init(
      volume: String, extent: UInt64, fromTier: Int, toTier: Int, store: String, expectedAccesses: Double,
      reason: String
    ) {
      self.volume = volume
      self.extent = extent
      self.fromTier = fromTier
      self.toTier = toTier
      self.store = store
      self.expectedAccesses = expectedAccesses
      self.reason = reason
    }
  }

  /// What a tier has room for.
  public struct Tier: Codable, Sendable, Equatable {
    /// Its number; 0 is the fastest.
    public var tier: Int
    /// Bytes that are free in its stores.
    public var freeBytes: UInt64
    /// Bytes of its stores.
    public var capacityBytes: UInt64

    /// Takes all as they are.
    public init(tier: Int, freeBytes: UInt64, capacityBytes: UInt64) {
      self.tier = tier
      self.freeBytes = freeBytes
      self.capacityBytes = capacityBytes
    }
  }

  /// Whether extents are moved by themselves at all.
  public var enabled: Bool
  /// How far ahead accesses are expected.
  public var horizonSeconds = 0
  /// Until the next round.
  public var nextSeconds = 0
  /// The tiers of stores that outlive the process, the fastest first.
  public var tiers: [Tier] = []
  /// Extents that go to a faster tier.
  public var up = 0
  /// Extents that go to a slower one.
  public var down = 0
  /// Bytes of their live copies.
  public var bytes: UInt64 = 0
  /// More is worth moving, once there is room or the next round comes.
  public var isMore = false
  /// The first of the moves, in the order in which they are made.
  public var moves: [Move] = []
  /// Extents that belong elsewhere and can not be moved.
  public var refused = 0
  /// Why the last of them can not.
  public var complaint: String?
  /// The job that makes the moves; nil if none is under way.
  public var job: Int?

  /// Nothing is to be moved.
  public init(enabled: Bool) {
    self.enabled = enabled
  }
}
