import ExtentMap
import Platform
public import Primitives

/// Forgetting parts of maps, which are long for large volumes: in steps, between which others get their turn.
extension Catalog {
  // MARK: Pages that mean nothing any more

  /// Deletes map pages of volumes that no longer exist and beyond the ends of those that do, what was
  /// interrupted before the catalog was opened included.
  ///
  /// - Parameters:
  ///   - pagesMax: pages (32 KiB each) that are deleted at most.
  ///   - volume: whose pages; nil: of all.
  /// - Returns: true if there is more to delete.
  public func purge(pagesMax: Int, of volume: VolumeID? = nil) throws(GnomonError) -> Bool {
    guard let position = lastForgotten(of: volume) else { return false }
    let keys = forgotten[position]
    let deleted = try changing("a part of a map can not be cleared away") { database in
      try database.prepared(
        "DELETE FROM pages WHERE key IN "
          + "(SELECT key FROM pages WHERE key BETWEEN ?1 AND ?2 ORDER BY key LIMIT ?3)"
      ).bind(1, keys.lowerBound).bind(2, keys.upperBound).bind(3, Int64(pagesMax)).run()
      return try database.number("SELECT changes()")
    }
    Failpoint.pagesPurged.pass()
    if deleted < pagesMax { forgotten.remove(at: position) }
    foldLog(above: options.logFramesToFold)
    return lastForgotten(of: volume) != nil
  }

  private func lastForgotten(of volume: VolumeID?) -> Int? {
    forgotten.lastIndex { volume == nil || MapPage.volume(ofKey: $0.lowerBound) == volume }
  }

  /// Ranges of keys in which there are pages of no volume, or beyond a volume's end.
  static func forgottenPages(_ volumes: [VolumeRecord], _ database: Database) throws -> [ClosedRange<Int64>] {
    let records = Dictionary(uniqueKeysWithValues: volumes.map { ($0.id, $0) })
    var result: [ClosedRange<Int64>] = []
    var next: Int64 = 0
    while let key = try firstPage(from: next, database) {
      let volume = MapPage.volume(ofKey: key)
      guard let plane = MapPage.plane(ofKey: key) else {
        throw damaged("a page of a map makes no sense", cause: "its key is \(key)")
      }
      let keys = MapPage.keys(of: volume, plane)
      let end = records[volume].map { keysBeyondEnd(of: $0, plane)?.lowerBound } ?? keys.lowerBound
      if let end, let stray = try firstPage(from: max(end, key), database), stray <= keys.upperBound {
        result.append(end...keys.upperBound)
      }
      guard keys.upperBound < Int64.max else { break }
      next = keys.upperBound + 1
    }
    return result
  }

  private static func firstPage(from key: Int64, _ database: Database) throws -> Int64? {
    let statement = try database.prepared("SELECT key FROM pages WHERE key >= ?1 ORDER BY key LIMIT 1")
    statement.bind(1, key)
    defer { statement.reset() }
    return try statement.step() ? statement.int(0) : nil
  }

  /// Keys of a plane's pages that lie wholly beyond a volume's end; nil if there can be none.
  static func keysBeyondEnd(of volume: VolumeRecord, _ plane: MapPlane) -> ClosedRange<Int64>? {
    let pages = (volume.extentCount + UInt64(MapPage.entryCount) - 1) >> MapPage.entryShift
    guard pages < MapPage.countMax else { return nil }
    return MapPage.key(volume: volume.id, plane, page: pages)...MapPage.keys(of: volume.id, plane).upperBound
  }

  // MARK: A volume's end

  /// Changes a volume's size.
  ///
  /// It takes long if the journal is long, or if there is much to purge; `checkpoint(through:pagesMax:)` and
  /// `purge(pagesMax:of:)` do that in steps beforehand. What is beyond a new end, `purge` clears away later.
  ///
  /// - Parameter dropping: whether extents beyond the new end may be forgotten.
  /// - Throws: `conflict` if there are such extents and `dropping` is false; `notFound` if there is no such
  ///   volume; `invalid` if the size is not possible.
  public func resize(volume id: VolumeID, sizeBytes: UInt64, dropping: Bool = false) throws(GnomonError) {
    // What the journal has beyond a new end, and what earlier sizes left there, must not come back.
    let before = try volumes().first { $0.id == id }
    if let before, sizeBytes < before.sizeBytes { while try checkpoint(pagesMax: 256) {} }
    while try purge(pagesMax: 256, of: id) {}
    let beyond = try changing("volume \(id.rawValue) can not be resized") { database in
      guard var volume = try Self.readVolumes(database).first(where: { $0.id == id }) else {
        throw Self.noVolume(id)
      }
      volume.sizeBytes = sizeBytes
      try Self.check(volume)
      let beyond = try MapPlane.allCases.compactMap { try pagesBeyondEnd(of: volume, $0, database) }
      var isCut = false
      for plane in MapPlane.allCases where try cutLastPage(of: volume, plane, database) { isCut = true }
      guard dropping || (beyond.isEmpty && !isCut) else {
        throw GnomonError(
          .conflict, "volume \(volume.name) has data beyond \(ByteSize(rawValue: sizeBytes))",
          cause: "extents are mapped there", remedy: "resize it with --force to lose that data")
      }
      try database.prepared("UPDATE volumes SET size = ?2 WHERE id = ?1")
        .bind(1, Int64(id.rawValue)).bind(2, Int64(sizeBytes)).run()
      Failpoint.volumeResizing.pass()
      return beyond
    }
    Failpoint.volumeResized.pass()
    forgotten.append(contentsOf: beyond)
  }

