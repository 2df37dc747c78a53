public import ExtentMap
import Platform
public import Primitives

/// Where the journal stands.
struct JournalState {
  /// The last row that was folded into pages and deleted.
  var floor: UInt64 = 0
  /// The last row that was written; `floor` if the journal is empty.
  var last: UInt64 = 0
  var bytes: UInt64 = 0

  init() {}

  /// Reads the state; only the rows' headers are touched.
  init(reading database: Database) throws {
    let storedFloor = try database.number("SELECT journal_floor FROM pool")
    guard let floor = UInt64(exactly: storedFloor) else {
      throw Catalog.damaged(
        "the start of the catalog's journal makes no sense", cause: "it is \(storedFloor)")
    }
    self.floor = floor
    let statement = try database.prepared(
      "SELECT count(*), min(seq), max(seq), sum(length(records)) FROM journal")
    defer { statement.reset() }
    guard try statement.step(), statement.int(0) > 0 else {
      last = floor
      return
    }
    let (count, first) = (UInt64(statement.int(0)), statement.int(1))
    last = UInt64(bitPattern: statement.int(2))
    bytes = UInt64(statement.int(3))
    guard UInt64(bitPattern: first) == floor + 1, last == floor + count else {
      throw Catalog.damaged(
        "rows of the catalog's journal are missing",
        cause: "found \(count) rows from \(first) to \(statement.int(2)), expected all from \(floor + 1)")
    }
  }
}

extension Catalog {
  /// Records in the journal that are not yet folded into pages.
  public var journalRecordCount: Int { Int(journal.bytes) / JournalFormat.recordBytes }

  /// Bytes of these records.
  public var journalBytes: UInt64 { journal.bytes }

  /// Bytes of journal above which `append` folds a part of it first: 1.4 million records.
  public static let journalBytesMax: UInt64 = 32 << 20

  /// Makes map changes durable, all or none.
  ///
  /// - Throws: `full` if the catalog's disk is full. Nothing was stored then; the same call succeeds when
  ///   there is room again.
  public func append(_ deltas: UnsafeBufferPointer<MapDelta>) throws(GnomonError) {
    guard !deltas.isEmpty else { return }
    while journal.bytes > Self.journalBytesMax, try checkpoint(pagesMax: 64) {}
    replay = nil
    var next = journal
    try attempting("map changes can not be stored") { database in
      if deltas.count <= JournalFormat.recordsPerRow {
        unsafe try appendRow(deltas, after: &next, to: database)
      } else {
        try database.transaction {
          for start in stride(from: 0, to: deltas.count, by: JournalFormat.recordsPerRow) {
            let end = min(start + JournalFormat.recordsPerRow, deltas.count)
            unsafe try appendRow(
              UnsafeBufferPointer(rebasing: deltas[start..<end]), after: &next, to: database)
            Failpoint.journalRowWritten.pass()
          }
        }
      }
    }
    journal = next
    foldLog(above: options.logFramesMax)
  }

  /// Like `append(_:)` with a buffer.
  public func append(_ deltas: [MapDelta]) throws(GnomonError) {
    let result = unsafe deltas.withUnsafeBufferPointer { buffer -> Result<Void, GnomonError> in
      do throws(GnomonError) {
        return .success(unsafe try append(buffer))
      } catch {
        return .failure(error)
      }
    }
    try result.get()
  }

  private func appendRow(
    _ deltas: UnsafeBufferPointer<MapDelta>, after state: inout JournalState, to database: Database
  ) throws {
    let count = deltas.count * JournalFormat.recordBytes
    let row = unsafe UnsafeMutableRawBufferPointer(rebasing: journalRow[..<count])
    unsafe JournalFormat.pack(deltas, into: row)
    let bytes = UnsafeRawBufferPointer(row)
    let seq = state.last + 1
    let checksum = unsafe JournalFormat.checksum(of: bytes, seq: seq)
    unsafe try database.prepared("INSERT INTO journal VALUES (?1, ?2, ?3)")
      .bind(1, Int64(seq)).bind(2, Int64(checksum)).bind(3, borrowing: bytes).run()
    state.last = seq
    state.bytes += UInt64(count)
  }

  /// Reads the rows after `floor`, in order, up to and including the one that reaches `recordsMax`.
  ///
  /// - Parameter damage: told about each row that can not be trusted; such a row is left out.
  func readJournal(
    _ database: Database, recordsMax: Int = .max, damage: (GnomonError) throws -> Void
  ) throws -> [JournalRecord] {
    var records: [JournalRecord] = []
    records.reserveCapacity(min(recordsMax, journalRecordCount))
    let statement = try database.prepared("SELECT seq, checksum, records FROM journal ORDER BY seq")
    defer { statement.reset() }
    while records.count < recordsMax, try statement.step() {
      let seq = UInt64(bitPattern: statement.int(0))
      let checksum = UInt32(truncatingIfNeeded: statement.int(1))
      let row = unsafe statement.blob(2)
      if let reason = unsafe JournalFormat.unpack(row, seq: seq, checksum: checksum, into: &records) {
        try damage(Self.damaged("row \(seq) of the catalog's journal is damaged", cause: reason))
      }
    }
    return records
  }

  /// Folds the write-ahead log if it has more than `limit` frames. Failure only means that it stays long.
  func foldLog(above limit: Int) {
    try? attempting("the catalog's log can not be folded") { database in
      guard database.framesInLog > limit else { return }
      do {
        Failpoint.logFolding.pass()
        try database.foldLog()
        Failpoint.logFolded.pass()
      } catch {
        Self.log.warning("the catalog's log can not be folded", ["cause": Self.translate(error, "SQLite")])
      }
    }
  }
}
