public import Catalog
import ExtentMap
import Glibc
public import Platform
public import Primitives

/// The offline check of a pool: catalog, labels, and every entry of every map. Changes nothing.
public struct PoolCheck: ~Copyable {
  private let catalog: Catalog
  private var report: CheckReport
  private var usages: [StoreUsage] = []

  /// Checks the pool in `directory`, which nobody else may have open.
  ///
  /// - Parameter waitMilliseconds: how long to wait for a process that is about to release the pool.
  /// - Returns: the findings. A catalog that is too damaged to be read is one of them.
  /// - Throws: `notFound` if there is no pool, `conflict` if it is in use, `invalid` if it was written by
  ///   another version, `system` if it can not be read.
  public static func run(
    directory: String, waitMilliseconds: UInt64 = FileDescriptor.lockWaitMilliseconds
  ) throws(GnomonError) -> CheckReport {
    guard unsafe access(directory + "/catalog.db", F_OK) == 0 else {
      throw GnomonError(
        .notFound, "there is no pool in \(directory)", remedy: "make one with `gnomon pool create`")
    }
    let lock = try PoolLock(directory: directory, waitMilliseconds: waitMilliseconds)
    defer { withExtendedLifetime(lock) {} }
    do {
      let catalog = try Catalog(opening: directory, readOnly: true)
      defer { catalog.close() }
      var check = PoolCheck(catalog)
      try check.checkCatalog()
      try check.checkStores()
      try check.checkLabels()
      try check.checkVolumes()
      return check.finish()
    } catch {
      guard error.code == .corrupt else { throw error }
      var report = CheckReport(directory: directory)
      report.add(error)
      return report
    }
  }

  /// Checks everything but the labels of the stores.
  ///
  /// - Throws: `system` if the catalog can not be read, `corrupt` if it is too damaged for that.
  public static func run(on catalog: Catalog) throws(GnomonError) -> CheckReport {
    var check = PoolCheck(catalog)
    try check.checkCatalog()
    try check.checkStores()
    try check.checkVolumes()
    return check.finish()
  }

  private init(_ catalog: Catalog) {
    self.catalog = catalog
    report = CheckReport(directory: catalog.directory)
  }

  private mutating func checkCatalog() throws(GnomonError) {
    for problem in try catalog.integrityProblems() {
      report.add(
        .error, "the catalog's database is damaged", cause: problem,
        remedy: "restore catalog.db from a backup")
    }
    report.journalRecords = catalog.journalRecordCount
  }

  private mutating func checkStores() throws(GnomonError) {
    usages = try catalog.stores().map(StoreUsage.init)
  }

  private mutating func checkLabels() throws(GnomonError) {
    for record in usages.lazy.map(\.record) {
      do {
        let damaged = try StoreFactory.inspect(record, pool: catalog.pool.uuid)
        if damaged > 0 {
          report.add(
            .warning, "one of the two labels of store \(record.name) is damaged", cause: "in \(record.path)",
            remedy: "something wrote to the file; its data may be damaged too")
        }
      } catch {
        report.add(error)
      }
    }
  }

  private mutating func checkVolumes() throws(GnomonError) {
    for volume in try catalog.volumes() {
      let memory: AlignedMemory
      do {
        memory = try AlignedMemory(count: Int(volume.extentCount) * 8, hugePages: true)
      } catch {
        throw GnomonError(.system, "no memory for the map of volume \(volume.name)", cause: "\(error)")
      }
      let entries = unsafe UnsafeMutableBufferPointer(
        start: memory.base.assumingMemoryBound(to: UInt64.self), count: Int(volume.extentCount))
      unsafe try catalog.inspectMap(of: volume, into: entries) { report.add($0) }
      unsafe checkEntries(UnsafeBufferPointer(entries), of: volume)
      unsafe try checkShadows(of: volume, live: UnsafeBufferPointer(entries))
      unsafe try checkSeals(of: volume, live: UnsafeBufferPointer(entries))
      // What is in these makes sense whatever it is, but a pool is not served if a page is damaged.
      for plane in [.activity] + (0..<ShadowLine.shadowsMax).map(MapPlane.missed) {
        try catalog.inspectPlane(plane, of: volume, report: { report.add($0) }) { _, _ in }
      }
      withExtendedLifetime(memory) {}
    }
  }

