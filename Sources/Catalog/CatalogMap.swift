import ExtentMap
public import Primitives

/// The journal in memory, by volume, for as long as maps are being loaded.
struct JournalReplay {
  /// Sorted by volume; records of one volume in the order in which its map changed.
  let records: [JournalRecord]
  /// Rows that could not be trusted and are left out. Any volume may have been in them.
  let problems: [GnomonError]

  init(_ records: [JournalRecord], problems: [GnomonError]) {
    self.problems = problems
    self.records = JournalRecord.grouped(records) { Int64($0.volume.rawValue) }
  }

  func records(of volume: VolumeID) -> ArraySlice<JournalRecord> {
    let first = lowerBound { $0.volume < volume }
    let end = lowerBound { $0.volume <= volume }
    return records[first..<end]
  }

  private func lowerBound(_ isBefore: (JournalRecord) -> Bool) -> Int {
    var (low, high) = (0, records.count)
    while low < high {
      let middle = (low + high) / 2
      if isBefore(records[middle]) { low = middle + 1 } else { high = middle }
    }
    return low
  }
}

/// Loading a volume's map.
extension Catalog {
  /// Fills `entries` with the addresses of a volume's extents.
  ///
  /// - Parameter entries: one word per extent of the volume, all zero.
  /// - Throws: `corrupt` at the first page or journal row that can not be trusted, or at an entry beyond
  ///   the volume's end; the content of `entries` is then of no use.
  public func loadMap(of volume: VolumeRecord, into entries: UnsafeMutableBufferPointer<UInt64>)
    throws(GnomonError)
  {
    var first: GnomonError?
    unsafe try inspectMap(of: volume, into: entries) { problem in
      if first == nil { first = problem }
    }
    if let first { throw first }
  }

  /// Like `loadMap`, but carries on: `report` is told about every problem, and what is damaged stays
  /// unmapped.
  ///
  /// - Throws: only if the database can not be read.
  public func inspectMap(
    of volume: VolumeRecord, into entries: UnsafeMutableBufferPointer<UInt64>,
    report: (GnomonError) -> Void
  ) throws(GnomonError) {
    precondition(UInt64(entries.count) == volume.extentCount, "one word per extent")
    try attempting("the map of volume \(volume.name) can not be read") { database in
      var seqs: [UInt64] = []
      unsafe try loadPages(of: volume, into: entries, seqs: &seqs, database, report)
      if replay == nil {
        var problems: [GnomonError] = []
        let records = try readJournal(database) { problems.append($0) }
        replay = JournalReplay(records, problems: problems)
      }
      for problem in replay!.problems { report(problem) }
      for record in replay!.records(of: volume.id) {
        guard record.extent < volume.extentCount else {
          report(Self.beyondEnd(volume, extent: record.extent, place: "row \(record.seq) of the journal"))
          continue
        }
        if record.seq > seqs[Int(record.extent >> MapPage.entryShift)] {
          unsafe entries[Int(record.extent)] = record.entry
        }
      }
    }
  }

  /// Copies the pages of a volume, and notes which journal row each has seen.
  private func loadPages(
    of volume: VolumeRecord, into entries: UnsafeMutableBufferPointer<UInt64>, seqs: inout [UInt64],
    _ database: Database, _ report: (GnomonError) -> Void
  ) throws {
    let pageCount = (entries.count + MapPage.entryCount - 1) / MapPage.entryCount
    seqs = [UInt64](repeating: 0, count: pageCount)
    let keys = MapPage.keys(of: volume.id)
    let statement = try database.prepared(
      "SELECT key, image FROM pages WHERE key BETWEEN ?1 AND ?2 ORDER BY key")
    statement.bind(1, keys.lowerBound).bind(2, keys.upperBound)
    defer { statement.reset() }
    while try statement.step() {
      let key = statement.int(0)
      let image = unsafe statement.blob(1)
      let page = Int(MapPage.page(ofKey: key))
      switch unsafe MapPage.verify(image, key: key) {
      case .failure(let damage):
        report(Self.damagedPage(volume, page: page, damage))
      case .success(let seq):
        let first = page * MapPage.entryCount
        // Left by a shrink that was not cleared away yet.
        guard page < pageCount else { continue }
        guard seq <= journal.last else {
          report(Self.beyondEnd(volume, extent: UInt64(first), place: "page \(page)"))
          continue
        }
        seqs[page] = seq
        let count = min(MapPage.entryCount, entries.count - first)
        let source = unsafe UnsafeRawBufferPointer(rebasing: image[MapPage.headerBytes...])
        // The entries are little-endian, and so is every machine that Gnomon runs on.
        let target = unsafe UnsafeMutableRawBufferPointer(
          rebasing: UnsafeMutableRawBufferPointer(entries)[(8 * first)...])
        unsafe target.copyMemory(from: UnsafeRawBufferPointer(rebasing: source[..<(8 * count)]))
        if let stray = unsafe MapPage.firstMapped(in: source, from: count) {
          report(Self.beyondEnd(volume, extent: UInt64(first + stray), place: "page \(page)"))
        }
      }
    }
  }

  static func damagedPage(_ volume: VolumeRecord, page: Int, _ damage: MapPageDamage) -> GnomonError {
    damaged("page \(page) of the map of volume \(volume.name) is damaged", cause: "\(damage)")
  }

  private static func beyondEnd(_ volume: VolumeRecord, extent: UInt64, place: String) -> GnomonError {
    damaged(
      "the map of volume \(volume.name) has an entry beyond its end",
      cause: "extent \(extent) of \(volume.extentCount), in \(place)")
  }
}

extension MapPage {
  /// Index of the first mapped entry at or after `start`; nil if there is none.
  static func firstMapped(in entries: UnsafeRawBufferPointer, from start: Int) -> Int? {
    for index in start..<entryCount
    where unsafe entries.loadUnaligned(fromByteOffset: 8 * index, as: UInt64.self) != 0 {
      return index
    }
    return nil
  }
}
