import Platform
public import Primitives

/// Stores and volumes: the rows that people know by name.
extension Catalog {
  /// All stores, by id.
  public func stores() throws(GnomonError) -> [StoreRecord] {
    try attempting("the stores can not be read") { try Self.readStores($0) }
  }

  /// All volumes, by id.
  public func volumes() throws(GnomonError) -> [VolumeRecord] {
    try attempting("the volumes can not be read") { try Self.readVolumes($0) }
  }

  /// The lowest store id that is free.
  ///
  /// - Throws: `full` if the pool has 256 stores.
  public func nextStoreID() throws(GnomonError) -> StoreID {
    let used = Set(try stores().map(\.id))
    guard let free = (UInt8.min...UInt8.max).first(where: { !used.contains(StoreID(rawValue: $0)) }) else {
      throw GnomonError(.full, "a pool can have no more than 256 stores", remedy: "remove one first")
    }
    return StoreID(rawValue: free)
  }

  /// A volume id that was never used in this pool.
  public func nextVolumeID() throws(GnomonError) -> VolumeID {
    try attempting("the volumes can not be read") { database in
      let last = try database.number("SELECT seq FROM sqlite_sequence WHERE name = 'volumes'")
      guard let next = UInt32(exactly: last + 1) else {
        throw GnomonError(.full, "the pool has used up its volume ids", remedy: "make a new pool")
      }
      return VolumeID(rawValue: next)
    }
  }

  /// Adds a store whose label has been written.
  ///
  /// - Throws: `conflict` if its id, UUID or name is taken.
  public func add(store: StoreRecord) throws(GnomonError) {
    try changing("store \(store.name) can not be added") { database in
      try Self.insert(store, into: database)
      Failpoint.storeAdding.pass()
    }
    Failpoint.storeAdded.pass()
  }

  /// Replaces what is known of the store with this id.
  ///
  /// - Throws: `notFound` if there is none, `conflict` if the new name is taken.
  public func update(store: StoreRecord) throws(GnomonError) {
    try changing("store \(store.name) can not be changed") { database in
      try database.prepared("DELETE FROM stores WHERE id = ?1").bind(1, Int64(store.id.rawValue)).run()
      guard try database.number("SELECT changes()") == 1 else { throw Self.noStore(store.id) }
      try Self.insert(store, into: database)
    }
  }

  /// Adds a volume, with nothing mapped.
  ///
  /// - Throws: `conflict` if its name or UUID is taken, or if its id was ever used.
  public func add(volume: VolumeRecord) throws(GnomonError) {
    let next = try nextVolumeID()
    try changing("volume \(volume.name) can not be added") { database in
      guard volume.id >= next else {
        throw GnomonError(.conflict, "volume id \(volume.id.rawValue) was used before")
      }
      try Self.insert(volume, into: database)
      Failpoint.volumeAdding.pass()
    }
    Failpoint.volumeAdded.pass()
    volumeIDs.insert(volume.id)
  }

  /// Changes a volume's name, whether it is read-only, its redundancy and its tiers; its size and extent size
  /// stay.
  ///
  /// - Throws: `notFound` if there is no such volume, `conflict` if the new name is taken.
  public func update(volume: VolumeRecord) throws(GnomonError) {
    try changing("volume \(volume.name) can not be changed") { database in
      try Self.check(volume)
      try database.prepared(
        """
        UPDATE volumes SET name = ?2, read_only = ?3, copies = ?4, across = ?5, protection = ?6,
          errors = ?7, pin = ?8, never = ?9
        WHERE id = ?1
        """
      )
      .bind(1, Int64(volume.id.rawValue)).bind(2, volume.name).bind(3, Int64(volume.readOnly ? 1 : 0))
      .bind(4, Int64(volume.redundancy.copies)).bind(5, volume.redundancy.across.rawValue)
      .bind(6, volume.redundancy.protection.name).bind(7, volume.redundancy.errors.rawValue)
      .bind(8, volume.tiers.pinWord).bind(9, "\(volume.tiers.never)").run()
      guard try database.number("SELECT changes()") == 1 else { throw Self.noVolume(volume.id) }
    }
  }

  /// Forgets a volume. Its map is of no use from here on; `purge` clears it away.
  ///
  /// - Throws: `notFound` if there is no such volume.
  public func delete(volume id: VolumeID) throws(GnomonError) {
    try changing("volume \(id.rawValue) can not be deleted") { database in
      try database.prepared("DELETE FROM volumes WHERE id = ?1").bind(1, Int64(id.rawValue)).run()
      guard try database.number("SELECT changes()") == 1 else { throw Self.noVolume(id) }
      Failpoint.volumeDeleting.pass()
    }
    Failpoint.volumeDeleted.pass()
    volumeIDs.remove(id)
    forgotten.append(MapPage.keys(of: id))
  }

  static func noStore(_ id: StoreID) -> GnomonError {
    GnomonError(.notFound, "there is no store \(id.rawValue)", remedy: "see `gnomon store list`")
  }

  static func noVolume(_ id: VolumeID) -> GnomonError {
    GnomonError(.notFound, "there is no volume \(id.rawValue)", remedy: "see `gnomon volume list`")
  }
}
