import CSQLite

/// A compiled statement. Columns count from 0, parameters from 1.
@safe
final class Statement {
  private let handle: OpaquePointer
  private unowned let database: Database
  private let sql: String

  init(_ handle: OpaquePointer, in database: Database, sql: String) {
    unsafe self.handle = handle
    self.database = database
    self.sql = sql
  }

  deinit {
    unsafe sqlite3_finalize(handle)
  }

  /// Moves to the next row.
  ///
  /// - Returns: false when there is none; the statement is then reset.
  func step() throws(DatabaseError) -> Bool {
    let code = unsafe sqlite3_step(handle)
    switch code {
    case SQLITE_ROW:
      return true
    case SQLITE_DONE:
      reset()
      return false
    default:
      let error = database.error(code, sql)
      reset()
      throw error
    }
  }

  /// Runs a statement that returns no rows.
  func run() throws(DatabaseError) {
    while try step() {}
  }

  /// Forgets the position; parameters stay bound, except blobs, whose memory is the caller's.
  func reset() {
    unsafe sqlite3_reset(handle)
  }

  @discardableResult
  func bind(_ index: Int32, _ value: Int64) -> Statement {
    let code = unsafe sqlite3_bind_int64(handle, index, value)
    precondition(code == SQLITE_OK)
    return self
  }

  @discardableResult
  func bind(_ index: Int32, _ value: Double) -> Statement {
    let code = unsafe sqlite3_bind_double(handle, index, value)
    precondition(code == SQLITE_OK)
    return self
  }

  @discardableResult
  func bind(_ index: Int32, _ text: String) -> Statement {
    let code = unsafe gnomon_sqlite3_bind_text_copy(handle, index, text, Int32(text.utf8.count))
    precondition(code == SQLITE_OK)
    return self
  }

  /// Binds bytes that must stay as they are until the statement has run.
  @discardableResult
  func bind(_ index: Int32, borrowing bytes: UnsafeRawBufferPointer) -> Statement {
    let code = unsafe sqlite3_bind_blob64(handle, index, bytes.baseAddress, UInt64(bytes.count), nil)
    precondition(code == SQLITE_OK)
    return self
  }

  func int(_ column: Int32) -> Int64 { unsafe sqlite3_column_int64(handle, column) }

  func double(_ column: Int32) -> Double { unsafe sqlite3_column_double(handle, column) }

  func text(_ column: Int32) -> String {
    guard let bytes = unsafe sqlite3_column_text(handle, column) else { return "" }
    return unsafe String(cString: bytes)
  }

  /// The bytes of a column, valid until the statement moves on.
  func blob(_ column: Int32) -> UnsafeRawBufferPointer {
    let bytes = unsafe sqlite3_column_blob(handle, column)
    return unsafe UnsafeRawBufferPointer(start: bytes, count: Int(sqlite3_column_bytes(handle, column)))
  }
}

extension Statement {
  /// The first column of the first row, as text.
  func firstText() throws(DatabaseError) -> String {
    defer { reset() }
    return try step() ? text(0) : ""
  }
}
