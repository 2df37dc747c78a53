import Platform
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
          Failpoint.pageFolded.pass()
        }
        current.position = group.upperBound
      }
      guard current.position == current.records.count else { return }
      try database.prepared("DELETE FROM journal WHERE seq <= ?1").bind(1, Int64(current.cut)).run()
      Failpoint.journalCut.pass()
      try database.prepared("UPDATE pool SET journal_floor = ?1").bind(1, Int64(current.cut)).run()
    }
    (current.position < current.records.count ? Failpoint.checkpointStepDone : .checkpointDone).pass()
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

  /// Folds a part of what the journal holds now; for whoever then needs it folded, so that little is left.
  ///
  /// - Parameter row: `lastJournalRow` of the time when that was decided: rows that come later do not count.
  /// - Returns: true if there is more to fold.
  public func checkpoint(through row: UInt64, pagesMax: Int) throws(GnomonError) -> Bool {
    guard journal.floor < row else { return false }
    _ = try checkpoint(pagesMax: pagesMax)
    return journal.floor < row
  }

  /// The last row of the journal.
  public var lastJournalRow: UInt64 { journal.last }

  private func startRound() throws(GnomonError) -> CheckpointRound {
    try attempting("the catalog's journal can not be read") { database in
      let records = try readJournal(database, recordsMax: CheckpointRound.recordsMax) { throw $0 }
      return CheckpointRound(records, cut: records.last?.seq ?? journal.last, volumes: volumeIDs)
    }
  }

  /// Applies records, all of one page, to that page. A page without any word is deleted.
  private func foldPage(_ records: ArraySlice<JournalRecord>, cut: UInt64, _ database: Database) throws {
    let key = records.first!.pageKey
    let known = unsafe try readPage(key, into: pageImage, database)
    let seen = known ?? 0
    guard seen < cut else { return }
    for record in records where record.seq > seen {
      let index = Int(record.extent) & (MapPage.entryCount - 1)
      unsafe pageImage.storeBytes(
        of: record.word.littleEndian, toByteOffset: MapPage.headerBytes + 8 * index, as: UInt64.self)
    }
    let entries = unsafe UnsafeRawBufferPointer(rebasing: pageImage[MapPage.headerBytes...])
    guard unsafe MapPage.firstWord(in: entries, from: 0) != nil else {
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
}
