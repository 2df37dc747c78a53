import CSQLite
import Glibc
import Platform
public import Primitives

extension Catalog {
  /// Makes the catalog of a new pool; `directory` is made if it does not exist.
  ///
  /// The catalog appears under its name only when it is complete and durable, so a crash leaves none.
  ///
  /// - Throws: `conflict` if there is a pool in the folder already; `invalid` if two stores or volumes share
  ///   an id or a name; `system` or `full` if the files can not be written.
  public static func create(
    at directory: String, pool: PoolRecord, stores: [StoreRecord], volumes: [VolumeRecord]
  ) throws(GnomonError) {
    let path = path(in: directory)
    let draft = path + ".new"
    let failure = "no pool can be made in \(directory)"
    do {
      if unsafe mkdir(directory, 0o755) != 0, errno != EEXIST { throw SystemError("mkdir", directory) }
      guard unsafe access(path, F_OK) != 0 else {
        throw GnomonError(
          .conflict, "there is a pool in \(directory) already", remedy: "choose another folder")
      }
      for suffix in ["", "-wal", "-shm", "-journal"] { unsafe unlink(draft + suffix) }
      try write(draft, pool, stores, volumes)
      try FileDescriptor.open(draft, O_RDWR).synchronize()
      Failpoint.catalogDrafted.pass()
      // link(2), unlike rename(2), never replaces a catalog that somebody else made meanwhile.
      guard unsafe link(draft, path) == 0 else { throw SystemError("link", path) }
      Failpoint.catalogLinked.pass()
      unsafe unlink(draft)
      try FileDescriptor.open(directory, O_RDONLY | O_DIRECTORY).synchronize()
    } catch {
      for suffix in ["", "-wal", "-shm", "-journal"] { unsafe unlink(draft + suffix) }
      throw translate(error, failure)
    }
  }

  /// Makes the catalog of a new pool in a VFS, for as long as nothing can go wrong there.
  ///
  /// - Throws: `invalid`, as above.
  public static func create(
    at directory: String, in fileSystem: String, pool: PoolRecord, stores: [StoreRecord],
    volumes: [VolumeRecord]
  ) throws(GnomonError) {
    do {
      try write(path(in: directory), in: fileSystem, pool, stores, volumes)
    } catch {
      throw translate(error, "no pool can be made in \(directory)")
    }
  }

  private static func write(
    _ path: String, in fileSystem: String? = nil, _ pool: PoolRecord, _ stores: [StoreRecord],
    _ volumes: [VolumeRecord]
  ) throws {
    let flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE
    let database = try Database(path: path, flags: flags, fileSystem: fileSystem)
    try database.execute(
      """
      PRAGMA locking_mode = EXCLUSIVE;
      PRAGMA page_size = 4096;
      PRAGMA application_id = \(Schema.applicationID);
      """)
    try prepareForWriting(database)
    try Schema.migrate(database)
    try database.transaction {
      try database.prepared("INSERT INTO pool VALUES (1, ?1, ?2, 0)")
        .bind(1, "\(pool.uuid)").bind(2, pool.createdSeconds).run()
      for store in stores { try insert(store, into: database) }
      for volume in volumes { try insert(volume, into: database) }
    }
    try database.foldLog(truncating: true)
  }

  /// Settings of a connection that writes.
  ///
  /// - The log is folded by `checkpoint`, not in the middle of a commit that somebody waits for.
  /// - A log that once grew is cut back, so that it does not fill the disk for ever.
  /// - Deleted rows are not overwritten with zeros (Debian's default): they hold no secrets.
  static func prepareForWriting(_ database: Database) throws {
    try database.execute(
      """
      PRAGMA journal_mode = WAL;
      PRAGMA synchronous = \(Canary.commitsWithoutSyncingCatalog.isOut ? "NORMAL" : "FULL");
      PRAGMA journal_size_limit = \(logBytesKept);
      PRAGMA secure_delete = OFF;
      PRAGMA cache_size = -\(cacheKibibytes);
      """)
    guard try database.prepared("PRAGMA journal_mode").firstText() == "wal" else {
      throw GnomonError(.system, "SQLite can not use a write-ahead log here")
    }
    database.takeOverLogFolding()
  }

  /// Size in bytes to which the write-ahead log file is cut back when it starts over.
  static let logBytesKept = 16 << 20
  /// Memory for SQLite's page cache, in KiB.
  static let cacheKibibytes = 8192

  /// Opens a catalog for reading, leaving the folder as it is.
  ///
  /// SQLite makes empty log and index files beside a database that uses a log, even if it only reads. If
  /// there is no log, nobody serves the pool, and SQLite is told that nothing will change.
  static func openReadOnly(_ path: String) throws -> Database {
    var status = stat()
    let hasLog = unsafe stat(path + "-wal", &status) == 0 && status.st_size > 0
    guard !hasLog else { return try Database(path: path, flags: SQLITE_OPEN_READONLY) }
    let escaped = path.utf8.reduce(into: "") { text, byte in
      let isPlain = byte > 0x20 && byte < 0x7f && !"%?#".utf8.contains(byte)
      text +=
        isPlain
        ? String(UnicodeScalar(byte)) : "%" + String(byte >> 4, radix: 16) + String(byte & 15, radix: 16)
    }
    let prefix = path.hasPrefix("/") ? "file://" : "file:"
    return try Database(
      path: prefix + escaped + "?immutable=1", flags: SQLITE_OPEN_READONLY | SQLITE_OPEN_URI)
  }

  static func checkVersion(_ database: Database, directory: String, readOnly: Bool) throws {
    guard try database.number("PRAGMA application_id") == Schema.applicationID else {
      throw GnomonError(
        .corrupt, "\(path(in: directory)) is not a Gnomon catalog",
        remedy: "put the right file there, or make a pool in another folder")
    }
    let version = try database.number("PRAGMA user_version")
    guard version <= Schema.version else {
      throw GnomonError(
        .invalid, "the pool in \(directory) was written by a newer Gnomon",
        cause: "its catalog has version \(version), this program knows versions up to \(Schema.version)",
        remedy: "use a newer gnomon; nothing was changed")
    }
    guard version >= 1, version == Schema.version || !readOnly else {
      throw GnomonError(
        .invalid, "the pool in \(directory) was written by an older Gnomon",
        cause: "its catalog has version \(version), this program needs \(Schema.version)",
        remedy: "start `gnomon serve` on it once, which brings it up to date")
    }
  }

  static func readPool(_ database: Database) throws -> PoolRecord {
    let statement = try database.prepared("SELECT uuid, created FROM pool")
    defer { statement.reset() }
    guard try statement.step(), let uuid = UUID128(statement.text(0)) else {
      throw damaged("the catalog does not say which pool it belongs to")
    }
    return PoolRecord(uuid: uuid, createdSeconds: statement.int(1))
  }
}
