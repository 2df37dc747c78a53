/// How a store's file or device is opened for data.
public enum CacheMode: String, Sendable, Codable, CaseIterable {
  /// O_DIRECT: no page cache, latency and memory are the store's own. The default.
  case direct
  /// Through the page cache.
  case page
}

/// What kind of place a store is.
public enum StoreKind: String, Sendable, Codable, CaseIterable {
  /// A regular file or a block device.
  case file
  /// Memory: volatile, so never a place for a live copy.
  case memory
}

/// A store as the catalog describes it.
public struct StoreRecord: Sendable, Equatable {
  public var id: StoreID
  public var uuid: UUID128
  public var name: String
  public var kind: StoreKind
  /// Absolute path of the file or device.
  public var path: String
  /// Bytes that the store may occupy, its label included.
  public var sizeBytes: UInt64
  /// 0 is the fastest.
  public var tier: Int
  public var region: String
  public var zone: String
  public var node: String
  /// Cost per GiB and month, in any one currency.
  public var cost: Double
  public var cache: CacheMode

  public init(
    id: StoreID, uuid: UUID128, name: String, kind: StoreKind = .file, path: String, sizeBytes: UInt64,
    tier: Int, region: String = "", zone: String = "", node: String = "", cost: Double = 0,
    cache: CacheMode = .direct
  ) {
    self.id = id
    self.uuid = uuid
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

/// A volume as the catalog describes it.
public struct VolumeRecord: Sendable, Equatable {
  public var id: VolumeID
  public var uuid: UUID128
  public var name: String
  public var sizeBytes: UInt64
  /// A power of two from `ExtentSize.minimum` to `ExtentSize.maximum`.
  public var extentBytes: UInt64
  public var readOnly: Bool

  public init(
    id: VolumeID, uuid: UUID128, name: String, sizeBytes: UInt64, extentBytes: UInt64 = ExtentSize.standard,
    readOnly: Bool = false
  ) {
    self.id = id
    self.uuid = uuid
    self.name = name
    self.sizeBytes = sizeBytes
    self.extentBytes = extentBytes
    self.readOnly = readOnly
  }

  /// Extents that the volume's address space is cut into; the last may be partly beyond the end.
  public var extentCount: UInt64 {
    (sizeBytes + extentBytes - 1) / extentBytes
  }
}

/// Bounds of a volume's extent size, in bytes.
public enum ExtentSize {
  public static let minimum: UInt64 = 64 << 10
  public static let maximum: UInt64 = 64 << 20
  /// 1 MiB: on recorded traces as good as 256 KiB for the bytes it moves, with a quarter of the map.
  public static let standard: UInt64 = 1 << 20
}

/// A block: the unit of atomicity and alignment of the data path, in bytes.
public enum Block {
  @inlinable public static var bytes: UInt64 { 4096 }
  @inlinable public static var shift: UInt64 { 12 }
}

extension Block {
  /// The start of the block that holds a byte offset.
  @inlinable
  public static func floor(_ offset: UInt64) -> UInt64 {
    offset & ~(bytes - 1)
  }

  /// The end of the block that ends at or after a byte offset.
  @inlinable
  public static func ceiling(_ offset: UInt64) -> UInt64 {
    (offset + bytes - 1) & ~(bytes - 1)
  }
}
