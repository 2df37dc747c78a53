public import Platform
public import Primitives

/// A place that holds extents: the seam between the data path and what is behind it.
///
/// Offsets are bytes from the start of the store's file, device or memory; slots begin at `dataOffset`:
/// slot `n` of `b` bytes lies at `dataOffset + n × b`.
public protocol Store: AnyObject, Sendable {
  /// The store as the catalog describes it.
  var record: StoreRecord { get }
  /// Where the first slot begins, in bytes.
  var dataOffset: UInt64 { get }
  /// Bytes for slots, in whole granules of 64 KiB.
  var capacityBytes: UInt64 { get }
  /// False if what is written does not survive the process, so that only shadows may lie here.
  var mayHoldLiveCopies: Bool { get }
  /// Gives the space of a range back. Best effort: the range reads zero or as before.
  func discard(offset: UInt64, length: UInt64) throws(SystemError)
  /// Makes a range read zero, in the cheapest way that the store has.
  func zero(offset: UInt64, length: UInt64) throws(SystemError)
  /// Makes everything that was written durable.
  func synchronize() throws(SystemError)
}

/// Fixed places of a store's space.
public enum StoreLayout {
  /// Space is handed out in whole granules, in bytes: the smallest slot.
  public static let granuleBytes: UInt64 = 64 << 10
  /// Bytes before the first slot of a file or device: labels, scratch area, room for later.
  public static let dataOffset: UInt64 = 1 << 20
  /// The least size of a file or device, in bytes.
  public static let sizeMin: UInt64 = 2 << 20
}
