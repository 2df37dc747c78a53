public import Primitives

/// Where the live copy of one extent lies, and who is working on it: one 64-bit word of the extent map.
///
/// ```
///  63    62       61           60      59 … 46   45 … 38   37      36 … 0
/// ┌────┬────────┬───────────┬────────┬─────────┬─────────┬───────┬──────────┐
/// │gate│shadowed│uncommitted│ ranged │ writers │  store  │closed │ slot + 1 │
/// └────┴────────┴───────────┴────────┴─────────┴─────────┴───────┴──────────┘
///  └────────────── run-time state ────────────┘           └ too ┘
/// ```
///
/// Store and slot are the **address**, and are all that the catalog keeps; 0 means unmapped (the extent reads
/// as zeros). The other 19 bits exist only while the pool is served.
///
/// - `gate`: somebody is about to change where the extent lies. New writers go to the slow path.
/// - `shadowed`: the extent has shadows; they are looked up beside the map.
/// - `uncommitted`: the address is newer than the catalog; a durable write needs a map commit too.
/// - `ranged`: a read-modify-write is going on; writers must take a range lock first.
/// - `writers`: writes in flight, so that whoever holds the gate knows when they have drained.
/// - `closed`: nobody has written to the extent for a while, and it may be sealed: the next writer goes to
///   the slow path, and opens it (`SealEntry`).
/// - `slot + 1`: in units of the volume's extent size from the store's data offset.
@frozen
public struct MapEntry: RawRepresentable, Hashable, Sendable {
  /// The whole word.
  public let rawValue: UInt64

  /// An entry as it was loaded.
  @inlinable
  public init(rawValue: UInt64) {
    self.rawValue = rawValue
  }

  /// The entry of a live copy at rest.
  @inlinable
  public init(store: StoreID, slot: UInt64) {
    precondition(slot < Self.slotMask, "slot does not fit an extent map entry")
    rawValue = UInt64(store.rawValue) << Self.storeShift | (slot + 1)
  }

  /// An extent that lies nowhere and reads as zeros, at rest.
  public static let unmapped = MapEntry(rawValue: 0)

  @usableFromInline static let slotMask: UInt64 = (1 << 37) - 1
  @usableFromInline static let storeShift: UInt64 = 38

  /// The bits that the catalog keeps.
  public static let addressMask: UInt64 = (1 << 46) - 1 - closed
  /// The bit `closed`.
  public static let closed: UInt64 = 1 << 37
  /// One writer: what is added and subtracted.
  public static let oneWriter: UInt64 = 1 << 46
  /// The bits of `writers`.
  public static let writersMask: UInt64 = 0x3fff << 46
  /// The bit `ranged`.
  public static let ranged: UInt64 = 1 << 60
  /// The bit `uncommitted`.
  public static let uncommitted: UInt64 = 1 << 61
  /// The bit `shadowed`.
  public static let shadowed: UInt64 = 1 << 62
  /// The bit `gate`.
  public static let gate: UInt64 = 1 << 63

  /// Writes that can be in flight on one extent; the sum of all requests in flight must stay below it.
  public static let writersMax = 0x3fff

  /// Whether the extent has a live copy.
  @inlinable public var isMapped: Bool { rawValue & Self.slotMask != 0 }
  /// Whether somebody is about to change where it lies.
  @inlinable public var isGated: Bool { rawValue & Self.gate != 0 }
  /// Whether the next writer has to open the extent.
  @inlinable public var isClosed: Bool { rawValue & Self.closed != 0 }
  /// Whether a writer takes the slow path, whatever its kind: one test for the fast one.
  @inlinable public var stopsWriters: Bool { rawValue & (Self.gate | Self.closed) != 0 }
  /// Whether writers must take a range lock first.
  @inlinable public var isRanged: Bool { rawValue & Self.ranged != 0 }
  /// Whether the extent has shadows.
  @inlinable public var isShadowed: Bool { rawValue & Self.shadowed != 0 }
  /// Whether the address is newer than the catalog.
  @inlinable public var isUncommitted: Bool { rawValue & Self.uncommitted != 0 }
  /// Writes in flight.
  @inlinable public var writers: Int { Int((rawValue & Self.writersMask) >> 46) }

  /// The persistent part, as the catalog stores it.
  @inlinable public var address: MapEntry { MapEntry(rawValue: rawValue & Self.addressMask) }

  /// The store of the live copy. Only meaningful if mapped.
  @inlinable public var store: StoreID {
    StoreID(rawValue: UInt8(truncatingIfNeeded: rawValue >> Self.storeShift))
  }

  /// The slot of the live copy, in extents of the volume's size. Only meaningful if mapped.
  @inlinable public var slot: UInt64 { (rawValue & Self.slotMask) &- 1 }
}
