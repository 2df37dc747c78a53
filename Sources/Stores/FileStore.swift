import Glibc
public import Platform
public import Primitives

/// A store in a regular file or on a block device.
///
/// ```
/// 0        4 KiB     64 KiB   68 KiB    512 KiB  576 KiB    1 MiB
/// ┌────────┬─────────┬────────┬─────────┬────────┬──────────┬──────────────┐
/// │ label  │ unused  │ label  │ unused  │ scratch│ unused   │ slots …      │
/// └────────┴─────────┴────────┴─────────┴────────┴──────────┴──────────────┘
/// ```
public final class FileStore: Store {
  /// The store as the catalog describes it.
  public let record: StoreRecord
  /// For data. Valid as long as the store is; closed, and the file unlocked, with it.
  public let descriptor: FileDescriptor
  /// Whether `descriptor` bypasses the page cache, so that memory, offset and length must be aligned to 4096.
  public let isDirect: Bool
  /// A regular file or a block device.
  public let kind: FileKind
  /// What was found to work when the store was opened.
  public let capabilities: StoreCapabilities

  /// Where the first slot begins, in bytes.
  public var dataOffset: UInt64 { StoreLayout.dataOffset }
  /// Bytes for slots, in whole granules of 64 KiB.
  public var capacityBytes: UInt64 { StoreLayout.capacity(ofBytes: record.sizeBytes) }
  /// True: what is written here lasts.
  public var mayHoldLiveCopies: Bool { true }
  /// Through the ring's fixed files.
  public var access: StoreAccess { .file(descriptor: descriptor.raw, isCached: !isDirect) }

  private static let log = Log("store")

  /// Opens a store after it has proved to be the one that `record` describes.
  ///
  /// Nothing is written unless the label is right; then only the scratch area is. Waits a moment for a
  /// process that is about to release the store: the kernel does so late after a kill.
  ///
  /// - Throws: `notFound` if the file does not exist; `corrupt` if it is too short or its label is missing
  ///   or damaged; `conflict` if it belongs to another pool or is another store of this pool, or if another
  ///   process uses it; `system` if it can not be opened.
  public init(
    opening record: StoreRecord, pool: UUID128,
    waitMilliseconds: UInt64 = FileDescriptor.lockWaitMilliseconds
  ) throws(GnomonError) {
    self.record = record
    do {
      try Self.inspection(reading: record).found.verify(pool: pool)
      var isDirect = record.cache == .direct
      let descriptor = try Self.openForData(record, isDirect: &isDirect)
      kind = try descriptor.kind()
      try Self.lock(descriptor, record, waitMilliseconds: waitMilliseconds)
      capabilities = StoreCapabilities(probing: descriptor)
      Failpoint.storeProbed.pass()
      self.descriptor = descriptor
      self.isDirect = isDirect
    } catch {
      throw StoreErrors.translate(error, record, "store \(record.name) can not be opened")
    }
  }

  /// Makes the store free for others at once. Nothing may be in flight; nothing but closing may follow.
  ///
  /// Closing alone would not do: the kernel takes its time to let go of a ring's files.
  public func unlock() {
    descriptor.unlock()
  }

  static func lock(
    _ descriptor: borrowing FileDescriptor, _ record: StoreRecord, waitMilliseconds: UInt64
  ) throws {
    let isLocked = try descriptor.lock(waitMilliseconds: waitMilliseconds) {
      log.info("the store is in use; waiting for it", ["store": record.name, "path": record.path])
    }
    guard isLocked else { throw StoreErrors.inUse(record) }
  }

  /// Checks a store's label without opening the store for use, and without changing anything.
  ///
  /// - Returns: how many of the two copies of the label are damaged although the other is sound.
  /// - Throws: like `init(opening:pool:)`.
  public static func inspect(_ record: StoreRecord, pool: UUID128) throws(GnomonError) -> Int {
    do {
      let inspection = try inspection(reading: record).found
      try inspection.verify(pool: pool)
      return inspection.damagedCopies
    } catch {
      throw StoreErrors.translate(error, record, "store \(record.name) can not be read")
    }
  }

  /// Looks at what lies at a store's path, without changing anything.
  static func inspection(reading record: StoreRecord) throws -> (found: StoreInspection, kind: FileKind) {
    // O_NONBLOCK: a FIFO in the place of the file must not hang us.
    let descriptor = try FileDescriptor.open(record.path, O_RDONLY | O_NONBLOCK)
    let kind = try descriptor.kind()
    guard kind != .other else {
      throw GnomonError(.invalid, "\(record.path) is neither a regular file nor a block device")
    }
    let size = try kind == .blockDevice ? descriptor.blockDeviceSize() : descriptor.size()
    let found = try StoreInspection(of: record, sizeBytes: size) { try descriptor.readBytes($0, at: $1) }
    return (found, kind)
  }

  /// Opens the file past the page cache if that is wanted; `isDirect` becomes false if it is not possible.
  private static func openForData(
    _ record: StoreRecord, isDirect: inout Bool
  ) throws(SystemError) -> FileDescriptor {
    if isDirect {
      do {
        let descriptor = try FileDescriptor.open(record.path, O_RDWR | FileDescriptor.direct)
        // Some file systems refuse only when it comes to reading.
        let block = try AlignedMemory(count: Int(Block.bytes))
        let memory = unsafe UnsafeMutableRawBufferPointer(start: block.base, count: Int(Block.bytes))
        _ = unsafe try descriptor.read(into: memory, at: 0)
        return descriptor
      } catch  where error.errno == EINVAL || error.errno == EOPNOTSUPP {
        log.warning(
          "direct I/O is not possible here, the page cache is used",
          ["store": record.name, "path": record.path])
        isDirect = false
      }
    }
    return try FileDescriptor.open(record.path, O_RDWR)
  }

  /// Punches a hole; the range reads zero afterwards. Does nothing where that is not possible.
  public func discard(offset: UInt64, length: UInt64) throws(SystemError) {
    precondition(offset >= dataOffset && offset + length <= dataOffset + capacityBytes)
    guard capabilities.punchHole else { return }
    do {
      try descriptor.punchHole(offset: offset, length: length)
    } catch  where error.errno == EOPNOTSUPP {
    }
  }

  /// Makes a range read zero; writes zeros if there is no better way.
  public func zero(offset: UInt64, length: UInt64) throws(SystemError) {
    precondition(offset >= dataOffset && offset + length <= dataOffset + capacityBytes)
    if capabilities.zeroRange { return try descriptor.zeroRange(offset: offset, length: length) }
    if capabilities.punchHole { return try descriptor.punchHole(offset: offset, length: length) }
    let zeros = try AlignedMemory(count: Int(min(length, 1 << 20)))
    var done: UInt64 = 0
    while done < length {
      let count = min(length - done, UInt64(zeros.count))
      unsafe try descriptor.write(
        UnsafeRawBufferPointer(start: zeros.base, count: Int(count)), at: offset + done)
      done += count
    }
  }

  /// Makes everything that was written durable (fdatasync).
  public func synchronize() throws(SystemError) {
    try descriptor.synchronizeData()
  }
}
