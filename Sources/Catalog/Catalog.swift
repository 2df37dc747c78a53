import CSQLite
import Glibc
import Platform
public import Primitives

/// A pool's durable metadata: what stores and volumes there are, and where every extent lies.
///
/// It is one SQLite database, `DIR/catalog.db`, in write-ahead mode with synchronous=FULL: what a method
/// has stored when it returns survives a power cut. Map changes are appended to a journal and folded into
/// map pages later by `checkpoint`.
///
/// A catalog belongs to **one thread at a time**, the first that uses it; use by another traps. To hand it
/// over, the owner calls `releaseThread()`. Whoever opens a catalog, even for reading, holds the `PoolLock`.
///
/// Methods that throw have changed nothing.
public final class Catalog: @unchecked Sendable {
  /// The pool's identity.
  public let pool: PoolRecord
  /// The pool's folder.
  public let directory: String
  let readOnly: Bool
  let options: CatalogOptions
  let thread = ThreadConfinement()
  static let log = Log("catalog")

  private var connection: Database?
  /// Volumes that exist: journal records of others are ignored.
  var volumeIDs: Set<VolumeID> = []
  /// Keys of map pages that mean nothing any more, of deleted volumes and beyond the ends of others: `purge`
  /// takes the last range first.
  var forgotten: [ClosedRange<Int64>] = []
  var journal = JournalState()
  var round: CheckpointRound?
  /// What `inspectMap` has read of the journal; dropped by the next change.
  var replay: JournalReplay?
  private let pageMemory = ScratchMemory(count: MapPage.imageBytes)
  private let rowMemory = ScratchMemory(count: JournalFormat.recordsPerRow * JournalFormat.recordBytes)

  /// Room for one map page image.
  var pageImage: UnsafeMutableRawBufferPointer { unsafe pageMemory.bytes }
  /// Room for one journal row.
  var journalRow: UnsafeMutableRawBufferPointer { unsafe rowMemory.bytes }

  /// Opens the catalog of the pool in `directory`, and brings an older one up to date.
  ///
  /// - Throws: `notFound` if there is none, `corrupt` if it is damaged, `invalid` if it was written by a
  ///   newer Gnomon, `conflict` if another process has it open, `system` for other failures.
  public init(
    opening directory: String, readOnly: Bool = false, options: CatalogOptions = CatalogOptions()
  ) throws(GnomonError) {
    self.directory = directory
    self.readOnly = readOnly
    self.options = options
    let path = Self.path(in: directory)
    do {
      if options.fileSystem == nil, unsafe access(path, F_OK) != 0 { throw Self.missing(directory) }
      let database =
        try readOnly
        ? Self.openReadOnly(path)
        : Database(path: path, flags: SQLITE_OPEN_READWRITE, fileSystem: options.fileSystem)
      // Before the first access: then SQLite needs no shared memory file, and keeps others out from here on.
      if !readOnly { try database.execute("PRAGMA locking_mode = EXCLUSIVE") }
      try Self.checkVersion(database, directory: directory, readOnly: readOnly)
      if !readOnly {
        try Self.prepareForWriting(database)
        try Schema.migrate(database)
      }
      pool = try Self.readPool(database)
      connection = database
      let volumes = try Self.readVolumes(database)
      volumeIDs = Set(volumes.map(\.id))
      if !readOnly { forgotten = try Self.forgottenPages(volumes, database) }
      journal = try JournalState(reading: database)
    } catch {
      throw Self.translate(error, "the catalog of the pool in \(directory) can not be opened")
    }
    thread.release()
  }

  /// Gives the catalog up, so that another thread can claim it by using it.
  public func releaseThread() {
    thread.release()
  }

  /// Folds the journal and closes the database. Whatever is called afterwards throws `unavailable`: work in
  /// steps may be under way when the pool is closed.
  ///
  /// Nothing is lost if that fails, or if it is never called: the next opening reads the journal.
  public func close() {
    thread.check()
    guard connection != nil else { return }
    if !readOnly {
      do {
        while try checkpoint(pagesMax: 256) {}
      } catch {
        Self.log.warning("the journal was not folded; the next start reads it", ["cause": error])
      }
    }
    connection = nil
  }

  /// Checks SQLite's own structures.
  ///
  /// - Returns: what is wrong, in SQLite's words; empty if all is well.
  public func integrityProblems() throws(GnomonError) -> [String] {
    try attempting("the catalog can not be checked") { database in
      var problems: [String] = []
      let statement = try database.prepared("PRAGMA integrity_check(100)")
      while try statement.step() { problems.append(statement.text(0)) }
      return problems == ["ok"] ? [] : problems
    }
  }

  static func path(in directory: String) -> String { directory + "/catalog.db" }

  /// Runs `body` on the owner's thread, and turns what it throws into an error that people can read.
  func attempting<Result>(
    _ failure: @autoclosure () -> String, _ body: (Database) throws -> Result
  ) throws(GnomonError) -> Result {
    thread.check()
    guard let connection else { throw GnomonError(.unavailable, failure(), cause: "the pool is closed") }
    do {
      return try body(connection)
    } catch {
      throw Self.translate(error, failure())
    }
  }

  /// Like `attempting`, in a transaction.
  func changing<Result>(
    _ failure: @autoclosure () -> String, _ body: (Database) throws -> Result
  ) throws(GnomonError) -> Result {
    precondition(!readOnly, "the catalog was opened read-only")
    replay = nil
    return try attempting(failure()) { database in try database.transaction { try body(database) } }
  }
}

/// Memory that is used again and again, freed with its owner.
@safe
private final class ScratchMemory {
  let bytes: UnsafeMutableRawBufferPointer

  init(count: Int) {
    unsafe bytes = .allocate(byteCount: count, alignment: 16)
  }

  deinit {
    unsafe bytes.deallocate()
  }
}
