public import Primitives

/// A volume as the daemon sees it.
public struct VolumeInfo: Codable, Sendable, Equatable {
  /// Unique within the pool; also the name of the NBD export.
  public var name: String
  /// Stays the same when the volume is resized.
  public var uuid: String
  /// What clients see; a multiple of 4096.
  public var sizeBytes: UInt64
  /// Bytes of its extents.
  public var extentBytes: UInt64
  /// Whether writes are refused.
  public var readOnly: Bool
  /// Bytes of the extents that have a copy; the rest reads as zeros and takes no room.
  public var mappedBytes: UInt64
  /// NBD connections that have the volume open.
  public var connections: Int
  /// Whether it serves.
  public var state: VolumeState
  /// Copies that each extent is to have, the live one included.
  public var copies: Int
  /// What no two of them may share.
  public var across: FailureDomain
  /// When writes are acknowledged.
  public var protection: ProtectionWord
  /// What becomes of requests when no copy can be reached.
  public var errors: ErrorPolicy
  /// The tier on which its live copies belong; nil: none in particular.
  public var pin: Int?
  /// Tiers that get no copies.
  public var never: TierSet
  /// Mapped extents that have fewer copies than wanted which are up to date and may take over.
  public var lackingExtents: UInt64

  /// Takes every figure as it is.
  public init(
    name: String, uuid: String, sizeBytes: UInt64, extentBytes: UInt64, readOnly: Bool, mappedBytes: UInt64,
    connections: Int, state: VolumeState = .online, redundancy: Redundancy = Redundancy(),
    tiers: TierRules = TierRules(), lackingExtents: UInt64 = 0
  ) {
    self.name = name
    self.uuid = uuid
    self.sizeBytes = sizeBytes
    self.extentBytes = extentBytes
    self.readOnly = readOnly
    self.mappedBytes = mappedBytes
    self.connections = connections
    self.state = state
    copies = redundancy.copies
    across = redundancy.across
    protection = ProtectionWord(redundancy.protection)
    errors = redundancy.errors
    pin = tiers.pin
    never = tiers.never
    self.lackingExtents = lackingExtents
  }

  /// What the catalog says about a volume, with the figures that only the running daemon knows.
  public init(_ record: VolumeRecord, mappedBytes: UInt64, connections: Int) {
    self.init(
      name: record.name, uuid: record.uuid.description, sizeBytes: record.sizeBytes,
      extentBytes: record.extentBytes, readOnly: record.readOnly, mappedBytes: mappedBytes,
      connections: connections, redundancy: record.redundancy, tiers: record.tiers)
  }
}

/// A `Protection` on the wire.
public enum ProtectionWord: String, Codable, Sendable, CaseIterable {
  /// When all synced shadows have a write, it is acknowledged.
  case sync
  /// When the live copy has it; shadows get it a little later.
  case async
  /// When the live copy has it; shadows are left behind.
  case none

  /// The word for it.
  public init(_ protection: Protection) {
    self =
      switch protection {
      case .sync: .sync
      case .async: .async
      case .none: .none
      }
  }

  /// What it stands for.
  public var protection: Protection {
    switch self {
    case .sync: .sync
    case .async: .async
    case .none: .none
    }
  }
}

/// Whether a volume serves.
public enum VolumeState: String, Codable, Sendable, CaseIterable {
  /// Serving.
  case online
  /// A failed store has lost writes of it: it is read, and its flushes fail until the daemon is restarted.
  case failed
}

/// The answer to `GET /v1/volumes`.
public struct VolumeList: Codable, Sendable, Equatable {
  /// Sorted by name.
  public var volumes: [VolumeInfo]

  /// Wraps the list.
  public init(volumes: [VolumeInfo]) {
    self.volumes = volumes
  }
}

/// What is needed to create a volume: the body of `POST /v1/volumes`.
public struct VolumeRequest: Codable, Sendable, Equatable {
  /// See `Validation.checkName`.
  public var name: String
  /// A multiple of 4096.
  public var sizeBytes: UInt64
  /// nil: the daemon's default.
  public var extentBytes: UInt64?
  /// Whether writes are refused.
  public var readOnly: Bool
  /// Copies that each extent is to have; nil: one.
  public var copies: Int?
  /// What no two of them may share; nil: a store.
  public var across: FailureDomain?
  /// When writes are acknowledged; nil: `sync`.
  public var protection: ProtectionWord?
  /// What becomes of requests when no copy can be reached; nil: `hold`.
  public var errors: ErrorPolicy?
  /// The tier on which its live copies belong; nil: none in particular.
  public var pin: Int?
  /// Tiers that get no copies; nil: none.
  public var never: TierSet?

  /// What is not said has its default.
  public init(
    name: String, sizeBytes: UInt64, extentBytes: UInt64? = nil, readOnly: Bool = false,
    redundancy: RedundancyChange = RedundancyChange(), tiers: TierRulesChange = TierRulesChange()
  ) {
    self.name = name
    self.sizeBytes = sizeBytes
    self.extentBytes = extentBytes
    self.readOnly = readOnly
    copies = redundancy.copies
    across = redundancy.across
    protection = redundancy.protection
    errors = redundancy.errors
    pin = tiers.pin?.tier
    never = tiers.never
  }

  /// On which tiers it belongs.
  public var tiers: TierRulesChange { TierRulesChange(pin: pin.map { .tier($0) }, never: never) }

  /// What it is to survive.
  public var redundancy: RedundancyChange {
    RedundancyChange(copies: copies, across: across, protection: protection, errors: errors)
  }
}

/// What is to change of what a volume wants to survive.
public struct RedundancyChange: Codable, Sendable, Equatable {
  /// Copies of each extent, the live one included; nil: as it is.
  public var copies: Int?
  /// What no two of them may share; nil: as it is.
  public var across: FailureDomain?
  /// When writes are acknowledged; nil: as it is.
  public var protection: ProtectionWord?
  /// What becomes of requests when no copy can be reached; nil: as it is.
  public var errors: ErrorPolicy?

  /// What is not said stays.
  public init(
    copies: Int? = nil, across: FailureDomain? = nil, protection: ProtectionWord? = nil,
    errors: ErrorPolicy? = nil
  ) {
    self.copies = copies
    self.across = across
    self.protection = protection
    self.errors = errors
  }

  /// Whether nothing changes.
  public var isEmpty: Bool { copies == nil && across == nil && protection == nil && errors == nil }

  /// What is wanted after the change.
  public func applied(to redundancy: Redundancy = Redundancy()) -> Redundancy {
    Redundancy(
      copies: copies ?? redundancy.copies, across: across ?? redundancy.across,
      protection: protection?.protection ?? redundancy.protection, errors: errors ?? redundancy.errors)
  }
}

/// The body of `PATCH /v1/volumes/{name}`.
public struct VolumeChange: Codable, Sendable, Equatable {
  /// The new size; a multiple of 4096.
  public var sizeBytes: UInt64
  /// Allows shrinking.
  public var force: Bool

  /// Without `force`, nothing is lost.
  public init(sizeBytes: UInt64, force: Bool = false) {
    self.sizeBytes = sizeBytes
    self.force = force
  }
}
