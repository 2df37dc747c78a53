import ExtentMap
import Glibc
import Primitives
import Testing

@testable import Catalog

/// The map survives: appends, checkpoints cut off anywhere, restarts.
struct MapDurabilityTests {
  @Test func whatWasAppendedIsLoadedFromACrashedCopy() throws {
    let pool = try TemporaryPool()
    let volume = TemporaryPool.volume(1, extents: 10_000)
    let catalog = try pool.open()
    var random = SplitMix(state: 1)
    var expected = [UInt64](repeating: 0, count: 10_000)
    for count in [1, 100, 4096, 4097, 10_000] {
      let deltas = randomDeltas(count, in: volume, &random)
      try catalog.append(deltas)
      apply(deltas, to: &expected)
      #expect(try catalog.map(of: volume) == expected)
      let crashed = pool.crashed()
      #expect(try Catalog(opening: crashed.directory).map(of: volume) == expected)
    }
    #expect(catalog.journalRecordCount == 1 + 100 + 4096 + 4097 + 10_000)
    #expect(catalog.journalBytes == UInt64(catalog.journalRecordCount) * 24)
  }

  @Test(arguments: [1, 2, 3, 4] as [UInt64])
  func aCrashAfterAnyTransactionOfACheckpointLosesNothing(seed: UInt64) throws {
    let volumes = [TemporaryPool.volume(1, extents: 40_000), TemporaryPool.volume(2, extents: 5_000)]
    let pool = try TemporaryPool(volumes: volumes)
    let catalog = try pool.open()
    var random = SplitMix(state: seed)
    var expected = volumes.map { [UInt64](repeating: 0, count: Int($0.extentCount)) }
    for _ in 0..<6 {
      for index in volumes.indices {
        let deltas = randomDeltas(500, in: volumes[index], &random)
        try catalog.append(deltas)
        apply(deltas, to: &expected[index])
      }
      // One page at a time, a crash after each; appends go on between them.
      for _ in 0..<7 {
        _ = try catalog.checkpoint(pagesMax: 1)
        let deltas = randomDeltas(3, in: volumes[0], &random)
        try catalog.append(deltas)
        apply(deltas, to: &expected[0])
        let crashed = pool.crashed()
        let survivor = try Catalog(opening: crashed.directory)
        for index in volumes.indices { #expect(try survivor.map(of: volumes[index]) == expected[index]) }
        // The survivor starts another round over the half-folded pages.
        while try survivor.checkpoint(pagesMax: 2) {}
        for index in volumes.indices { #expect(try survivor.map(of: volumes[index]) == expected[index]) }
        #expect(survivor.journalRecordCount == 0)
      }
    }
    catalog.close()
    let reopened = try pool.open()
    #expect(reopened.journalRecordCount == 0)
    for index in volumes.indices { #expect(try reopened.map(of: volumes[index]) == expected[index]) }
  }

  @Test func journalNumbersAreNotUsedAgainAfterTheJournalWasEmptied() throws {
    let pool = try TemporaryPool()
    let volume = TemporaryPool.volume(1, extents: 10_000)
    func delta(_ slot: UInt64) -> [MapDelta] {
      [MapDelta(volume: volume.id, extent: 5, entry: MapEntry(store: StoreID(rawValue: 0), slot: slot))]
    }
    for slot in 0..<5 as Range<UInt64> {
      let catalog = try pool.open()
      try catalog.append(delta(slot))
      catalog.close()
    }
    let catalog = try pool.open()
    #expect(catalog.journalRecordCount == 0)
    // If numbers started over, the page would claim to have seen this one already.
    try catalog.append(delta(77))
    let crashed = pool.crashed()
    #expect(MapEntry(rawValue: try Catalog(opening: crashed.directory).map(of: volume)[5]).slot == 77)
  }

  @Test func aPageWithNothingMappedIsDeleted() throws {
    let pool = try TemporaryPool()
    let volume = TemporaryPool.volume(1, extents: 10_000)
    let catalog = try pool.open()
    let entry = MapEntry(store: StoreID(rawValue: 0), slot: 9)
    try catalog.append([MapDelta(volume: volume.id, extent: 5000, entry: entry)])
    while try catalog.checkpoint(pagesMax: 1) {}
    #expect(try pageCount(catalog) == 1)
    try catalog.append([MapDelta(volume: volume.id, extent: 5000, entry: .unmapped)])
    while try catalog.checkpoint(pagesMax: 1) {}
    #expect(try pageCount(catalog) == 0)
    #expect(try catalog.map(of: volume).allSatisfy { $0 == 0 })
  }

  @Test func aLongJournalIsFoldedByAppendItself() throws {
    let volume = TemporaryPool.volume(1, extents: 8192)
    let pool = try TemporaryPool(volumes: [volume])
    let catalog = try pool.open()
    var random = SplitMix(state: 3)
    let deltas = randomDeltas(100_000, in: volume, &random)
    for _ in 0..<20 { try catalog.append(deltas) }
    #expect(catalog.journalBytes <= Catalog.journalBytesMax + 100_000 * 24)
    var expected = [UInt64](repeating: 0, count: 8192)
    apply(deltas, to: &expected)
    #expect(try catalog.map(of: volume) == expected)
  }

  @Test func recordsOfAVolumeThatDoesNotExistAreIgnored() throws {
    let pool = try TemporaryPool()
    let catalog = try pool.open()
    let entry = MapEntry(store: StoreID(rawValue: 0), slot: 1)
    try catalog.append([MapDelta(volume: VolumeID(rawValue: 99), extent: 1, entry: entry)])
    try catalog.append([MapDelta(volume: VolumeID(rawValue: 1), extent: 1, entry: entry)])
    while try catalog.checkpoint(pagesMax: 1) {}
    #expect(try pageCount(catalog) == 1)
  }

  @Test func anotherThreadCanTakeOverAfterARelease() async throws {
    let pool = try TemporaryPool()
    let catalog = try pool.open()
    #expect(try catalog.volumes().count == 1)
    catalog.releaseThread()
    let count = await Task.detached { (try? catalog.volumes().count) ?? 0 }.value
    #expect(count == 1)
  }

  private func pageCount(_ catalog: Catalog) throws -> Int64 {
    try catalog.attempting("count") { try $0.number("SELECT count(*) FROM pages") }
  }
}
