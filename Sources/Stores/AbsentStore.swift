import Glibc
public import Platform
public import Primitives

/// A store that the pool is served without: nothing is known of it but its record, and nothing can be done
/// with it. What has no copy elsewhere can not be read until the pool is served with it again.
public final class AbsentStore: Store {
  /// The store as the catalog describes it.
  public let record: StoreRecord

  /// - Parameter record: what is absent.
  public init(_ record: StoreRecord) {
    self.record = record
  }

  /// Where the first slot would begin, in bytes.
  public var dataOffset: UInt64 { record.kind == .memory ? 0 : StoreLayout.dataOffset }
  /// Bytes for slots, in whole granules of 64 KiB.
  public var capacityBytes: UInt64 { StoreFactory.capacityBytes(of: record) }
  /// What its kind may.
  public var mayHoldLiveCopies: Bool { record.kind != .memory }
  /// Nothing.
  public var capabilities: StoreCapabilities {
    StoreCapabilities(zeroRange: false, punchHole: false, preallocate: false)
  }
  /// None.
  public var access: StoreAccess { .absent }

  /// Does nothing: the space is given back when it is used again.
  public func discard(offset: UInt64, length: UInt64) throws(SystemError) {}

  /// Throws ENODEV.
  public func zero(offset: UInt64, length: UInt64) throws(SystemError) {
    throw SystemError("zero", record.path, errno: ENODEV)
  }

  /// Does nothing: nothing was written.
  public func synchronize() throws(SystemError) {}

  /// Does nothing: it was never locked.
  public func unlock() {}
}
