public import Platform
public import Primitives

/// A place that holds extents, as the control plane sees it, whatever is behind it: a file, memory, another
/// server. The data path does not come through here: it asks once for `access`.
///
/// Offsets are bytes from the start of the store's file, device, memory or export; slots begin at
/// `dataOffset`: slot `n` of `b` bytes lies at `dataOffset + n × b`.
public protocol Store: AnyObject, Sendable {
  /// The store as the catalog describes it.
  var record: StoreRecord { get }
  /// Where the first slot begins, in bytes.
  var dataOffset: UInt64 { get }
  /// Bytes for slots, in whole granules of 64 KiB.
  var capacityBytes: UInt64 { get }
  /// False if what is written does not survive the process, so that only shadows may lie here.
  var mayHoldLiveCopies: Bool { get }
  /// What it can do besides reading and writing, found out when it was opened.
  var capabilities: StoreCapabilities { get }
  /// How a reactor reaches it.
  var access: StoreAccess { get }
  /// Gives the space of a range back. Best effort: the range reads zero or as before.
  func discard(offset: UInt64, length: UInt64) throws(SystemError)
  /// Makes a range read zero, in the cheapest way that the store has.
  func zero(offset: UInt64, length: UInt64) throws(SystemError)
  /// Makes everything that was written durable.
  func synchronize() throws(SystemError)
  /// Makes the store free for others at once. Nothing may be in flight; nothing but closing may follow.
  func unlock()
}

/// How the data path reaches a store. A reactor looks at this when it is told of the store, and keeps the
/// answer in a table: no request meets an existential.
public enum StoreAccess: Sendable {
  /// An open file or device, valid as long as the store is.
  ///
  /// - Parameter isCached: whether transfers go through the page cache.
  case file(descriptor: Int32, isCached: Bool)
  /// Memory of this process.
  case memory(MemoryStore)
  /// Another server, through the connection that one reactor owns.
  case remote(NBDStore)
  /// Not at all: everything fails.
  case absent
}

/// Fixed places of a store's space.
public enum StoreLayout {
  /// Space is handed out in whole granules, in bytes: the smallest slot.
  public static let granuleBytes: UInt64 = 64 << 10
  /// Bytes before the first slot of a file, device or export: labels, scratch area, room for later.
  public static let dataOffset: UInt64 = 1 << 20
  /// The least size of a file, device or export, in bytes.
  public static let sizeMin: UInt64 = 2 << 20

  /// Bytes for slots, in whole granules, of a store that begins with a label.
  public static func capacity(ofBytes sizeBytes: UInt64) -> UInt64 {
    guard sizeBytes > dataOffset else { return 0 }
    return (sizeBytes - dataOffset) / granuleBytes * granuleBytes
  }
}
