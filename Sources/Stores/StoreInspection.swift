import Glibc
import Platform
import Primitives

/// What lies at a store's path, read without changing anything.
struct StoreInspection {
  let record: StoreRecord
  let kind: FileKind
  let sizeBytes: UInt64
  /// The two copies of the label, or why they can not be read as one.
  let labels: [Result<StoreLabel, StoreLabel.Fault>]

  init(reading record: StoreRecord) throws {
    self.record = record
    // O_NONBLOCK: a FIFO in the place of the file must not hang us.
    let descriptor = try FileDescriptor.open(record.path, O_RDONLY | O_NONBLOCK)
    kind = try descriptor.kind()
    guard kind != .other else {
      throw GnomonError(.invalid, "\(record.path) is neither a regular file nor a block device")
    }
    sizeBytes = try kind == .blockDevice ? descriptor.blockDeviceSize() : descriptor.size()
    labels = try StoreLabel.offsets.map { try Self.readLabel(descriptor, at: $0) }
  }

  private static func readLabel(
    _ descriptor: borrowing FileDescriptor, at offset: UInt64
  ) throws -> Result<StoreLabel, StoreLabel.Fault> {
    var block = try descriptor.readBytes(StoreLabel.bytes, at: offset)
    if block.count < StoreLabel.bytes { block += repeatElement(0, count: StoreLabel.bytes - block.count) }
    return unsafe block.withUnsafeBytes { bytes in
      do throws(StoreLabel.Fault) {
        return .success(unsafe try StoreLabel(decoding: bytes))
      } catch {
        return .failure(error)
      }
    }
  }

  /// The label: the first copy if it is sound, else the second.
  func label() throws(GnomonError) -> StoreLabel {
    for case .success(let label) in labels { return label }
    for case .failure(.version(let version)) in labels { throw StoreErrors.newerLabel(record, version) }
    if labels.contains(where: { $0 == .failure(.checksum) }) { throw StoreErrors.damagedLabel(record) }
    throw StoreErrors.noLabel(record)
  }

  /// Throws unless this is the store that the record describes, whole.
  func verify(pool: UUID128) throws(GnomonError) {
    guard sizeBytes >= record.sizeBytes else { throw StoreErrors.truncated(record, size: sizeBytes) }
    let label = try label()
    guard label.pool == pool else { throw StoreErrors.otherPool(record, label) }
    guard label.store == record.uuid else { throw StoreErrors.otherStore(record, label) }
    guard label.dataOffset == StoreLayout.dataOffset else { throw StoreErrors.damagedLabel(record) }
  }

  /// Copies of the label that are damaged, or differ from the one that counts.
  var damagedCopies: Int {
    guard let label = try? label() else { return labels.count }
    return labels.count { $0 != .success(label) }
  }
}
