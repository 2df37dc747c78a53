import CSQLite

/// What SQLite reported: its extended result code, its words, and what was being done.
struct DatabaseError: Error {
  let code: Int32
  let text: String
  let statement: String

  /// The code without its extension.
  var primaryCode: Int32 { code & 0xff }
}

/// One connection to a SQLite database, for one thread at a time.
///
/// Statements are compiled once and kept until the connection closes.
@safe
final class Database {
  let path: String
  private let handle: OpaquePointer
  private var cache: [String: Statement] = [:]
  /// Frames in the write-ahead log after the last commit; kept current by a hook.
  private let logFrames = UnsafeMutablePointer<Int32>.allocate(capacity: 1)

  /// Opens `path` with SQLITE_OPEN_… `flags`, in a VFS or, with nil, in the operating system's files.
  init(path: String, flags: Int32, fileSystem: String? = nil) throws(DatabaseError) {
    self.path = path
    var opened: OpaquePointer?
    let all = flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE
    let code = unsafe sqlite3_open_v2(path, &opened, all, fileSystem)
    guard code == SQLITE_OK, let handle = unsafe opened else {
      let text = unsafe String(cString: sqlite3_errstr(code))
      unsafe sqlite3_close_v2(opened)
      unsafe logFrames.deallocate()
      throw DatabaseError(code: code, text: text, statement: "open \(path)")
    }
    unsafe self.handle = handle
    unsafe logFrames.initialize(to: 0)
  }

  deinit {
    cache = [:]
    unsafe sqlite3_close_v2(handle)
    unsafe logFrames.deallocate()
  }

  /// The compiled form of `sql`, reset and ready for new parameters.
  func prepared(_ sql: String) throws(DatabaseError) -> Statement {
    if let statement = cache[sql] { return statement }
    var compiled: OpaquePointer?
    let flags = UInt32(SQLITE_PREPARE_PERSISTENT)
    let code = unsafe sqlite3_prepare_v3(handle, sql, -1, flags, &compiled, nil)
    guard code == SQLITE_OK, let compiled = unsafe compiled else { throw error(code, sql) }
    let statement = unsafe Statement(compiled, in: self, sql: sql)
    cache[sql] = statement
    return statement
  }

  /// Runs statements that return nothing of interest, separated by semicolons.
  func execute(_ sql: String) throws(DatabaseError) {
    let code = unsafe sqlite3_exec(handle, sql, nil, nil, nil)
    guard code == SQLITE_OK else { throw error(code, sql) }
  }

  /// Runs `body` in one transaction that is rolled back if it throws.
  func transaction<Result>(_ body: () throws -> Result) throws -> Result {
    try prepared("BEGIN IMMEDIATE").run()
    do {
      let result = try body()
      try prepared("COMMIT").run()
      return result
    } catch {
      // A full disk or an I/O error may have rolled back already.
      if unsafe sqlite3_get_autocommit(handle) == 0 { try? execute("ROLLBACK") }
      throw error
    }
  }

  /// The first column of the first row of `sql`, as a number; 0 if there is none.
  func number(_ sql: String) throws(DatabaseError) -> Int64 {
    let statement = try prepared(sql)
    defer { statement.reset() }
    return try statement.step() ? statement.int(0) : 0
  }

  /// Lets the caller decide when the write-ahead log is folded into the database, and counts its frames.
  func takeOverLogFolding() {
    _ = unsafe sqlite3_wal_hook(
      handle,
      { context, _, _, frames in
        unsafe context!.assumingMemoryBound(to: Int32.self).pointee = frames
        return SQLITE_OK
      }, logFrames)
  }

  /// Frames (pages) in the write-ahead log after the last commit.
  var framesInLog: Int { unsafe Int(logFrames.pointee) }

  /// Copies what is in the write-ahead log into the database, so that the log starts over.
  func foldLog(truncating: Bool = false) throws(DatabaseError) {
    let mode = truncating ? SQLITE_CHECKPOINT_TRUNCATE : SQLITE_CHECKPOINT_PASSIVE
    var frames: Int32 = 0
    var folded: Int32 = 0
    let code = unsafe sqlite3_wal_checkpoint_v2(handle, nil, mode, &frames, &folded)
    guard code == SQLITE_OK else { throw error(code, "wal_checkpoint") }
    if frames == folded { unsafe logFrames.pointee = 0 }
  }

  func error(_ code: Int32, _ sql: String) -> DatabaseError {
    let text = unsafe String(cString: sqlite3_errmsg(handle))
    return DatabaseError(code: code, text: text, statement: sql)
  }
}