  /// Takes the slot of every entry; one that can not be taken is an error.
  private mutating func checkEntries(_ entries: UnsafeBufferPointer<UInt64>, of volume: VolumeRecord) {
    let (counts, malformed) = unsafe Self.countStores(in: entries)
    for index in malformed {
      report.add(.error, "extent \(index) of volume \(volume.name) is mapped to nowhere", remedy: Self.lost)
    }
    for (id, count) in counts.enumerated() where count > 0 {
      guard let usage = usages.first(where: { $0.record.id.rawValue == id }) else {
        report.add(
          .error, "\(count) extents of volume \(volume.name) are in store \(id), which does not exist",
          remedy: Self.lost)
        continue
      }
      if usage.record.kind == .memory {
        report.add(
          .error, "\(count) extents of volume \(volume.name) have their live copy in memory",
          cause: "store \(usage.record.name)", remedy: Self.lost)
      }
      usage.extents += count
      let slots = usage.allocator.capacityBytes / volume.extentBytes
      unsafe usage.allocator.markUsed(
        entries: entries, store: usage.record.id, slotBytes: volume.extentBytes
      ) { index in
        // Words are made only for those that are listed: there may be millions.
        guard !report.isFull else {
          report.problemsOmitted += 1
          return
        }
        let slot = unsafe MapEntry(rawValue: entries[index]).slot
        let isBeyond = slot >= slots
        report.add(
          .error,
          "extent \(index) of volume \(volume.name) is mapped to a slot "
            + (isBeyond ? "beyond the end of its store" : "that another extent uses"),
          cause: "slot \(slot) of store \(usage.record.name)", remedy: Self.lost)
      }
    }
    report.volumes.append(
      CheckReport.Volume(
        id: volume.id.rawValue, name: volume.name, sizeBytes: volume.sizeBytes,
        extentBytes: volume.extentBytes, mappedExtents: counts.reduce(0, +)))
  }

  /// Takes the slot of every shadow.
  private mutating func checkShadows(
    of volume: VolumeRecord, live: UnsafeBufferPointer<UInt64>
  ) throws(GnomonError) {
    var stores: [UInt64: Set<StoreID>] = [:]
    for number in 0..<ShadowLine.shadowsMax {
      let words = try catalog.inspectPlane(.shadow(number), of: volume) { report.add($0) }
      for (extent, word) in words {
        let entry = MapEntry(rawValue: word)
        let here = unsafe MapEntry(rawValue: live[Int(extent)])
        guard let fault = takeShadow(entry, beside: here, &stores[extent, default: []], volume) else {
          continue
        }
        report.add(
          .error, "shadow \(number + 1) of extent \(extent) of volume \(volume.name) \(fault)",
          remedy: Self.lost)
      }
    }
  }

  /// - Returns: what is wrong with it; nil if nothing is.
  private mutating func takeShadow(
    _ entry: MapEntry, beside live: MapEntry, _ stores: inout Set<StoreID>, _ volume: VolumeRecord
  ) -> String? {
    guard entry.isMapped, entry == entry.address else { return "is mapped to nowhere" }
    guard live.isMapped else { return "has no live copy" }
    guard let usage = usages.first(where: { $0.record.id == entry.store }) else {
      return "is in store \(entry.store.rawValue), which does not exist"
    }
    guard entry.store != live.store, stores.insert(entry.store).inserted else {
      return "is in the same store as another copy"
    }
    guard usage.allocator.markUsed(slot: entry.slot, slotBytes: volume.extentBytes) else {
      return "is in a slot that another extent uses, or beyond the end of its store"
    }
    usage.extents += 1
    return nil
  }

  /// A seal of nothing would be taken for that of what is written next.
  private mutating func checkSeals(
    of volume: VolumeRecord, live: UnsafeBufferPointer<UInt64>
  ) throws(GnomonError) {
    var strays: Set<UInt64> = []
    try catalog.inspectPlane(.seal, of: volume, report: { report.add($0) }) { extent, word in
      // The last word of an extent counts.
      if word != 0, unsafe !MapEntry(rawValue: live[Int(extent)]).isMapped {
        strays.insert(extent)
      } else {
        strays.remove(extent)
      }
    }
    for extent in strays.sorted() {
      report.add(
        .error, "extent \(extent) of volume \(volume.name) is sealed but has no live copy",
        remedy: Self.lost)
    }
  }

  private static let lost = "restore catalog.db and the stores from the same backup"

  /// Mapped extents by store, and the first entries that are neither mapped nor empty.
  private static func countStores(in entries: UnsafeBufferPointer<UInt64>) -> ([UInt64], malformed: [Int]) {
    var malformed: [Int] = []
    var counts = [UInt64](repeating: 0, count: 256)
    unsafe counts.withUnsafeMutableBufferPointer { counts in
      for index in 0..<entries.count {
        let word = unsafe entries[index]
        if word == 0 { continue }
        let entry = MapEntry(rawValue: word)
        if entry.isMapped, entry == entry.address {
          unsafe counts[Int(entry.store.rawValue)] += 1
        } else if malformed.count <= CheckReport.problemsMax {
          malformed.append(index)
        }
      }
    }
    return (counts, malformed)
  }

  private consuming func finish() -> CheckReport {
    var report = self.report
    report.stores = usages.map { usage in
      CheckReport.Store(
        id: usage.record.id.rawValue, name: usage.record.name,
        capacityBytes: usage.allocator.capacityBytes, usedBytes: usage.allocator.usedBytes,
        extents: usage.extents)
    }
    return report
  }
}

/// What the maps say about one store.
private final class StoreUsage {
  let record: StoreRecord
  var allocator: SlotAllocator
  var extents: UInt64 = 0

  init(_ record: StoreRecord) {
    self.record = record
    allocator = SlotAllocator(capacityBytes: StoreFactory.capacityBytes(of: record))
  }
}
