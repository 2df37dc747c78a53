import Catalog
import ExtentMap
import Primitives
import Stores

/// Bit rot in the catalog.
extension World {
  /// Flips a bit of an entry where the catalog's file holds it, on a copy of the disk: opening the copy must
  /// fail, or find the same map all the same.
  func verifyDamageIsNoticed() throws {
    let mapped = volumes.flatMap(\.committed).filter(\.isMapped)
    guard !mapped.isEmpty else { return }
    // It must outlive the catalog.
    let copy = SimulatedFileSystem(SimulatedDisk(copying: fileSystem.disk))
    defer { withExtendedLifetime(copy) {} }
    let word = mapped[generator.below(mapped.count)].rawValue
    guard copy.disk.damage(Self.directory + "/catalog.db", holding: word) else { return }
    var options = CatalogOptions()
    options.fileSystem = copy.name
    let maps: PoolMaps
    do throws(GnomonError) {
      let catalog = try Catalog(opening: Self.directory, options: options)
      maps = try PoolMaps(loading: catalog)
    } catch {
      trace.say("damage was noticed: \(error)")
      return
    }
    for (volume, loaded) in zip(volumes, maps.volumes) {
      for (extent, entry) in volume.committed.enumerated()
      where loaded.map.view.entry(UInt64(extent)).address != entry {
        throw BrokenPromise("a damaged map is believed: extent \(extent) of \(volume.record.name)")
      }
      var rest = volume
      rest.take(loaded.map)
      if rest.committedShadows != volume.committedShadows {
        throw BrokenPromise("a damaged map is believed: shadows of \(volume.record.name)")
      }
    }
  }
}
