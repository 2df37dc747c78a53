import Primitives

/// What lies at a store's place, read without changing anything.
struct StoreInspection {
  let record: StoreRecord
  let sizeBytes: UInt64
  /// The two copies of the label, or why they can not be read as one.
  let labels: [Result<StoreLabel, StoreLabel.Fault>]

  /// - Parameter read: reads so many bytes at an offset, fewer at the end.
  init(of record: StoreRecord, sizeBytes: UInt64, read: (Int, UInt64) throws -> [UInt8]) throws {
    self.record = record
    self.sizeBytes = sizeBytes
    labels = try StoreLabel.offsets.map { offset in
      let count = min(UInt64(StoreLabel.bytes), sizeBytes - min(offset, sizeBytes))
      return Self.label(in: count > 0 ? try read(Int(count), offset) : [])
    }
  }

  private static func label(in bytes: [UInt8]) -> Result<StoreLabel, StoreLabel.Fault> {
    let block = bytes + repeatElement(0, count: StoreLabel.bytes - bytes.count)
    return unsafe block.withUnsafeBytes { bytes in
      do throws(StoreLabel.Fault) {
        return .success(unsafe try StoreLabel(decoding: bytes))
      } catch {
        return .failure(error)
      }
    }
  }

  /// Throws if something is there already, a store or anything else.
  ///
  /// - Parameter read: reads so many bytes at an offset, fewer at the end.
  func refuseContent(read: (Int, UInt64) throws -> [UInt8]) throws {
    let remedy = "choose another place, clear this one first, or use --force to overwrite what is there"
    for case .success(let label) in labels {
      throw GnomonError(
        .conflict, "\(record.path) carries a Gnomon label already",
        cause: "it is store \(label.name) of pool \(label.pool)", remedy: remedy)
    }
    if let found = try ForeignContent(size: sizeBytes, read: read) {
      throw GnomonError(.conflict, "\(record.path) is not empty", cause: found.description, remedy: remedy)
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
