import ExtentMap
import Primitives
import Testing

@testable import Catalog

/// Seals, and the result of the last scrub.
struct CatalogSealTests {
  private static let volume = TemporaryPool.volume(1, extents: 10_000)

  private static func seal(_ extent: UInt64, _ checksum: UInt32?) -> MapDelta {
    MapDelta(
      volume: volume.id, plane: .seal, extent: extent,
      word: checksum.map { SealEntry(checksum: $0).rawValue } ?? 0)
  }

  private static func seals(_ catalog: Catalog) throws -> [UInt64: UInt64] {
    var words: [UInt64: UInt64] = [:]
    try catalog.replayPlane(.seal, of: volume) { words[$0] = $1 == 0 ? nil : $1 }
    return words
  }

  @Test func theLastWordOfASealCounts() throws {
    let pool = try TemporaryPool()
    let catalog = try pool.open()
    try catalog.append([Self.seal(0, 1), Self.seal(4096, 2), Self.seal(9999, 3)])
    try catalog.append([Self.seal(0, nil), Self.seal(4096, 4)])
    let expected = [UInt64(4096): SealEntry(checksum: 4).rawValue, 9999: SealEntry(checksum: 3).rawValue]
    #expect(try Self.seals(catalog) == expected)
    while try catalog.checkpoint(pagesMax: 1) {}
    #expect(try Self.seals(catalog) == expected)
    // What the journal says of a page that has been folded.
    try catalog.append([Self.seal(4096, nil), Self.seal(1, 9)])
    let after = [UInt64(1): SealEntry(checksum: 9).rawValue, 9999: SealEntry(checksum: 3).rawValue]
    #expect(try Self.seals(catalog) == after)
    catalog.close()
    #expect(try Self.seals(pool.open()) == after)
  }

  @Test func noTwoPlanesShareAPage() {
    var seen: [ClosedRange<Int64>] = []
    for volume: UInt32 in [1, 2, .max] {
      let id = VolumeID(rawValue: volume)
      for plane in MapPlane.allCases {
        let keys = MapPage.keys(of: id, plane)
        #expect(seen.allSatisfy { !$0.overlaps(keys) }, "\(plane)")
        seen.append(keys)
        for key in [keys.lowerBound, keys.upperBound] {
          #expect(MapPage.plane(ofKey: key) == plane && MapPage.volume(ofKey: key) == id)
          #expect(MapPage.page(ofKey: key) == UInt64(key - keys.lowerBound))
        }
        #expect(
          MapPage.keys(of: id).contains(keys.lowerBound) && MapPage.keys(of: id).contains(keys.upperBound))
      }
      // Planes that there may be one day.
      #expect(MapPage.plane(ofKey: MapPage.key(volume: id, .shadow1, page: 0) + 1 << 27) == nil)
    }
  }

  @Test func aDeletedVolumesSealsAreClearedAway() throws {
    let pool = try TemporaryPool()
    let catalog = try pool.open()
    try catalog.append([Self.seal(0, 1), Self.seal(9999, 3)])
    while try catalog.checkpoint(pagesMax: 1) {}
    try catalog.resize(volume: Self.volume.id, sizeBytes: 100 << 20, dropping: true)
    while try catalog.purge(pagesMax: 1) {}
    var left: [UInt64] = []
    try catalog.replayPlane(.seal, of: TemporaryPool.volume(1, extents: 100)) { extent, _ in
      left.append(extent)
    }
    #expect(left == [0])
    try catalog.delete(volume: Self.volume.id)
    while try catalog.purge(pagesMax: 1) {}
    #expect(try catalog.attempting("") { try $0.number("SELECT count(*) FROM pages") } == 0)
  }

  @Test func theLastScrubIsRemembered() throws {
    let pool = try TemporaryPool()
    let catalog = try pool.open()
    #expect(try catalog.lastScrub() == nil)
    var record = ScrubRecord(scope: "all volumes", startedSeconds: 1_700_000_000)
    record.endedSeconds = record.startedSeconds + 100
    record.wholeEndedSeconds = record.endedSeconds
    record.figures = ScrubFigures(
      bytes: 1 << 40, extents: 5, copies: 9, bad: 2, unread: 1, healed: 2, unhealed: 1)
    for number in 0..<UInt64(3) {
      record.add(
        ScrubFinding(
          volume: "v", extent: number, store: "s", place: number << 40, problem: .differs, outcome: .healed,
          reason: number == 0 ? "" : "why"))
    }
    try catalog.setLastScrub(record)
    #expect(try catalog.lastScrub() == record)
    record.end = .interrupted
    record.findings.removeLast()
    try catalog.setLastScrub(record)
    catalog.close()
    #expect(try pool.open().lastScrub() == record)
  }

  /// It is there for people: a pool is opened without it.
  @Test(arguments: [
    "UPDATE scrub SET end = 'x'", "INSERT INTO scrub_findings VALUES (0, 'v', 1, 's', 1, 'x', 'y', '')",
  ])
  func aScrubThatMakesNoSenseIsForgotten(sql: String) throws {
    let pool = try TemporaryPool()
    let catalog = try pool.open()
    let record = ScrubRecord(scope: "all volumes", startedSeconds: 1)
    try catalog.setLastScrub(record)
    catalog.close()
    try pool.tamper(sql)
    let again = try pool.open()
    #expect(try again.lastScrub() == nil)
    try again.setLastScrub(record)
    #expect(try again.lastScrub() == record)
  }

  @Test func findingsAreBoundedAndTheWorstAreKept() {
    var record = ScrubRecord(scope: "", startedSeconds: 0)
    func finding(_ extent: Int, _ outcome: ScrubFinding.Outcome) -> ScrubFinding {
      ScrubFinding(
        volume: "v", extent: UInt64(extent), store: "s", place: 0, problem: .differs, outcome: outcome)
    }
    for number in 0..<ScrubRecord.findingsMax { record.add(finding(number, .healed)) }
    record.add(finding(1000, .healed))
    record.add(finding(1001, .unhealed))
    #expect(record.findings.count == ScrubRecord.findingsMax)
    #expect(record.findings.last?.extent == 1001 && !record.findings.contains { $0.extent == 1000 })
  }

  @Test func aPoolFromBeforeThereWereSealsIsBroughtUpToDate() throws {
    let pool = try TemporaryPool()
    try pool.tamper(
      "DROP TABLE scrub; DROP TABLE scrub_findings; ALTER TABLE volumes DROP COLUMN pin;"
        + "ALTER TABLE volumes DROP COLUMN never; PRAGMA user_version = 3;")
    let catalog = try pool.open()
    #expect(try catalog.lastScrub() == nil)
    try catalog.setLastScrub(ScrubRecord(scope: "all volumes", startedSeconds: 1))
    try catalog.append([Self.seal(0, 1)])
    #expect(try Self.seals(catalog).count == 1)
  }
}
