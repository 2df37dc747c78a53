import ExtentMap
import Platform
import Primitives
import Testing

@testable import Catalog

/// Content that SQLite takes and whose checksums are right, and that makes no sense all the same; and the
/// ends of what a pool can hold.
struct CatalogSenseTests {
  private let volume = TemporaryPool.volume(1, extents: 10_000)

  private func entry(_ slot: UInt64) -> MapEntry { MapEntry(store: StoreID(rawValue: 0), slot: slot) }

  @Test(arguments: [
    ("UPDATE stores SET uuid = 'x'", "store store0"), ("UPDATE stores SET kind = 'tape'", "store store0"),
    ("UPDATE stores SET cache = 'some'", "store store0"), ("UPDATE stores SET size = -1", "store store0"),
    ("UPDATE volumes SET uuid = 'x'", "volume vol1"), ("UPDATE volumes SET size = -1", "volume vol1"),
    ("UPDATE volumes SET size = 0", "volume vol1"), ("UPDATE volumes SET extent = 65537", "volume vol1"),
    ("UPDATE volumes SET extent = 32768", "volume vol1"), ("UPDATE stores SET tier = 256", "store store0"),
    ("UPDATE volumes SET pin = 'tier256'", "volume vol1"), ("UPDATE volumes SET never = ''", "volume vol1"),
    ("UPDATE volumes SET pin = 'tier1', never = 'tier0,tier1'", "volume vol1"),
    ("UPDATE volumes SET extent = 134217728", "volume vol1"),
  ])
  func aRowThatMakesNoSenseIsNamed(sql: String, whose: String) throws {
    let pool = try TemporaryPool()
    try pool.tamper(sql)
    let error = gnomonError {
      let catalog = try Catalog(opening: pool.directory, readOnly: true)
      _ = (try catalog.stores(), try catalog.volumes())
    }
    #expect(error?.code == .corrupt)
    #expect(error?.message == "the catalog's row of \(whose) makes no sense")
  }

  @Test func aCatalogOfNoPoolIsRefused() throws {
    for sql in ["DELETE FROM pool", "UPDATE pool SET uuid = 'x'"] {
      let pool = try TemporaryPool()
      try pool.tamper(sql)
      #expect(gnomonError { _ = try pool.open() }?.code == .corrupt)
    }
  }

  @Test(arguments: [
    ("UPDATE pool SET journal_floor = -1", "the start of the catalog's journal makes no sense"),
    ("INSERT INTO journal VALUES (-5, 0, x'')", "rows of the catalog's journal are missing"),
  ])
  func aJournalThatBeginsBeforeItsStartIsRefused(sql: String, message: String) throws {
    let pool = try TemporaryPool()
    try pool.tamper(sql)
    let error = gnomonError { _ = try pool.open() }
    #expect(error?.code == .corrupt && error?.message == message)
  }

  @Test func anOlderCatalogIsNotChangedByReading() throws {
    let pool = try TemporaryPool()
    try pool.tamper("PRAGMA user_version = 0")
    let error = gnomonError { _ = try Catalog(opening: pool.directory, readOnly: true) }
    #expect(error?.code == .invalid && error?.message.contains("older Gnomon") == true)
  }

  @Test func aPageOfTheFutureIsRefused() throws {
    let pool = try TemporaryPool()
    let catalog = try pool.open()
    try catalog.append([MapDelta(volume: volume.id, extent: 1, entry: entry(1))])
    while try catalog.checkpoint(pagesMax: 9) {}
    catalog.close()
    // The page has seen row 1, and then the journal never had it.
    try pool.tamper("UPDATE pool SET journal_floor = 0")
    let error = gnomonError { _ = try pool.open().map(of: volume) }
    #expect(error?.code == .corrupt && error?.cause?.hasSuffix("in page 0") == true)
  }

