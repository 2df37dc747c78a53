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
  /// An export of another NBD server.
  case nbd
}

/// A store as the catalog describes it.
public struct StoreRecord: Sendable, Equatable {
  /// Its number in the pool; free for another store once this one is removed.
  public var id: StoreID
  /// Its identity, which is also in its label.
  public var uuid: UUID128
  /// What people call it, unique in the pool.
  public var name: String
  /// What kind of place it is.
  public var kind: StoreKind
  /// Where it is: the absolute path of a file or device, the URI of an export, `memory:`.
  public var path: String
  /// Bytes that the store may occupy, its label included.
  public var sizeBytes: UInt64
  /// 0 is the fastest.
  public var tier: Int
  /// Where it is; empty if nobody said.
  public var region: String
  /// Where in the region; empty if nobody said.
  public var zone: String
  /// The machine that it is in; empty if nobody said.
  public var node: String
  /// Cost per GiB and month, in any one currency.
  public var cost: Double
  /// How its file is opened for data.
  public var cache: CacheMode
  /// Whether its copies are being moved away: it gets no new ones.
  public var isDraining: Bool

  /// A store; the defaults are those of `gnomon pool create`.
  public init(
    id: StoreID, uuid: UUID128, name: String, kind: StoreKind = .file, path: String, sizeBytes: UInt64,
    tier: Int, region: String = "", zone: String = "", node: String = "", cost: Double = 0,
    cache: CacheMode = .direct, isDraining: Bool = false
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
    self.isDraining = isDraining
  }
}

/// A volume as the catalog describes it.
public struct VolumeRecord: Sendable, Equatable {
  /// Its number in the pool, never used for another volume.
  public var id: VolumeID
  /// Its identity.
  public var uuid: UUID128
  /// Its name, unique in the pool: what it is exported under.
  public var name: String
  /// Bytes of its address space.
  public var sizeBytes: UInt64
  /// A power of two from `ExtentSize.minimum` to `ExtentSize.maximum`.
  public var extentBytes: UInt64
  /// Whether clients may only read it.
  public var readOnly: Bool
  /// How many copies there are to be of it, and where.
  public var redundancy: Redundancy
  /// On which tiers they belong.
  public var tiers: TierRules

  /// A volume; by default writable, with extents of the standard size.
  public init(
    id: VolumeID, uuid: UUID128, name: String, sizeBytes: UInt64, extentBytes: UInt64 = ExtentSize.standard,
    readOnly: Bool = false, redundancy: Redundancy = Redundancy(), tiers: TierRules = TierRules()
  ) {
    self.id = id
    self.uuid = uuid
    self.name = name
    self.sizeBytes = sizeBytes
    self.extentBytes = extentBytes
    self.readOnly = readOnly
    self.redundancy = redundancy
    self.tiers = tiers
  }

  /// Extents that the volume's address space is cut into; the last may be partly beyond the end.
  public var extentCount: UInt64 {
    (sizeBytes + extentBytes - 1) / extentBytes
  }
}

/// Bounds of a volume's extent size, in bytes.
public enum ExtentSize {
  /// 64 KiB: the granule in which stores hand out space.
  public static let minimum: UInt64 = 64 << 10
  /// 64 MiB: a zone of the slot allocator.
  public static let maximum: UInt64 = 64 << 20
  /// 1 MiB: on recorded traces as good as 256 KiB for the bytes it moves, with a quarter of the map.
  public static let standard: UInt64 = 1 << 20
}

/// A block: the unit of atomicity and alignment of the data path, in bytes.
public enum Block {
  /// 4096: the sector size that direct I/O is aligned to, and a page of memory.
  @inlinable public static var bytes: UInt64 { 4096 }
  /// log2 of `bytes`.
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
