public import ExtentMap
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
  /// Fills `entries` with the addresses of the live copies of a volume's extents.
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
      var seqs = [UInt64](repeating: 0, count: Self.pageCount(of: volume))
      unsafe try forEachPage(of: volume, .live, database, report) { page, seq, words in
        seqs[page] = seq
        // The entries are little-endian, and so is every machine that Gnomon runs on.
        let target = unsafe UnsafeMutableRawBufferPointer(
          rebasing: UnsafeMutableRawBufferPointer(entries)[(8 * page * MapPage.entryCount)...])
        unsafe target.copyMemory(from: words)
      }
      let replay = try replayedJournal(database)
      for problem in replay.problems { report(problem) }
      forEachRecord(of: volume, .live, in: replay, report) { record in
        if record.seq > seqs[Int(record.extent >> MapPage.entryShift)] {
          unsafe entries[Int(record.extent)] = record.word
        }
      }
    }
  }

  /// The words of a plane that are not zero, by extent; for planes of which most extents have none.
  ///
  /// - Throws: `corrupt` at the first page that can not be trusted, or at a word beyond the volume's end.
  public func loadPlane(
    _ plane: MapPlane, of volume: VolumeRecord
  ) throws(GnomonError) -> [(extent: UInt64, word: UInt64)] {
    var first: GnomonError?
    let words = try inspectPlane(plane, of: volume) { problem in
      if first == nil { first = problem }
    }
    if let first { throw first }
    return words
  }

  /// Like `loadPlane`, but carries on: `report` is told about every problem, and what is damaged has no
  /// words. Of damaged rows of the journal `inspectMap` tells.
  ///
  /// - Throws: only if the database can not be read.
  public func inspectPlane(
    _ plane: MapPlane, of volume: VolumeRecord, report: (GnomonError) -> Void
  ) throws(GnomonError) -> [(extent: UInt64, word: UInt64)] {
    try attempting("the map of volume \(volume.name) can not be read") { database in
      var pages: [Int: (seq: UInt64, words: [UInt64])] = [:]
      unsafe try forEachPage(of: volume, plane, database, report) { page, seq, words in
        let copied = (0..<words.count / 8).map { index in
          unsafe UInt64(littleEndian: words.loadUnaligned(fromByteOffset: 8 * index, as: UInt64.self))
        }
        pages[page] = (seq, copied)
      }
      forEachRecord(of: volume, plane, in: try replayedJournal(database), report) { record in
        let page = Int(record.extent >> MapPage.entryShift)
        guard record.seq > pages[page]?.seq ?? 0 else { return }
        let index = Int(record.extent) & (MapPage.entryCount - 1)
        pages[page, default: (0, [])].words.set(index, to: record.word)
      }
      return pages.sorted { $0.key < $1.key }.flatMap { page, content in
        content.words.enumerated().lazy.filter { $0.element != 0 }.map {
          (extent: UInt64(page * MapPage.entryCount + $0.offset), word: $0.element)
        }
      }
    }
  }

  /// Calls `body` with the words of a plane that may have one for most extents: first those of the pages,
  /// then what the journal has changed since, so the last call for an extent counts.
  ///
  /// - Throws: `corrupt` at the first page that can not be trusted, or at a word beyond the volume's end.
  public func replayPlane(
    _ plane: MapPlane, of volume: VolumeRecord, _ body: (UInt64, UInt64) -> Void
  ) throws(GnomonError) {
    var first: GnomonError?
    try inspectPlane(plane, of: volume, report: { first = first ?? $0 }, body)
    if let first { throw first }
  }

  /// Like `replayPlane`, but carries on: `report` is told about every problem, and what is damaged has no
  /// words.
  ///
  /// - Throws: only if the database can not be read.
  public func inspectPlane(
    _ plane: MapPlane, of volume: VolumeRecord, report: (GnomonError) -> Void,
    _ body: (UInt64, UInt64) -> Void
  ) throws(GnomonError) {
    try attempting("the map of volume \(volume.name) can not be read") { database in
      var seqs: [Int: UInt64] = [:]
      unsafe try forEachPage(of: volume, plane, database, report) { page, seq, words in
        seqs[page] = seq
        for index in 0..<words.count / 8 {
          let word = unsafe UInt64(
            littleEndian: words.loadUnaligned(fromByteOffset: 8 * index, as: UInt64.self))
          if word != 0 { body(UInt64(page * MapPage.entryCount + index), word) }
        }
      }
      forEachRecord(of: volume, plane, in: try replayedJournal(database), report) { record in
        if record.seq > seqs[Int(record.extent >> MapPage.entryShift)] ?? 0 {
          body(record.extent, record.word)
        }
      }
    }
  }

  private func replayedJournal(_ database: Database) throws -> JournalReplay {
    if let replay { return replay }
    var problems: [GnomonError] = []
    let records = try readJournal(database) { problems.append($0) }
    let result = JournalReplay(records, problems: problems)
    replay = result
    return result
  }

  private func forEachRecord(
    of volume: VolumeRecord, _ plane: MapPlane, in replay: JournalReplay, _ report: (GnomonError) -> Void,
    _ body: (JournalRecord) -> Void
  ) {
    for record in replay.records(of: volume.id) where record.plane == plane {
      if record.extent < volume.extentCount {
        body(record)
      } else {
        report(Self.beyondEnd(volume, extent: record.extent, place: "row \(record.seq) of the journal"))
      }
    }
  }

  /// Calls `body` with each page of a plane that can be trusted: its number, the last journal row that it has
  /// seen, and those of its words that the volume has extents for.
  private func forEachPage(
    of volume: VolumeRecord, _ plane: MapPlane, _ database: Database, _ report: (GnomonError) -> Void,
    _ body: (Int, UInt64, UnsafeRawBufferPointer) -> Void
  ) throws {
    let pageCount = Self.pageCount(of: volume)
    let keys = MapPage.keys(of: volume.id, plane)
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
        let count = min(MapPage.entryCount, Int(volume.extentCount) - first)
        let words = unsafe UnsafeRawBufferPointer(rebasing: image[MapPage.headerBytes...])
        unsafe body(page, seq, UnsafeRawBufferPointer(rebasing: words[..<(8 * count)]))
        if let stray = unsafe MapPage.firstWord(in: words, from: count) {
          report(Self.beyondEnd(volume, extent: UInt64(first + stray), place: "page \(page)"))
        }
      }
    }
  }

  private static func pageCount(of volume: VolumeRecord) -> Int {
    (Int(volume.extentCount) + MapPage.entryCount - 1) / MapPage.entryCount
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

extension [UInt64] {
  /// Sets a word of a page that is as long as it has to be.
  fileprivate mutating func set(_ index: Int, to word: UInt64) {
    while count <= index { append(0) }
    self[index] = word
  }
}

extension MapPage {
  /// Index of the first word at or after `start` that is not zero; nil if there is none.
  static func firstWord(in entries: UnsafeRawBufferPointer, from start: Int) -> Int? {
    for index in start..<entryCount
    where unsafe entries.loadUnaligned(fromByteOffset: 8 * index, as: UInt64.self) != 0 {
      return index
    }
    return nil
  }
}
