public import Catalog
public import ExtentMap
import Platform
public import Primitives

/// The maps of all volumes as the catalog has them, with which a pool's life begins.
public struct PoolMaps: Sendable {
  /// A volume and where its extents lie.
  public struct Volume: Sendable {
    /// The volume as the catalog describes it.
    public var record: VolumeRecord
    /// Its map, loaded.
    public let map: ExtentMap
  }

  /// All volumes, by id.
  public var volumes: [Volume] = []

  /// Reads the maps of all volumes.
  ///
  /// - Throws: `corrupt` if one can not be trusted; `system` if there is no memory for one.
  public init(loading catalog: Catalog) throws(GnomonError) {
    for record in try catalog.volumes() {
      let map = try Self.makeMap(record)
      try unsafe map.load { (entries) throws(GnomonError) in
        unsafe try catalog.loadMap(of: record, into: entries)
      }
      volumes.append(Volume(record: record, map: map))
    }
  }

  /// The map of a volume that has nothing in it yet.
  ///
  /// - Throws: `system` if there is no memory for it.
  public static func makeMap(_ record: VolumeRecord) throws(GnomonError) -> ExtentMap {
    do throws(SystemError) {
      return try ExtentMap(
        volume: record.id, extentBytes: record.extentBytes, extentCount: record.extentCount)
    } catch {
      throw GnomonError(
        .system, "no memory for the extent map of volume \(record.name)", cause: error.description,
        remedy: "it needs 8 bytes for each of its \(record.extentCount) extents")
    }
  }

  /// The slots of a store that the maps leave free.
  ///
  /// - Throws: `corrupt` if two extents lie in one slot, or one lies beyond the end.
  public func slots(of store: StoreRecord, capacityBytes: UInt64) throws(GnomonError) -> SlotAllocator {
    var allocator = SlotAllocator(capacityBytes: capacityBytes)
    var conflict: (volume: String, extent: Int)?
    for volume in volumes {
      unsafe volume.map.load { entries in
        _ = unsafe allocator.markUsed(
          entries: UnsafeBufferPointer(entries), store: store.id, slotBytes: volume.record.extentBytes
        ) { if conflict == nil { conflict = (volume.record.name, $0) } }
      }
    }
    if let conflict {
      throw GnomonError(
        .corrupt, "extent \(conflict.extent) of volume \(conflict.volume) lies where another extent does",
        cause: "its slot in store \(store.name) is taken or beyond the end",
        remedy: "see the whole damage with `gnomon check`")
    }
    return allocator
  }

  /// Makes sure that every extent lies in a store that exists.
  ///
  /// - Throws: `corrupt` if one does not.
  public func checkStores(_ ids: some Sequence<StoreID>) throws(GnomonError) {
    var isKnown = [Bool](repeating: false, count: 256)
    for id in ids { isKnown[Int(id.rawValue)] = true }
    for volume in volumes {
      let stray = volume.map.firstEntry { !isKnown[Int($0.store.rawValue)] }
      guard let stray else { continue }
      throw GnomonError(
        .corrupt, "extent \(stray) of volume \(volume.record.name) lies in a store that does not exist",
        remedy: "see the whole damage with `gnomon check`")
    }
  }
}
