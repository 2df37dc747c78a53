import Primitives
import Testing

@testable import Catalog

/// On which tiers volumes belong, as the catalog keeps it.
@Suite struct CatalogTierTests {
  private func volume(_ tiers: TierRules) -> VolumeRecord {
    var volume = TemporaryPool.volume(1, extents: 10)
    volume.tiers = tiers
    return volume
  }

  @Test(arguments: [
    TierRules(), TierRules(pin: 0), TierRules(never: TierSet([0, 63, 64, 255])),
    TierRules(pin: 255, never: TierSet(0..<255)),
  ])
  func rulesAreKept(_ rules: TierRules) throws {
    let made = try TemporaryPool(volumes: [volume(rules)])
    #expect(try made.open().volumes().map(\.tiers) == [rules])
    let changed = try TemporaryPool(volumes: [volume(TierRules(pin: 7, never: TierSet([8])))])
    let catalog = try changed.open()
    try catalog.update(volume: volume(rules))
    catalog.close()
    #expect(try changed.open().volumes().map(\.tiers) == [rules])
  }

  @Test func aContradictionIsNotTakenIn() throws {
    let catalog = try TemporaryPool(volumes: [volume(TierRules(pin: 1))]).open()
    let error = gnomonError {
      try catalog.update(volume: volume(TierRules(pin: 1, never: TierSet([1]))))
    }
    #expect(error?.code == .invalid)
    #expect(try catalog.volumes().map(\.tiers) == [TierRules(pin: 1)])
  }

  @Test func volumesFromBeforeThereWereRulesBelongAnywhere() throws {
    let pool = try TemporaryPool(volumes: [volume(TierRules(pin: 1))])
    try pool.tamper(
      "ALTER TABLE volumes DROP COLUMN pin; ALTER TABLE volumes DROP COLUMN never; PRAGMA user_version = 4")
    let refusal = gnomonError { _ = try Catalog(opening: pool.directory, readOnly: true) }
    #expect(refusal?.message.contains("older Gnomon") == true)
    let catalog = try pool.open()
    #expect(try catalog.volumes() == [volume(TierRules())])
    try catalog.update(volume: volume(TierRules(pin: 3, never: TierSet([0]))))
    catalog.close()
    #expect(try pool.open().volumes().map(\.tiers) == [TierRules(pin: 3, never: TierSet([0]))])
  }
}
