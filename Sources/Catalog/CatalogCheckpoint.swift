public import Primitives

/// One pass over the older part of the journal: all its rows up to `cut` are folded into pages, then
/// deleted. It exists in memory only: after a crash another pass starts, and the pages that this one wrote
/// say that they have seen `cut`.
struct CheckpointRound {
  let cut: UInt64
  /// Sorted by page; records of one page in the order in which the map changed.
  let records: [JournalRecord]
  /// Bytes of the rows up to `cut`.
  let bytes: UInt64
  /// The first record that is not in its page yet.
  var position = 0

  /// Records that one pass takes at most; bounds its memory (2 MiB) and the time that grouping takes.
  static let recordsMax = 1 << 16

  init(_ records: [JournalRecord], cut: UInt64, volumes: Set<VolumeID>) {
    self.cut = cut
    bytes = UInt64(records.count * JournalFormat.recordBytes)
    let foreign = Set(records.lazy.map(\.volume)).subtracting(volumes)
    let kept = foreign.isEmpty ? records : records.filter { !foreign.contains($0.volume) }
    self.records = JournalRecord.grouped(kept) { $0.pageKey }
  }

  /// The records of the next page at or after `start`.
  func group(from start: Int) -> Range<Int> {
    let key = records[start].pageKey
    var end = start + 1
    while end < records.count, records[end].pageKey == key { end += 1 }
    return start..<end
  }
}

extension Catalog {
  /// Folds a part of the journal into map pages, in one transaction.
  ///
  /// Can be repeated and interrupted at any point: a page knows the last journal row that it has seen.
  ///
  /// - Parameter pagesMax: pages (32 KiB each) that are changed at most.
  /// - Returns: true if there is more to fold.
  /// - Throws: `corrupt` if a page or a row of the journal is damaged; `full` if the disk is full. Nothing
  ///   is lost: the journal keeps what was not folded.
  public func checkpoint(pagesMax: Int) throws(GnomonError) -> Bool {
    precondition(pagesMax > 0)
    guard journal.last > journal.floor else {
      foldLog(above: options.logFramesToFold)
      return false
    }
    var current = if let round { round } else { try startRound() }
    try changing("the catalog's journal can not be folded") { database in
      var pages = 0
      while pages < pagesMax, current.position < current.records.count {
        let group = current.group(from: current.position)
        if volumeIDs.contains(current.records[group.lowerBound].volume) {
          try foldPage(current.records[group], cut: current.cut, database)
          pages += 1
        }
        current.position = group.upperBound
      }
      guard current.position == current.records.count else { return }
      try database.prepared("DELETE FROM journal WHERE seq <= ?1").bind(1, Int64(current.cut)).run()
      try database.prepared("UPDATE pool SET journal_floor = ?1").bind(1, Int64(current.cut)).run()
    }
    if current.position == current.records.count {
      journal.floor = current.cut
      journal.bytes -= current.bytes
      round = nil
    } else {
      round = current
    }
    foldLog(above: options.logFramesToFold)
    return journal.last > journal.floor
  }

  private func startRound() throws(GnomonError) -> CheckpointRound {
    try attempting("the catalog's journal can not be read") { database in
      let records = try readJournal(database, recordsMax: CheckpointRound.recordsMax) { throw $0 }
      return CheckpointRound(records, cut: records.last?.seq ?? journal.last, volumes: volumeIDs)
    }
  }

  /// Applies records, all of one page, to that page. A page without any mapped extent is deleted.
  private func foldPage(_ records: ArraySlice<JournalRecord>, cut: UInt64, _ database: Database) throws {
    let key = records.first!.pageKey
    let known = unsafe try readPage(key, into: pageImage, database)
    let seen = known ?? 0
    guard seen < cut else { return }
    for record in records where record.seq > seen {
      let index = Int(record.extent) & (MapPage.entryCount - 1)
      unsafe pageImage.storeBytes(
        of: record.entry.littleEndian, toByteOffset: MapPage.headerBytes + 8 * index, as: UInt64.self)
    }
    let entries = unsafe UnsafeRawBufferPointer(rebasing: pageImage[MapPage.headerBytes...])
    guard unsafe MapPage.firstMapped(in: entries, from: 0) != nil else {
      // Without its page, a later replay starts from zeros at the first row: the end is the same.
      if known != nil { try database.prepared("DELETE FROM pages WHERE key = ?1").bind(1, key).run() }
      return
    }
    unsafe MapPage.seal(pageImage, key: key, seq: cut)
    let sql =
      known == nil
      ? "INSERT INTO pages (key, image) VALUES (?1, ?2)" : "UPDATE pages SET image = ?2 WHERE key = ?1"
    unsafe try database.prepared(sql).bind(1, key).bind(2, borrowing: UnsafeRawBufferPointer(pageImage)).run()
  }

