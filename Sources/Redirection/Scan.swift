public import ExtentMap
package import Platform
public import Primitives

/// A part of one copy of an extent that is to be read for its checksum, and what the parts before it gave.
public struct Scan: Sendable {
  /// Where the copy lies.
  public var store: StoreID
  /// What `ExtentMapView.seal(_:)` was before the first part was read: if somebody has opened the extent
  /// since, what was read is of no use.
  public var since: SealEntry
  /// Bytes of the extent that have been read.
  public var offset: UInt64
  /// Their checksum.
  public var sum: UInt32 { checksum.value }
  package var checksum = CRC32C()

  /// Bytes that one step reads at most.
  public static let bytesPerStep: UInt64 = 1 << 20
  /// Bytes of one transfer.
  static let bytesPerUnit: UInt64 = 256 << 10

  /// The beginning of a copy.
  public init(store: StoreID = StoreID(rawValue: 0), since: SealEntry = .open) {
    self.store = store
    self.since = since
    offset = 0
  }
}

/// How one step of a scan has ended.
public enum ScanOutcome: Sendable {
  /// It has been read; the scan says how far it has come.
  case read(Scan)
  /// There was no room to begin, or a writer is about to leave; later there will be.
  case busy
  /// The extent has been written to or unmapped, or has no such copy any more that is equal to the live one.
  case void
  /// Its medium is bad there: EIO.
  case unreadable(Int32)
  /// Its store does not answer, or not now: errno.
  case unreachable(Int32)
}