  @Test func anEntryBehindTheLastExtentOfAPageIsRefused() throws {
    let pool = try TemporaryPool(volumes: [TemporaryPool.volume(1, extents: 100)])
    let catalog = try pool.open()
    try catalog.append([MapDelta(volume: volume.id, extent: 99, entry: entry(1))])
    while try catalog.checkpoint(pagesMax: 9) {}
    catalog.close()
    try pool.tamper("UPDATE volumes SET size = \(99 << 20)")
    let error = gnomonError { _ = try pool.open().map(of: TemporaryPool.volume(1, extents: 99)) }
    #expect(error?.code == .corrupt && error?.cause == "extent 99 of 99, in page 0")
  }

  /// Appends a row to the journal as it stands, under a checksum that fits.
  private func withRow(_ row: [UInt8]) throws -> TemporaryPool {
    let pool = try TemporaryPool()
    let checksum = unsafe row.withUnsafeBytes { unsafe JournalFormat.checksum(of: $0, seq: 1) }
    let hex = row.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    try pool.tamper("INSERT INTO journal VALUES (1, \(checksum), x'\(hex)')")
    return pool
  }

  private func record(kind: UInt8 = 1, extent: UInt64, entry: UInt64) -> [UInt8] {
    func bytes(_ number: UInt64) -> [UInt8] { (0..<8).map { UInt8(truncatingIfNeeded: number >> (8 * $0)) } }
    return bytes(UInt64(kind) | 1 << 32) + bytes(extent) + bytes(entry)
  }

  @Test func aRowOfTheJournalCountsAsAWholeOrNotAtAll() throws {
    let good = record(extent: 7, entry: entry(3).rawValue)
    let bad = [
      record(kind: 0, extent: 8, entry: 1), record(kind: 9, extent: 8, entry: 1),
      record(kind: 8, extent: 8, entry: 2), record(extent: 1 << 40, entry: 1),
      record(extent: 8, entry: MapEntry.oneWriter),
    ]
    #expect(try withRow(good).open().map(of: volume)[7] == entry(3).rawValue)
    for row in bad {
      let pool = try withRow(good + row + good)
      let catalog = try pool.open()
      #expect(gnomonError { _ = try catalog.map(of: volume) }?.cause == "record 1 makes no sense")
      var map = [UInt64](repeating: 0, count: 10_000)
      var problems: [GnomonError] = []
      unsafe try map.withUnsafeMutableBufferPointer {
        unsafe try catalog.inspectMap(of: volume, into: $0) { problems.append($0) }
      }
      #expect(problems.count == 1 && map.allSatisfy { $0 == 0 })
    }
    let error = gnomonError { _ = try withRow(Array(good.dropLast())).open().map(of: volume) }
    #expect(error?.cause == "23 bytes are not whole records")
  }

  @Test func aPoolHasRoomFor256Stores() throws {
    let pool = try TemporaryPool()
    let catalog = try pool.open()
    for id in UInt8(1)...255 {
      #expect(try catalog.nextStoreID().rawValue == id)
      try catalog.add(store: TemporaryPool.store(id))
    }
    #expect(gnomonError { _ = try catalog.nextStoreID() }?.code == .full)
    try catalog.remove(store: StoreID(rawValue: 100))
    #expect(try catalog.nextStoreID().rawValue == 100)
  }

  @Test func volumeIDsEnd() throws {
    let pool = try TemporaryPool()
    try pool.tamper("UPDATE sqlite_sequence SET seq = \(UInt32.max - 1)")
    #expect(try pool.open().nextVolumeID().rawValue == .max)
    try pool.tamper("UPDATE sqlite_sequence SET seq = \(UInt32.max)")
    #expect(gnomonError { _ = try pool.open().nextVolumeID() }?.code == .full)
  }

  @Test func aVolumeHasAtMostAsManyExtentsAsPageNumbersReach() throws {
    func refusal(_ size: UInt64) -> GnomonError? {
      gnomonError {
        try Catalog.check(
          VolumeRecord(
            id: volume.id, uuid: volume.uuid, name: "v", sizeBytes: size, extentBytes: ExtentSize.minimum))
      }
    }
    let most = MapPage.countMax << (MapPage.entryShift + 16)
    #expect(refusal(most) == nil)
    #expect(refusal(most + 1)?.code == .invalid)
    #expect(refusal(0)?.code == .invalid && refusal(.max)?.code == .invalid)
  }
}
