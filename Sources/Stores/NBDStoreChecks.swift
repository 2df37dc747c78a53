import Glibc
import NBDWire
import Platform
import Primitives

/// What must hold of an export before it is used as a store.
extension NBDStore {
  /// Bytes of data that a server must take in one request: the longest that the data path makes.
  static let payloadBytes: UInt32 = 32 << 20

  static func uri(of record: StoreRecord) throws(GnomonError) -> NBDURI {
    do throws(NBDURIError) {
      return try NBDURI(parsing: record.path)
    } catch {
      throw GnomonError(.invalid, "wrong place of store \(record.name): \(record.path)", cause: "\(error)")
    }
  }

  /// Throws unless the export can be a store at all: big enough, writable, durable, in blocks of 4096 bytes.
  static func check(_ export: ExportInfo, _ record: StoreRecord) throws(GnomonError) {
    func unfit(_ cause: String) -> GnomonError {
      GnomonError(.invalid, "\(record.path) can not be store \(record.name)", cause: cause)
    }
    guard export.sizeBytes >= record.sizeBytes else {
      throw StoreErrors.truncated(record, size: export.sizeBytes)
    }
    let flags = export.transmissionFlags
    guard !flags.contains(.readOnly) else { throw unfit("the export is read-only") }
    guard flags.contains(.sendFlush) else {
      throw unfit("the server does not offer FLUSH, so it can not promise that anything lasts")
    }
    guard UInt64(export.blockSizeMinimum) <= Block.bytes else {
      throw unfit("its smallest block has \(export.blockSizeMinimum) bytes, 4096 is the limit")
    }
    guard export.payloadMaximum >= payloadBytes else {
      throw unfit("it takes \(export.payloadMaximum) bytes in one request, \(payloadBytes) are needed")
    }
  }

  static func inspection(_ connection: NBDConnection, _ record: StoreRecord) throws -> StoreInspection {
    try StoreInspection(of: record, sizeBytes: connection.export.sizeBytes) {
      try connection.read($0, at: $1)
    }
  }

  static func verify(_ connection: NBDConnection, _ record: StoreRecord, _ pool: UUID128) throws {
    try inspection(connection, record).verify(pool: pool)
  }

  /// Host and process, for people who find the claim.
  static var holder: String {
    var name = [CChar](repeating: 0, count: 256)
    unsafe gethostname(&name, name.count - 1)
    let host = String(decoding: name.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    return "\(host), process \(getpid())"
  }
}