  /// Copies a page's image, or zeros if there is none.
  ///
  /// - Returns: the last journal row that it has seen; nil if there is no such page.
  func readPage(
    _ key: Int64, into image: UnsafeMutableRawBufferPointer, _ database: Database
  ) throws -> UInt64? {
    let statement = try database.prepared("SELECT image FROM pages WHERE key = ?1").bind(1, key)
    defer { statement.reset() }
    guard try statement.step() else {
      unsafe image.initializeMemory(as: UInt8.self, repeating: 0)
      return nil
    }
    let stored = unsafe statement.blob(0)
    switch unsafe MapPage.verify(stored, key: key) {
    case .failure(let damage):
      let volume = MapPage.volume(ofKey: key)
      let name = try Self.readVolumes(database).first { $0.id == volume }?.name ?? "\(volume.rawValue)"
      throw Self.damaged(
        "page \(MapPage.page(ofKey: key)) of the map of volume \(name) is damaged", cause: "\(damage)")
    case .success(let seq):
      unsafe image.copyMemory(from: stored)
      return seq
    }
  }

  /// Changes a volume's size.
  ///
  /// - Parameter dropping: whether extents beyond the new end may be forgotten.
  /// - Throws: `conflict` if there are such extents and `dropping` is false; `notFound` if there is no such
  ///   volume; `invalid` if the size is not possible.
  public func resize(volume id: VolumeID, sizeBytes: UInt64, dropping: Bool = false) throws(GnomonError) {
    // What the journal holds beyond the new end must not come back when the volume grows again.
    while try checkpoint(pagesMax: 256) {}
    try changing("volume \(id.rawValue) can not be resized") { database in
      guard var volume = try Self.readVolumes(database).first(where: { $0.id == id }) else {
        throw Self.noVolume(id)
      }
      volume.sizeBytes = sizeBytes
      try Self.check(volume)
      let lost = try cutMap(of: volume, database)
      guard lost == 0 || dropping else {
        throw GnomonError(
          .conflict, "volume \(volume.name) has data beyond \(ByteSize(rawValue: sizeBytes))",
          cause: "\(lost) extents are mapped there", remedy: "resize it with --force to lose that data")
      }
      try database.prepared("UPDATE volumes SET size = ?2 WHERE id = ?1")
        .bind(1, Int64(id.rawValue)).bind(2, Int64(sizeBytes)).run()
    }
  }

  /// Removes the entries beyond a volume's end.
  ///
  /// - Returns: how many were mapped.
  private func cutMap(of volume: VolumeRecord, _ database: Database) throws -> Int {
    let end = volume.extentCount
    let statement = try database.prepared("SELECT key FROM pages WHERE key BETWEEN ?1 AND ?2")
    statement.bind(1, MapPage.key(volume: volume.id, page: end >> MapPage.entryShift))
    statement.bind(2, MapPage.keys(of: volume.id).upperBound)
    var keys: [Int64] = []
    while try statement.step() { keys.append(statement.int(0)) }
    var lost = 0
    for key in keys {
      guard let seq = unsafe try readPage(key, into: pageImage, database) else { continue }
      let first = MapPage.page(ofKey: key) << MapPage.entryShift
      let kept = first < end ? Int(end - first) : 0
      let entries = unsafe UnsafeMutableRawBufferPointer(rebasing: pageImage[MapPage.headerBytes...])
      for index in kept..<MapPage.entryCount
      where unsafe entries.load(fromByteOffset: 8 * index, as: UInt64.self) != 0 {
        lost += 1
        unsafe entries.storeBytes(of: 0, toByteOffset: 8 * index, as: UInt64.self)
      }
      if unsafe MapPage.firstMapped(in: UnsafeRawBufferPointer(entries), from: 0) == nil {
        try database.prepared("DELETE FROM pages WHERE key = ?1").bind(1, key).run()
      } else {
        unsafe MapPage.seal(pageImage, key: key, seq: seq)
        unsafe try database.prepared("UPDATE pages SET image = ?2 WHERE key = ?1")
          .bind(1, key).bind(2, borrowing: UnsafeRawBufferPointer(pageImage)).run()
      }
    }
    return lost
  }
}
