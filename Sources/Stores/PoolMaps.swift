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
    /// Extents whose copies may differ on disk: after a crash, all that were being written to. Of their
    /// shadows nothing is believed.
    public var activeExtents: [UInt64] = []
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
      var volume = Volume(record: record, map: map)
      try volume.loadShadows(from: catalog)
      try volume.loadSeals(from: catalog)
      volumes.append(volume)
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
      volume.map.forEachShadow { extent, _, address in
        guard address.store == store.id else { return }
        let isTaken = allocator.markUsed(slot: address.slot, slotBytes: volume.record.extentBytes)
        if !isTaken, conflict == nil { conflict = (volume.record.name, Int(extent)) }
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

  /// Makes sure that every copy lies in a store that exists, and every live copy in one that is not volatile.
  ///
  /// - Throws: `corrupt` if one does not.
  public func checkStores(
    _ ids: some Sequence<StoreID>, volatile: some Sequence<StoreID> = []
  ) throws(GnomonError) {
    var isKnown = [Bool](repeating: false, count: 256)
    for id in ids { isKnown[Int(id.rawValue)] = true }
    var isVolatile = [Bool](repeating: false, count: 256)
    for id in volatile { isVolatile[Int(id.rawValue)] = true }
    for volume in volumes {
      var stray = volume.map.firstEntry { !isKnown[Int($0.store.rawValue)] }
      volume.map.forEachShadow { extent, _, address in
        if !isKnown[Int(address.store.rawValue)] { stray = stray ?? extent }
      }
      let lost = volume.map.firstEntry { isVolatile[Int($0.store.rawValue)] }
      guard let extent = stray ?? lost else { continue }
      let problem = stray == nil ? "has its live copy in memory" : "lies in a store that does not exist"
      throw GnomonError(
        .corrupt, "extent \(extent) of volume \(volume.record.name) \(problem)",
        remedy: "see the whole damage with `gnomon check`")
    }
  }
}

extension PoolMaps.Volume {
  /// Reads where the shadows lie and what they lack.
  fileprivate mutating func loadShadows(from catalog: Catalog) throws(GnomonError) {
    activeExtents = try catalog.loadPlane(.activity, of: record).map(\.extent)
    let active = Set(Canary.trustsActiveExtents.isOut ? [] : activeExtents)
    for number in 0..<ShadowLine.shadowsMax {
      let shadows = try catalog.loadPlane(.shadow(number), of: record)
      let missed = Dictionary(
        uniqueKeysWithValues: try catalog.loadPlane(.missed(number), of: record).map { ($0.extent, $0.word) })
      for (extent, word) in shadows {
        guard map.view.entry(extent).isMapped else {
          throw GnomonError(
            .corrupt, "extent \(extent) of volume \(record.name) has a shadow but no live copy",
            remedy: "see the whole damage with `gnomon check`")
        }
        let lacks = active.contains(extent) ? map.view.allParts : missed[extent] ?? 0
        let address = MapEntry(rawValue: word)
        try withMemory { () throws(SystemError) in
          try map.loadShadow(extent, number, address, missed: lacks)
        }
      }
    }
    try withMemory { () throws(SystemError) in
      for extent in activeExtents { try map.makeShadowLine(extent).countAsActive() }
    }
  }

  /// Reads what extents at rest hold.
  fileprivate mutating func loadSeals(from catalog: Catalog) throws(GnomonError) {
    var failure: SystemError?
    try catalog.replayPlane(.seal, of: record) { extent, word in
      do throws(SystemError) {
        try map.loadSeal(extent, SealEntry(rawValue: word))
      } catch {
        failure = error
      }
    }
    if let failure { try withMemory { () throws(SystemError) in throw failure } }
    guard let stray = map.firstStraySeal() else { return }
    throw GnomonError(
      .corrupt, "extent \(stray) of volume \(record.name) is sealed but has no live copy",
      remedy: "see the whole damage with `gnomon check`")
  }

  private func withMemory(_ body: () throws(SystemError) -> Void) throws(GnomonError) {
    do throws(SystemError) {
      try body()
    } catch {
      throw GnomonError(
        .system, "no memory for the shadows and seals of volume \(record.name)", cause: error.description)
    }
  }
}