  /// Pages of a plane beyond a volume's end, if there are any: each has a word.
  private func pagesBeyondEnd(
    of volume: VolumeRecord, _ plane: MapPlane, _ database: Database
  ) throws -> ClosedRange<Int64>? {
    guard let keys = Self.keysBeyondEnd(of: volume, plane),
      let first = try Self.firstPage(from: keys.lowerBound, database), keys.contains(first)
    else { return nil }
    return keys
  }

  /// Removes the words beyond a volume's end from the last page of a plane.
  ///
  /// - Returns: whether there was one.
  private func cutLastPage(
    of volume: VolumeRecord, _ plane: MapPlane, _ database: Database
  ) throws -> Bool {
    let kept = Int(volume.extentCount & (UInt64(MapPage.entryCount) - 1))
    guard kept > 0 else { return false }
    let key = MapPage.key(volume: volume.id, plane, page: volume.extentCount >> MapPage.entryShift)
    guard let seq = unsafe try readPage(key, into: pageImage, database) else { return false }
    let entries = unsafe UnsafeMutableRawBufferPointer(rebasing: pageImage[MapPage.headerBytes...])
    guard unsafe MapPage.firstWord(in: UnsafeRawBufferPointer(entries), from: kept) != nil else {
      return false
    }
    let rest = unsafe UnsafeMutableRawBufferPointer(rebasing: entries[(8 * kept)...])
    unsafe rest.initializeMemory(as: UInt8.self, repeating: 0)
    if unsafe MapPage.firstWord(in: UnsafeRawBufferPointer(entries), from: 0) == nil {
      try database.prepared("DELETE FROM pages WHERE key = ?1").bind(1, key).run()
    } else {
      unsafe MapPage.seal(pageImage, key: key, seq: seq)
      unsafe try database.prepared("UPDATE pages SET image = ?2 WHERE key = ?1")
        .bind(1, key).bind(2, borrowing: UnsafeRawBufferPointer(pageImage)).run()
    }
    return true
  }

  // MARK: A store's end

  /// How far the removal of a store has come.
  public struct StoreRemoval: Sendable {
    let store: StoreID
    /// The journal is folded up to here first.
    let row: UInt64
    /// Pages with lower keys have nothing on the store.
    var nextKey: Int64 = 0
  }

  /// Begins to remove a store on which nothing is placed any more. Nothing changes before the last step.
  public func beginRemoval(of store: StoreID) -> StoreRemoval {
    StoreRemoval(store: store, row: journal.last)
  }

  /// Makes sure of a part of the maps that nothing lies on the store; the last step forgets the store.
  ///
  /// - Parameter pagesMax: pages (32 KiB each) that are read or changed at most.
  /// - Returns: true if there is more to do.
  /// - Throws: `conflict` if an extent still lies there; `notFound` if there is no such store.
  public func continueRemoval(_ removal: inout StoreRemoval, pagesMax: Int) throws(GnomonError) -> Bool {
    if try checkpoint(through: removal.row, pagesMax: pagesMax) { return true }
    let store = removal.store
    let start = removal.nextKey
    let next = try attempting("the maps can not be read") { database in
      try findExtents(on: store, from: start, pagesMax: pagesMax, database)
    }
    if let next {
      removal.nextKey = next
      return true
    }
    try changing("store \(store.rawValue) can not be removed") { database in
      try database.prepared("DELETE FROM stores WHERE id = ?1").bind(1, Int64(store.rawValue)).run()
      guard try database.number("SELECT changes()") == 1 else { throw Self.noStore(store) }
      Failpoint.storeRemoving.pass()
    }
    Failpoint.storeRemoved.pass()
    return false
  }

  /// Forgets a store, in one go.
  ///
  /// - Throws: like `continueRemoval`.
  public func remove(store: StoreID) throws(GnomonError) {
    var removal = beginRemoval(of: store)
    while try continueRemoval(&removal, pagesMax: 256) {}
  }

  /// Reads pages from a key on; throws if an extent of a volume lies on the store.
  ///
  /// - Returns: where to go on; nil at the end.
  private func findExtents(
    on store: StoreID, from start: Int64, pagesMax: Int, _ database: Database
  ) throws -> Int64? {
    let statement = try database.prepared("SELECT key, image FROM pages WHERE key >= ?1 ORDER BY key")
    statement.bind(1, start)
    defer { statement.reset() }
    var pages = 0
    while try statement.step() {
      let key = statement.int(0)
      if pages == pagesMax { return key }
      pages += 1
      let volume = MapPage.volume(ofKey: key)
      guard volumeIDs.contains(volume), MapPage.plane(ofKey: key)?.holdsAddresses ?? false,
        !forgotten.contains(where: { $0.contains(key) })
      else { continue }
      let image = unsafe statement.blob(1)
      if case .failure(let damage) = unsafe MapPage.verify(image, key: key) {
        throw Self.damaged(
          "page \(MapPage.page(ofKey: key)) of the map of volume \(volume.rawValue) is damaged",
          cause: "\(damage)")
      }
      for index in 0..<MapPage.entryCount {
        let at = MapPage.headerBytes + 8 * index
        let word = unsafe image.loadUnaligned(fromByteOffset: at, as: UInt64.self)
        let entry = MapEntry(rawValue: UInt64(littleEndian: word))
        if entry.isMapped, entry.store == store {
          throw GnomonError(
            .conflict, "store \(store.rawValue) still holds extents of volume \(volume.rawValue)",
            remedy: "move or delete them first")
        }
      }
    }
    return nil
  }
}
