import Glibc
import NBDWire
import Platform
public import Primitives

extension NBDStore {
  /// Makes a store of an export that holds nothing yet. When this returns, the label is durable.
  ///
  /// - Parameters:
  ///   - record: what it is to be; a size of 0 means all that the export has.
  ///   - force: use the export although there is something in it. That is lost.
  /// - Returns: the record with the size that it has.
  /// - Throws: `unavailable` if the server can not be reached; `invalid` if the export is not fit for a
  ///   store;
  ///   `conflict` if there is another store or foreign data; `system`.
  public static func create(
    _ record: StoreRecord, pool: UUID128, force: Bool = false
  ) throws(GnomonError) -> StoreRecord {
    var record = record
    do {
      let connection = try NBDConnection(opening: uri(of: record))
      defer { connection.disconnect() }
      if record.sizeBytes == 0 { record.sizeBytes = Block.floor(connection.export.sizeBytes) }
      guard record.sizeBytes <= connection.export.sizeBytes else {
        throw GnomonError(
          .invalid, "\(record.path) is smaller than store \(record.name) is to be",
          cause: "it has \(connection.export.sizeBytes) bytes, \(record.sizeBytes) were asked for",
          remedy: "give a smaller size, or none")
      }
      guard record.sizeBytes >= StoreLayout.sizeMin else {
        throw GnomonError(
          .invalid, "\(ByteSize(rawValue: record.sizeBytes)) is too small for store \(record.name)",
          remedy: "use an export of at least \(ByteSize(rawValue: StoreLayout.sizeMin))")
      }
      try check(connection.export, record)
      if !force {
        try inspection(connection, record).refuseContent {
          try connection.read($0, at: $1)
        }
      }
      let block = StoreLabel(of: record, pool: pool).encoded()
      // The first copy comes last: with it the store is complete.
      for offset in StoreLabel.offsets.reversed() {
        try connection.write(block, at: offset)
        try connection.flush()
        Failpoint.labelWritten.pass()
      }
      return record
    } catch {
      throw StoreErrors.translate(error, record, "store \(record.name) can not be made at \(record.path)")
    }
  }

  /// Takes back what `create` did, as far as that is possible: the labels.
  static func erase(_ record: StoreRecord) {
    guard let uri = try? uri(of: record), let connection = try? NBDConnection(opening: uri) else { return }
    for offset in StoreLabel.offsets {
      try? connection.write([UInt8](repeating: 0, count: StoreLabel.bytes), at: offset)
    }
    try? connection.flush()
    connection.disconnect()
  }

  /// Checks the label without opening the store for use, and without changing anything.
  ///
  /// - Returns: how many of the two copies of the label are damaged although the other is sound.
  /// - Throws: like `init(opening:pool:)`.
  public static func inspect(_ record: StoreRecord, pool: UUID128) throws(GnomonError) -> Int {
    do {
      let connection = try NBDConnection(opening: uri(of: record))
      defer { connection.disconnect() }
      try check(connection.export, record)
      let inspection = try inspection(connection, record)
      try inspection.verify(pool: pool)
      return inspection.damagedCopies
    } catch {
      throw StoreErrors.translate(error, record, "store \(record.name) can not be read")
    }
  }
}
