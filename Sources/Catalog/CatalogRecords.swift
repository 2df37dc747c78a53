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
    try changing("store \(store.name) can not be added") { try Self.insert(store, into: $0) }
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

  /// Forgets a store.
  ///
  /// - Throws: `conflict` if an extent still lies there; `notFound` if there is no such store.
  public func remove(store id: StoreID) throws(GnomonError) {
    while try checkpoint(pagesMax: 256) {}
    try changing("store \(id.rawValue) can not be removed") { database in
      let extents = try extentsMapped(to: id, in: database)
      guard extents == 0 else {
        throw GnomonError(
          .conflict, "store \(id.rawValue) still holds \(extents) extents",
          remedy: "move or delete them first")
      }
      try database.prepared("DELETE FROM stores WHERE id = ?1").bind(1, Int64(id.rawValue)).run()
      guard try database.number("SELECT changes()") == 1 else { throw Self.noStore(id) }
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
    }
    volumeIDs.insert(volume.id)
  }

  /// Changes a volume's name or whether it is read-only; its size and extent size stay.
  ///
  /// - Throws: `notFound` if there is no such volume, `conflict` if the new name is taken.
  public func update(volume: VolumeRecord) throws(GnomonError) {
    try changing("volume \(volume.name) can not be changed") { database in
      try database.prepared("UPDATE volumes SET name = ?2, read_only = ?3 WHERE id = ?1")
        .bind(1, Int64(volume.id.rawValue)).bind(2, volume.name).bind(3, Int64(volume.readOnly ? 1 : 0)).run()
      guard try database.number("SELECT changes()") == 1 else { throw Self.noVolume(volume.id) }
    }
  }

  /// Forgets a volume. Its map is of no use from here on; `purge` clears it away piece by piece, as that of a
  /// large volume has many pages.
  ///
  /// - Throws: `notFound` if there is no such volume.
  public func delete(volume id: VolumeID) throws(GnomonError) {
    try changing("volume \(id.rawValue) can not be deleted") { database in
      try database.prepared("DELETE FROM volumes WHERE id = ?1").bind(1, Int64(id.rawValue)).run()
      guard try database.number("SELECT changes()") == 1 else { throw Self.noVolume(id) }
    }
    volumeIDs.remove(id)
    forgotten.append(id)
  }

  /// Deletes map pages of volumes that no longer exist, those of an interrupted purge included.
  ///
  /// - Parameter pagesMax: pages (32 KiB each) that are deleted at most.
  /// - Returns: true if there is more to delete.
  public func purge(pagesMax: Int) throws(GnomonError) -> Bool {
    guard let id = forgotten.last else { return false }
    let keys = MapPage.keys(of: id)
    let deleted = try changing("the map of a deleted volume can not be cleared away") { database in
      try database.prepared(
        "DELETE FROM pages WHERE key IN "
          + "(SELECT key FROM pages WHERE key BETWEEN ?1 AND ?2 ORDER BY key LIMIT ?3)"
      ).bind(1, keys.lowerBound).bind(2, keys.upperBound).bind(3, Int64(pagesMax)).run()
      return try database.number("SELECT changes()")
    }
    if deleted < pagesMax { forgotten.removeLast() }
    foldLog(above: options.logFramesToFold)
    return !forgotten.isEmpty
  }

  /// Volumes that have map pages but do not exist.
  static func forgottenVolumes(_ existing: Set<VolumeID>, _ database: Database) throws -> [VolumeID] {
    var result: [VolumeID] = []
    var next: Int64 = 0
    while true {
      let statement = try database.prepared("SELECT key FROM pages WHERE key >= ?1 ORDER BY key LIMIT 1")
      statement.bind(1, next)
      defer { statement.reset() }
      guard try statement.step() else { return result }
      let volume = MapPage.volume(ofKey: statement.int(0))
      if !existing.contains(volume) { result.append(volume) }
      let last = MapPage.keys(of: volume).upperBound
      guard last < Int64.max else { return result }
      next = last + 1
    }
  }

  static func noStore(_ id: StoreID) -> GnomonError {
    GnomonError(.notFound, "there is no store \(id.rawValue)", remedy: "see `gnomon store list`")
  }

  static func noVolume(_ id: VolumeID) -> GnomonError {
    GnomonError(.notFound, "there is no volume \(id.rawValue)", remedy: "see `gnomon volume list`")
  }
}
