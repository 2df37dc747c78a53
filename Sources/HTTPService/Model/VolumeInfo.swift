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

  /// Takes every figure as it is.
  public init(
    name: String, uuid: String, sizeBytes: UInt64, extentBytes: UInt64, readOnly: Bool, mappedBytes: UInt64,
    connections: Int, state: VolumeState = .online
  ) {
    self.name = name
    self.uuid = uuid
    self.sizeBytes = sizeBytes
    self.extentBytes = extentBytes
    self.readOnly = readOnly
    self.mappedBytes = mappedBytes
    self.connections = connections
    self.state = state
  }

  /// What the catalog says about a volume, with the figures that only the running daemon knows.
  public init(_ record: VolumeRecord, mappedBytes: UInt64, connections: Int) {
    self.init(
      name: record.name, uuid: record.uuid.description, sizeBytes: record.sizeBytes,
      extentBytes: record.extentBytes, readOnly: record.readOnly, mappedBytes: mappedBytes,
      connections: connections)
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

  /// What is not said has its default.
  public init(name: String, sizeBytes: UInt64, extentBytes: UInt64? = nil, readOnly: Bool = false) {
    self.name = name
    self.sizeBytes = sizeBytes
    self.extentBytes = extentBytes
    self.readOnly = readOnly
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
