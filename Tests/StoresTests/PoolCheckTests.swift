import ExtentMap
import Glibc
import Platform
import Primitives
import Stores
import Testing

@testable import Catalog

/// `gnomon check` finds what is wrong, names it, and changes nothing.
struct PoolCheckTests {
  private let folder = TemporaryFolder()
  private var directory: String { folder.path + "/pool" }
  private let volumes = [volume(1, extents: 5000), volume(2, extents: 100, extentBytes: 64 << 10)]

  private static func volume(_ id: UInt32, extents: UInt64, extentBytes: UInt64 = 1 << 20) -> VolumeRecord {
    VolumeRecord(
      id: VolumeID(rawValue: id), uuid: UUID128(high: 8, low: UInt64(id)), name: "vol\(id)",
      sizeBytes: extents * extentBytes, extentBytes: extentBytes)
  }

  private func stores() -> [StoreRecord] {
    (0..<2).map { record($0, at: "\(folder.path)/s\($0)", size: 200 << 20, cache: .page) }
  }

  /// Makes a pool with these entries in its maps: (volume, extent, store, slot).
  private func makePool(_ entries: [(UInt32, UInt64, UInt8, UInt64)]) throws {
    for store in stores() { try FileStore.create(store, pool: poolID) }
    try Catalog.create(at: directory, pool: PoolRecord(uuid: poolID), stores: stores(), volumes: volumes)
    let catalog = try Catalog(opening: directory)
    let deltas = entries.map { volume, extent, store, slot in
      MapDelta(
        volume: VolumeID(rawValue: volume), extent: extent,
        entry: MapEntry(store: StoreID(rawValue: store), slot: slot))
    }
    // Half in pages, half in the journal.
    for half in [deltas.prefix(deltas.count / 2), deltas.suffix(deltas.count - deltas.count / 2)] {
      while try catalog.checkpoint(pagesMax: 9) {}
      unsafe try Array(half).withUnsafeBufferPointer { unsafe try catalog.append($0) }
    }
  }

  private func check() throws -> CheckReport {
    let files = ["/pool/catalog.db", "/pool/catalog.db-wal", "/s0", "/s1"]
    let before = files.map { fingerprint(folder.path + $0) }
    let report = try PoolCheck.run(directory: directory)
    #expect(files.map { fingerprint(folder.path + $0) } == before)
    return report
  }

  @Test func aSoundPoolIsCounted() throws {
    try makePool([(1, 0, 0, 0), (1, 4999, 1, 5), (2, 99, 0, 1024), (2, 1, 0, 1025)])
    let report = try check()
    #expect(report.isSound && report.problems.isEmpty, "\(report.problems)")
    #expect(report.stores.map(\.extents) == [3, 1])
    let usedBytes: [UInt64] = [0x12_0000, 0x10_0000]
    #expect(report.stores.map(\.usedBytes) == usedBytes)
    #expect(report.volumes.map(\.mappedExtents) == [2, 2])
    #expect(report.journalRecords == 2)
  }

  @Test func wrongEntriesAreFound() throws {
    try makePool([
      (1, 0, 0, 7), (1, 1, 0, 7), (1, 2, 0, 199), (1, 3, 9, 0), (2, 0, 0, 16), (2, 1, 0, 1 << 30),
      (1, 4, 1, 7),
    ])
    let report = try check()
    #expect(!report.isSound)
    let found = report.problems.map(\.message).sorted()
    let expected = [
      "1 extents of volume vol1 are in store 9, which does not exist",
      "extent 0 of volume vol2 is mapped to a slot that another extent uses",
      "extent 1 of volume vol1 is mapped to a slot that another extent uses",
      "extent 1 of volume vol2 is mapped to a slot beyond the end of its store",
      "extent 2 of volume vol1 is mapped to a slot beyond the end of its store",
    ]
    #expect(found == expected)
    #expect(report.problems.allSatisfy { $0.remedy != nil })
  }

  @Test func damagedLabelsAreFound() throws {
    try makePool([])
    try overwrite(folder.path + "/s0", [1, 2, 3], at: 40)
    try overwrite(folder.path + "/s1", [1, 2, 3], at: 40)
    try overwrite(folder.path + "/s1", [1, 2, 3], at: 65536 + 40)
    let report = try check()
    #expect(report.problems.map(\.severity) == [.warning, .error])
  }

  @Test func aMissingStoreIsFound() throws {
    try makePool([])
    run("rm", folder.path + "/s1")
    #expect(try check().problems.map(\.message) == ["the file of store s1 is missing"])
  }

  @Test func anOverwrittenCatalogIsFound() throws {
    try makePool((0..<4000).map { (1, $0, 0, $0 % 190) })
    let catalog = try Catalog(opening: directory)
    catalog.close()
    try overwrite(directory + "/catalog.db", [UInt8](repeating: 0x77, count: 4096), at: 4096 * 12)
    #expect(try !check().isSound)
    try overwrite(directory + "/catalog.db", [UInt8](repeating: 0x77, count: 64), at: 0)
    #expect(try !check().isSound)
  }

  /// The pool would not be served with any of these.
  @Test(arguments: MapPlane.allCases) func aDamagedPageOfAnyPlaneIsFound(_ plane: MapPlane) throws {
    try makePool([(1, 0, 0, 0)])
    let catalog = try Catalog(opening: directory)
    let word =
      switch plane {
      case .activity: UInt64(1)
      case .seal: SealEntry(checksum: 1).rawValue
      default: MapEntry(store: StoreID(rawValue: 1), slot: 3).rawValue
      }
    try catalog.append([
      MapDelta(volume: volumes[0].id, plane: plane, extent: 0, word: word)
    ])
    while try catalog.checkpoint(pagesMax: 9) {}
    catalog.close()
    #expect(try check().isSound)
    let database = try Database(path: directory + "/catalog.db", flags: 2)
    let key = MapPage.key(volume: volumes[0].id, plane, page: 0)
    try database.execute("UPDATE pages SET image = zeroblob(length(image)) WHERE key = \(key)")
    withExtendedLifetime(database) {}
    let found = try check().problems.map(\.message)
    #expect(found == ["page 0 of the map of volume vol1 is damaged"])
  }

  @Test func aPoolInUseIsNotChecked() throws {
    try makePool([])
    let lock = try PoolLock(directory: directory)
    #expect(
      gnomonError { _ = try PoolCheck.run(directory: directory, waitMilliseconds: 50) }?.code == .conflict)
    withExtendedLifetime(lock) {}
    #expect(gnomonError { _ = try PoolCheck.run(directory: folder.path) }?.code == .notFound)
    #expect(unsafe access(folder.path + "/lock", F_OK) != 0)
  }

  @Test func endlessProblemsAreCounted() throws {
    try makePool((0..<4000).map { (1, $0, 0, 5) })
    let report = try check()
    #expect(report.problems.count == CheckReport.problemsMax)
    #expect(report.problemsOmitted == 3999 - CheckReport.problemsMax)
  }
}
