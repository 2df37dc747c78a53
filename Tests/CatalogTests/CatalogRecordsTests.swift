import ExtentMap
import Primitives
import Testing

@testable import Catalog

/// Stores and volumes: what is added is there, what is in use stays.
struct CatalogRecordsTests {
  @Test func aNewPoolHasWhatItWasMadeWith() throws {
    let pool = try TemporaryPool(volumes: [
      TemporaryPool.volume(1, extents: 3), TemporaryPool.volume(7, extents: 4),
    ])
    for readOnly in [false, true] {
      let catalog = try Catalog(opening: pool.directory, readOnly: readOnly)
      #expect(catalog.pool == TemporaryPool.identity)
      #expect(try catalog.stores() == [TemporaryPool.store(0)])
      #expect(
        try catalog.volumes() == [TemporaryPool.volume(1, extents: 3), TemporaryPool.volume(7, extents: 4)])
      #expect(try catalog.nextVolumeID().rawValue == 8)
      #expect(try catalog.nextStoreID().rawValue == 1)
      #expect(try catalog.integrityProblems() == [])
      catalog.close()
    }
  }

  @Test func anExistingPoolIsNotOverwritten() throws {
    let pool = try TemporaryPool()
    let error = gnomonError {
      try Catalog.create(at: pool.directory, pool: TemporaryPool.identity, stores: [], volumes: [])
    }
    #expect(error?.code == .conflict)
    #expect(try pool.open().stores().count == 1)
  }

  @Test func aPoolWithTwoStoresOfOneNameIsNotMade() throws {
    let folder = TemporaryFolder()
    let error = gnomonError {
      try Catalog.create(
        at: folder.path, pool: TemporaryPool.identity,
        stores: [TemporaryPool.store(0, name: "a"), TemporaryPool.store(1, name: "a")], volumes: [])
    }
    #expect(error?.code == .conflict)
    #expect(gnomonError { _ = try Catalog(opening: folder.path) }?.code == .notFound)
    // Nothing stands in the way of a second try.
    try Catalog.create(at: folder.path, pool: TemporaryPool.identity, stores: [], volumes: [])
  }

  @Test func volumeIDsAreNeverUsedTwice() throws {
    let pool = try TemporaryPool()
    let catalog = try pool.open()
    let second = TemporaryPool.volume(try catalog.nextVolumeID().rawValue, extents: 5)
    try catalog.add(volume: second)
    try catalog.delete(volume: second.id)
    #expect(try catalog.nextVolumeID().rawValue == 3)
    #expect(gnomonError { try catalog.add(volume: second) }?.code == .conflict)
    #expect(gnomonError { try catalog.delete(volume: second.id) }?.code == .notFound)
  }

  @Test func aNameIsTakenOnce() throws {
    let pool = try TemporaryPool()
    let catalog = try pool.open()
    #expect(
      gnomonError { try catalog.add(volume: TemporaryPool.volume(2, extents: 1, name: "vol1")) }?.code
        == .conflict)
    #expect(gnomonError { try catalog.add(store: TemporaryPool.store(1, name: "store0")) }?.code == .conflict)
    #expect(try catalog.volumes().count == 1)
  }

  @Test func recordsCanBeChanged() throws {
    let pool = try TemporaryPool()
    let catalog = try pool.open()
    var store = TemporaryPool.store(0)
    store.path = "/elsewhere"
    store.tier = 3
    try catalog.update(store: store)
    #expect(try catalog.stores() == [store])
    var volume = TemporaryPool.volume(1, extents: 10_000)
    volume.name = "renamed"
    volume.readOnly = true
    try catalog.update(volume: volume)
    #expect(try catalog.volumes() == [volume])
    #expect(gnomonError { try catalog.update(store: TemporaryPool.store(9)) }?.code == .notFound)
    #expect(
      gnomonError { try catalog.update(volume: TemporaryPool.volume(9, extents: 1)) }?.code == .notFound)
  }

  @Test func aStoreWithExtentsStays() throws {
    let pool = try TemporaryPool()
    let catalog = try pool.open()
    try catalog.add(store: TemporaryPool.store(4))
    let entry = MapEntry(store: StoreID(rawValue: 4), slot: 0)
    try catalog.append([MapDelta(volume: VolumeID(rawValue: 1), extent: 1, entry: entry)])
    #expect(gnomonError { try catalog.remove(store: StoreID(rawValue: 4)) }?.code == .conflict)
    try catalog.append([MapDelta(volume: VolumeID(rawValue: 1), extent: 1, entry: .unmapped)])
    try catalog.remove(store: StoreID(rawValue: 4))
    #expect(try catalog.stores().count == 1)
    #expect(gnomonError { try catalog.remove(store: StoreID(rawValue: 4)) }?.code == .notFound)
  }

  @Test func aDeletedVolumeTakesItsMapWithIt() throws {
    let volumes = [1, 2].map { TemporaryPool.volume($0, extents: 10_000) }
    let pool = try TemporaryPool(volumes: volumes)
    let catalog = try pool.open()
    var random = SplitMix(state: 5)
    let kept = randomDeltas(3000, in: volumes[1], &random)
    try catalog.append(randomDeltas(3000, in: volumes[0], &random) + kept)
    _ = try catalog.checkpoint(pagesMax: 2)
    try catalog.append(randomDeltas(3000, in: volumes[0], &random))
    try catalog.delete(volume: volumes[0].id)
    while try catalog.checkpoint(pagesMax: 1) {}
    #expect(try catalog.purge(pagesMax: 1))
    catalog.close()
    // The rest is left to the next opening, as after a crash.
    func pagesLeft() throws -> Int64 {
      let database = try Database(path: pool.directory + "/catalog.db", flags: 2)
      return try database.number("SELECT count(*) FROM pages WHERE key < \(2 << 31 as Int64)")
    }
    #expect(try pagesLeft() > 0)
    let again = try pool.open()
    while try again.purge(pagesMax: 1) {}
    var expected = [UInt64](repeating: 0, count: 10_000)
    apply(kept, to: &expected)
    #expect(try again.map(of: volumes[1]) == expected)
    again.close()
    #expect(try pagesLeft() == 0)
  }

  @Test func aDeletedVolumeDoesNotHoldStores() throws {
    let volume = TemporaryPool.volume(1, extents: 10_000)
    let pool = try TemporaryPool(volumes: [volume])
    let catalog = try pool.open()
    try catalog.add(store: TemporaryPool.store(4))
    let entry = MapEntry(store: StoreID(rawValue: 4), slot: 0)
    try catalog.append([MapDelta(volume: volume.id, extent: 1, entry: entry)])
    while try catalog.checkpoint(pagesMax: 1) {}
    try catalog.delete(volume: volume.id)
    try catalog.remove(store: StoreID(rawValue: 4))
    #expect(try catalog.stores().count == 1)
  }

  @Test func shrinkingNeedsConsentAndForgetsForGood() throws {
    let pool = try TemporaryPool()
    let catalog = try pool.open()
    let id = VolumeID(rawValue: 1)
    func entry(_ slot: UInt64) -> MapEntry { MapEntry(store: StoreID(rawValue: 0), slot: slot) }
    try catalog.append([10, 4999, 5000, 9999].map { MapDelta(volume: id, extent: $0, entry: entry($0)) })
    #expect(gnomonError { try catalog.resize(volume: id, sizeBytes: 5000 << 20) }?.code == .conflict)
    #expect(try catalog.volumes()[0].extentCount == 10_000)
    #expect(try catalog.map(of: TemporaryPool.volume(1, extents: 10_000))[9999] == entry(9999).rawValue)
    try catalog.resize(volume: id, sizeBytes: 5000 << 20, dropping: true)
    try catalog.resize(volume: id, sizeBytes: 20_000 << 20)
    let crashed = pool.crashed()
    let map = try Catalog(opening: crashed.directory).map(of: TemporaryPool.volume(1, extents: 20_000))
    #expect(map.indices.filter { map[$0] != 0 } == [10, 4999])
    #expect(gnomonError { try catalog.resize(volume: id, sizeBytes: 0) }?.code == .invalid)
    #expect(
      gnomonError { try catalog.resize(volume: VolumeID(rawValue: 8), sizeBytes: 1) }?.code == .notFound)
  }

  /// A shrink that was interrupted before its pages were cleared away: they mean nothing, now and later.
  @Test func pagesBeyondTheEndMeanNothing() throws {
    let pool = try TemporaryPool()
    let catalog = try pool.open()
    let id = VolumeID(rawValue: 1)
    try catalog.add(store: TemporaryPool.store(4))
    func entry(_ extent: UInt64) -> MapEntry {
      MapEntry(store: StoreID(rawValue: extent < 4000 ? 0 : 4), slot: extent)
    }
    let extents: [UInt64] = [10, 3999, 4000, 4095, 4096, 9999]
    try catalog.append(extents.map { MapDelta(volume: id, extent: $0, entry: entry($0)) })
    try catalog.resize(volume: id, sizeBytes: 4000 << 20, dropping: true)
    let crashed = pool.crashed()
    func pages() throws -> Int64 {
      try Database(path: crashed.directory + "/catalog.db", flags: 2).number("SELECT count(*) FROM pages")
    }
    #expect(try pages() == 3)
    do {
      let again = try Catalog(opening: crashed.directory)
      let map = try again.map(of: TemporaryPool.volume(1, extents: 4000))
      #expect(map.indices.filter { map[$0] != 0 } == [10, 3999])
      // They hold no store.
      try again.remove(store: StoreID(rawValue: 4))
      #expect(try again.purge(pagesMax: 1) && again.purge(pagesMax: 1))
      #expect(try !again.purge(pagesMax: 1))
      again.close()
    }
    #expect(try pages() == 1)
    // Grown again without having been cleared away first.
    try catalog.resize(volume: id, sizeBytes: 10_000 << 20)
    let map = try catalog.map(of: TemporaryPool.volume(1, extents: 10_000))
    #expect(map.indices.filter { map[$0] != 0 } == [10, 3999])
  }

  @Test func aStoreIsRemovedInSteps() throws {
    let pool = try TemporaryPool()
    let catalog = try pool.open()
    try catalog.add(store: TemporaryPool.store(4))
    let (first, second) = (StoreID(rawValue: 0), StoreID(rawValue: 4))
    let deltas = [0, 5000, 9000].map {
      MapDelta(volume: VolumeID(rawValue: 1), extent: $0, entry: MapEntry(store: first, slot: $0))
    }
    try catalog.append(deltas)
    var removal = catalog.beginRemoval(of: second)
    var steps = 0
    while try catalog.continueRemoval(&removal, pagesMax: 1) {
      steps += 1
      // Others change their maps meanwhile.
      if steps < 20 {
        try catalog.append([
          MapDelta(
            volume: VolumeID(rawValue: 1), extent: 7, entry: MapEntry(store: first, slot: UInt64(7 + steps)))
        ])
      }
      #expect(try catalog.stores().count == 2)
    }
    #expect(steps >= 4 && steps < 20)
    #expect(try catalog.stores().map(\.id) == [first])
  }

  /// Clearing goes in steps, one of which may come after the end.
  @Test func aClosedCatalogSaysSo() throws {
    let pool = try TemporaryPool()
    let catalog = try pool.open()
    let id = VolumeID(rawValue: 1)
    try catalog.append([
      MapDelta(volume: id, extent: 1, entry: MapEntry(store: StoreID(rawValue: 0), slot: 0))
    ])
    while try catalog.checkpoint(pagesMax: 1) {}
    try catalog.delete(volume: id)
    catalog.close()
    #expect(gnomonError { _ = try catalog.purge(pagesMax: 1) }?.code == .unavailable)
    #expect(gnomonError { _ = try catalog.stores() }?.code == .unavailable)
  }
}
