import ExtentMap
import Glibc
import Platform
import Primitives
import Testing

@testable import Catalog

/// Damage, newer versions, full disks, second owners: a clear message, and nothing changed.
struct CatalogFaultTests {
  private let volume = TemporaryPool.volume(1, extents: 10_000)

  private func entry(_ slot: UInt64) -> MapEntry { MapEntry(store: StoreID(rawValue: 0), slot: slot) }

  /// A pool whose volume has two pages, and one more row in the journal.
  private func filledPool() throws -> TemporaryPool {
    let pool = try TemporaryPool()
    let catalog = try pool.open()
    try catalog.append([1, 5000].map { MapDelta(volume: volume.id, extent: $0, entry: entry($0)) })
    while try catalog.checkpoint(pagesMax: 9) {}
    try catalog.append([MapDelta(volume: volume.id, extent: 2, entry: entry(2))])
    return pool
  }

  private func loadError(_ pool: TemporaryPool) throws -> GnomonError? {
    let before = try dump(pool)
    let error = gnomonError { _ = try Catalog(opening: pool.directory, readOnly: true).map(of: volume) }
    #expect(try dump(pool) == before)
    #expect(error?.remedy?.contains("gnomon check") == true)
    return error
  }

  private func dump(_ pool: TemporaryPool) throws -> [String] {
    let database = try Database(path: pool.directory + "/catalog.db", flags: 2)
    let statement = try database.prepared(
      "SELECT hex(image) FROM pages UNION ALL SELECT seq || hex(records) FROM journal")
    var rows: [String] = []
    while try statement.step() { rows.append(statement.text(0)) }
    return rows
  }

  @Test(arguments: [
    ("UPDATE pages SET image = CAST(substr(image, 1, 999) || x'ee' || substr(image, 1001) AS BLOB)", 0),
    ("UPDATE pages SET image = substr(image, 1, 4000) WHERE key & 1", 1),
    ("UPDATE pages SET key = key + 4 WHERE key & 1", 5),
    ("UPDATE pages SET image = (SELECT image FROM pages WHERE key & 1) WHERE NOT key & 1", 0),
  ])
  func aDamagedPageIsNamed(sql: String, page: Int) throws {
    let pool = try filledPool()
    try pool.tamper(sql)
    let error = try loadError(pool)
    #expect(error?.code == .corrupt)
    #expect(error?.message == "page \(page) of the map of volume vol1 is damaged")
  }

  @Test func aDamagedPageStopsTheCheckpointAndNothingChanges() throws {
    let pool = try filledPool()
    try pool.tamper("UPDATE pages SET image = zeroblob(32784) WHERE NOT key & 1")
    let before = try dump(pool)
    let catalog = try pool.open()
    let error = gnomonError { _ = try catalog.checkpoint(pagesMax: 9) }
    #expect(error?.code == .corrupt)
    #expect(error?.message == "page 0 of the map of volume vol1 is damaged")
    catalog.close()
    #expect(try dump(pool) == before)
  }

