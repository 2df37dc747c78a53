import Glibc
import Platform
public import Primitives

extension FileStore {
  /// Makes a store: a sparse file, or an existing file or block device that holds nothing yet. When this
  /// returns, the label is durable.
  ///
  /// - Parameter force: use the file or device although there is something on it. That is lost.
  /// - Throws: `invalid` if the size is too small, exceeds the device, or the device's sectors exceed 4096
  ///   bytes; `conflict` if there is another store or foreign data, or it is in use; `full`, `system`.
  public static func create(
    _ record: StoreRecord, pool: UUID128, force: Bool = false
  ) throws(GnomonError) {
    do {
      guard record.sizeBytes >= StoreLayout.sizeMin else {
        throw GnomonError(
          .invalid, "\(ByteSize(rawValue: record.sizeBytes)) is too small for store \(record.name)",
          remedy: "give it at least \(ByteSize(rawValue: StoreLayout.sizeMin))")
      }
      let isNew = unsafe Glibc.access(record.path, F_OK) != 0
      if isNew {
        try createNew(record, pool: pool)
      } else {
        try takeExisting(record, pool: pool, force: force)
      }
      Failpoint.storeMade.pass()
    } catch {
      throw StoreErrors.translate(error, record, "store \(record.name) can not be made at \(record.path)")
    }
  }

  private static func createNew(_ record: StoreRecord, pool: UUID128) throws {
    guard unsafe Glibc.access(folder(of: record.path), F_OK) == 0 else {
      throw GnomonError(.notFound, "the folder of \(record.path) does not exist", remedy: "make it first")
    }
    let descriptor = try FileDescriptor.open(record.path, O_RDWR | O_CREAT | O_EXCL)
    do {
      try descriptor.truncate(to: record.sizeBytes)
      Failpoint.storeFileMade.pass()
      try writeLabels(descriptor, StoreLabel(of: record, pool: pool))
      try FileDescriptor.open(folder(of: record.path), O_RDONLY | O_DIRECTORY).synchronize()
    } catch {
      unsafe unlink(record.path)
      throw error
    }
  }

  private static func takeExisting(_ record: StoreRecord, pool: UUID128, force: Bool) throws {
    let (inspection, kind) = try inspection(reading: record)
    let isDevice = kind == .blockDevice
    // O_EXCL on a block device fails if it is mounted or otherwise claimed.
    let descriptor = try FileDescriptor.open(record.path, O_RDWR | (isDevice ? O_EXCL : 0))
    try lock(descriptor, record, waitMilliseconds: FileDescriptor.lockWaitMilliseconds)
    if isDevice { try checkGeometry(of: descriptor, record, size: inspection.sizeBytes) }
    if !force { try inspection.refuseContent { try descriptor.readBytes($0, at: $1) } }
    if !isDevice {
      if force { try descriptor.truncate(to: 0) }
      if force || inspection.sizeBytes < record.sizeBytes { try descriptor.truncate(to: record.sizeBytes) }
    } else if force {
      // What was there must not show through; where the device can not do this, slots are zeroed later.
      try? descriptor.punchHole(offset: 0, length: record.sizeBytes)
    }
    try writeLabels(descriptor, StoreLabel(of: record, pool: pool))
  }

  private static func checkGeometry(
    of descriptor: borrowing FileDescriptor, _ record: StoreRecord, size: UInt64
  ) throws {
    guard record.sizeBytes <= size else {
      throw GnomonError(
        .invalid, "\(record.path) is smaller than store \(record.name) is to be",
        cause: "it has \(size) bytes, \(record.sizeBytes) were asked for", remedy: "give a smaller size")
    }
    let sector = try descriptor.blockDeviceSectorSize()
    guard sector <= Block.bytes else {
      throw GnomonError(.invalid, "\(record.path) has sectors of \(sector) bytes", cause: "4096 is the limit")
    }
  }

  private static func writeLabels(_ descriptor: borrowing FileDescriptor, _ label: StoreLabel) throws {
    let block = label.encoded()
    // The first copy comes last: with it the store is complete.
    for offset in StoreLabel.offsets.reversed() {
      try descriptor.writeBytes(block, at: offset)
      try descriptor.synchronize()
      Failpoint.labelWritten.pass()
    }
  }

  private static func folder(of path: String) -> String {
    guard let slash = path.lastIndex(of: "/") else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
  }
}