  @Test func aDamagedJournalRowIsNamed() throws {
    let pool = try filledPool()
    try pool.tamper("UPDATE journal SET records = CAST(substr(records, 1, 23) || x'01' AS BLOB)")
    let error = try loadError(pool)
    #expect(error?.code == .corrupt)
    #expect(error?.message == "row 2 of the catalog's journal is damaged")
    let catalog = try pool.open()
    #expect(gnomonError { _ = try catalog.checkpoint(pagesMax: 1) }?.code == .corrupt)
    // The damage is noticed with every volume and every time, not only with the first.
    for _ in 0..<2 { #expect(gnomonError { _ = try catalog.map(of: volume) }?.code == .corrupt) }
  }

  /// Even when another row stands in, so that there are as many as the last one's number says.
  @Test(arguments: ["DELETE FROM journal WHERE seq = 2", "UPDATE journal SET seq = 1 WHERE seq = 2"])
  func aMissingJournalRowIsNoticed(sql: String) throws {
    let pool = try filledPool()
    let catalog = try pool.open()
    try catalog.append([MapDelta(volume: volume.id, extent: 3, entry: entry(3))])
    catalog.releaseThread()
    let crashed = pool.crashed()
    do {
      let database = try Database(path: crashed.directory + "/catalog.db", flags: 2)
      try database.execute(sql)
    }
    let error = gnomonError { _ = try Catalog(opening: crashed.directory) }
    #expect(error?.code == .corrupt)
    #expect(error?.message == "rows of the catalog's journal are missing")
  }

  @Test func anEntryBeyondTheEndIsRefused() throws {
    let pool = try filledPool()
    try pool.tamper("UPDATE volumes SET size = \(5000 << 20)")
    let error = gnomonError {
      _ = try Catalog(opening: pool.directory).map(of: TemporaryPool.volume(1, extents: 5000))
    }
    #expect(error?.code == .corrupt)
    #expect(error?.message.contains("beyond its end") == true)
  }

  @Test func overwrittenDatabaseFilesAreRefused() throws {
    for (offset, size) in [(0, 16), (0, 4096), (4096, 4096), (60, 12)] {
      let pool = try filledPool()
      do {
        let file = try FileDescriptor.open(pool.directory + "/catalog.db", O_RDWR)
        try file.writeBytes([UInt8](repeating: 0x5a, count: size), at: UInt64(offset))
      }
      let error = gnomonError { _ = try Catalog(opening: pool.directory).map(of: volume) }
      #expect(error != nil, "offset \(offset)")
      #expect(error?.code == .corrupt || error?.code == .invalid, "\(String(describing: error))")
    }
  }

  @Test func aNewerCatalogIsLeftAlone() throws {
    let pool = try TemporaryPool()
    try pool.tamper("PRAGMA user_version = 99")
    for readOnly in [false, true] {
      let error = gnomonError { _ = try Catalog(opening: pool.directory, readOnly: readOnly) }
      #expect(error?.code == .invalid)
      #expect(error?.message.contains("newer Gnomon") == true)
      #expect(error?.cause?.contains("99") == true)
    }
  }

  /// A pool of the first release: one copy of each extent, and nobody asked for more.
  @Test func aCatalogOfVersion1IsBroughtUpToDate() throws {
    let pool = try filledPool()
    try pool.tamper(
      "ALTER TABLE stores DROP COLUMN draining; ALTER TABLE volumes DROP COLUMN copies;"
        + "ALTER TABLE volumes DROP COLUMN across; ALTER TABLE volumes DROP COLUMN protection;"
        + "ALTER TABLE volumes DROP COLUMN errors; ALTER TABLE volumes DROP COLUMN pin;"
        + "ALTER TABLE volumes DROP COLUMN never;"
        + "DROP TABLE scrub; DROP TABLE scrub_findings; PRAGMA user_version = 1")
    let refusal = gnomonError { _ = try Catalog(opening: pool.directory, readOnly: true) }
    #expect(refusal?.message.contains("older Gnomon") == true)
    let catalog = try pool.open()
    #expect(try catalog.stores() == [TemporaryPool.store(0)])
    #expect(try catalog.volumes() == [volume])
    #expect(volume.redundancy == Redundancy(copies: 1, across: .store, protection: .sync, errors: .hold))
    #expect(volume.tiers == TierRules(pin: nil, never: TierSet()))
    let map = try catalog.map(of: volume)
    for extent in [1, 2, 5000] as [UInt64] { #expect(map[Int(extent)] == entry(extent).rawValue) }
    #expect(try catalog.loadPlane(.shadow(0), of: volume).isEmpty)
    // What is new can be kept, and is there the next time.
    var store = TemporaryPool.store(0)
    store.isDraining = true
    try catalog.update(store: store)
    var changed = volume
    changed.redundancy = Redundancy(copies: 3, across: .zone, protection: .async, errors: .fail)
    changed.tiers = TierRules(pin: 255, never: TierSet([0, 64, 128]))
    try catalog.update(volume: changed)
    catalog.close()
    let again = try pool.open()
    #expect(try again.stores() == [store] && again.volumes() == [changed])
  }

  @Test func migrationsRunInOrderAndStopAtTheOneThatFails() throws {
    let folder = TemporaryFolder()
    let database = try Database(path: folder.path + "/db", flags: 2 | 4)
    let steps = [
      "CREATE TABLE a(x)", "CREATE TABLE b(x); INSERT INTO b VALUES (1)", "INSERT INTO missing VALUES (1)",
    ]
    #expect(throws: DatabaseError.self) { try Schema.migrate(database, with: steps) }
    #expect(try database.number("PRAGMA user_version") == 2)
    #expect(try database.number("SELECT x FROM b") == 1)
    try Schema.migrate(database, with: Array(steps.prefix(2)) + ["CREATE TABLE c(x)"])
    #expect(try database.number("PRAGMA user_version") == 3)
  }

  @Test func aFullDiskLosesNothing() throws {
    let pool = try TemporaryPool()
    let catalog = try pool.open()
    var random = SplitMix(state: 11)
    var expected = [UInt64](repeating: 0, count: 10_000)
    let first = randomDeltas(2000, in: volume, &random)
    try catalog.append(first)
    apply(first, to: &expected)
    try catalog.attempting("limit") { database in
      try database.execute("PRAGMA max_page_count = \(try database.number("PRAGMA page_count") + 2)")
    }
    let large = randomDeltas(20_000, in: volume, &random)
    let error = gnomonError { try catalog.append(large) }
    #expect(error?.code == .full)
    #expect(catalog.journalRecordCount == 2000)
    #expect(gnomonError { _ = try catalog.checkpoint(pagesMax: 9) }?.code == .full)
    #expect(try catalog.map(of: volume) == expected)
    try catalog.attempting("limit") { try $0.execute("PRAGMA max_page_count = 1000000") }
    try catalog.append(large)
    apply(large, to: &expected)
    while try catalog.checkpoint(pagesMax: 1) {}
    #expect(try catalog.map(of: volume) == expected)
  }

  @Test(.enabled(if: getuid() == 0, "mounting a small tmpfs needs root"))
  func aFileSystemThatIsFullLosesNothing() throws {
    let folder = TemporaryFolder()
    try #require(run("mount", "-t", "tmpfs", "-o", "size=1m", "gnomon-test", folder.path))
    defer { run("umount", "-l", folder.path) }
    try Catalog.create(
      at: folder.path, pool: TemporaryPool.identity, stores: [], volumes: [volume])
    let catalog = try Catalog(opening: folder.path)
    var random = SplitMix(state: 12)
    var expected = [UInt64](repeating: 0, count: 10_000)
    var error: GnomonError?
    while error == nil {
      let deltas = randomDeltas(1000, in: volume, &random)
      error = gnomonError { try catalog.append(deltas) }
      if error == nil { apply(deltas, to: &expected) }
    }
    #expect(error?.code == .full)
    #expect(try catalog.map(of: volume) == expected)
    do {
      let copy = TemporaryFolder()
      run("cp", "-a", folder.path, copy.path + "/pool")
      #expect(try Catalog(opening: copy.path + "/pool").map(of: volume) == expected)
    }
    try #require(run("mount", "-o", "remount,size=16m", folder.path))
    let deltas = randomDeltas(1000, in: volume, &random)
    try catalog.append(deltas)
    apply(deltas, to: &expected)
    while try catalog.checkpoint(pagesMax: 1) {}
    #expect(try catalog.map(of: volume) == expected)
    catalog.close()
  }

  @Test func theLockNamesItsOwner() throws {
    let pool = try TemporaryPool()
    do {
      let lock = try PoolLock(directory: pool.directory)
      // An owner that runs is not waited for.
      let error = gnomonError { _ = try PoolLock(directory: pool.directory, waitMilliseconds: 600_000) }
      #expect(error?.code == .conflict)
      #expect(error?.message.contains("process \(getpid())") == true)
      withExtendedLifetime(lock) {}
    }
    _ = try PoolLock(directory: pool.directory)
    #expect(gnomonError { _ = try PoolLock(directory: pool.directory + "/none") }?.code == .notFound)
  }

  /// After a kill the kernel may hold the lock of a process that is gone; its number may be another's by
  /// then.
  @Test func theLockOfAProcessThatHasEndedIsWaitedFor() throws {
    let pool = try TemporaryPool()
    let directory = pool.directory
    for owner in ["999999999 1", "\(getpid()) 1", "\(getpid())", ""] {
      let locked = try Signal()
      let kernel = try NativeThread(name: "kernel") {
        let file = try? FileDescriptor.open(directory + "/lock", O_RDWR | O_CREAT)
        try? file?.truncate(to: 0)
        try? file?.writeBytes(Array("\(owner)\n".utf8), at: 0)
        let isLocked = (try? file?.tryLock()) ?? false
        #expect(isLocked)
        locked.raise()
        usleep(400_000)
        file?.unlock()
      }
      locked.wait()
      _ = try PoolLock(directory: directory, waitMilliseconds: 60_000)
      kernel.join()
    }
  }

  @Test func aSecondConnectionIsRefused() throws {
    let pool = try filledPool()
    let catalog = try pool.open()
    #expect(try catalog.volumes().count == 1)
    #expect(gnomonError { _ = try pool.open() }?.code == .conflict)
    catalog.close()
    _ = try pool.open()
  }

  @Test func useByAThreadThatDoesNotOwnItTraps() async throws {
    // The folder belongs to this process: the one that traps can not clean up.
    let pool = try TemporaryPool()
    await #expect(processExitsWith: .failure) { [directory = pool.directory as String] in
      let catalog = try Catalog(opening: directory)
      _ = try catalog.volumes()
      let thread = try NativeThread(name: "thief") { _ = try? catalog.volumes() }
      thread.join()
    }
  }
}
