public import Platform
public import Primitives
import Synchronization

/// The extent map of one volume: a flat array of packed entries, 8 bytes per extent.
///
/// The owner keeps the memory; the data path works on its `view`, a plain value without reference
/// counting. The map can grow in place up to the address space that was reserved for it.
@safe
public final class ExtentMap: Sendable {
  /// Address space kept for growth: 64 GiB of entries, 8 PiB at 1 MiB per extent. It is not memory.
  private static let reservedBytes = 64 << 30
  /// Below this, huge pages would waste more than they save.
  private static let hugePagesFromBytes = 8 << 20

  private let memory: AlignedMemory
  private let marks: AlignedMemory
  private let shadows: LeafTable
  private let seals: LeafTable
  /// The entries, for the data path; valid as long as this object lives.
  public let view: ExtentMapView

  /// An all-unmapped map of `extentCount` extents of `extentBytes` (a power of two) each.
  public init(volume: VolumeID, extentBytes: UInt64, extentCount: UInt64) throws(SystemError) {
    precondition(extentBytes.nonzeroBitCount == 1)
    let bytes = max(Int(extentCount) * 8, 8)
    let hugePages = bytes >= Self.hugePagesFromBytes
    do throws(SystemError) {
      memory = try AlignedMemory(count: bytes, reserved: max(bytes, Self.reservedBytes), hugePages: hugePages)
    } catch {
      // Address space is limited (ulimit -v): do without room for growth.
      memory = try AlignedMemory(count: bytes, hugePages: hugePages)
    }
    marks = try AlignedMemory(count: VolumeMarks.bytes)
    let reserved = UInt64(memory.count / 8)
    shadows = try LeafTable(wordShift: ShadowLine.wordShift, extentCount: extentCount, reserved: reserved)
    seals = try LeafTable(wordShift: SealEntry.wordShift, extentCount: extentCount, reserved: reserved)
    unsafe view = ExtentMapView(
      base: memory.base.assumingMemoryBound(to: Atomic<UInt64>.self), volume: volume,
      extentShift: UInt8(extentBytes.trailingZeroBitCount), marks: VolumeMarks(marks.base),
      shadows: shadows.view, seals: seals.view)
    view.marks.extentCount = extentCount
  }

  /// Extents that the volume has now.
  public var extentCount: UInt64 { view.marks.extentCount }

  /// Grows the map; new extents are unmapped. Fails with ENOMEM beyond the reserved address space.
  public func grow(to extentCount: UInt64) throws(SystemError) {
    guard extentCount > self.extentCount else { return }
    guard extentCount <= UInt64(memory.count / 8) else { throw SystemError("mmap", "extent map", errno: 12) }
    try shadows.grow(to: extentCount)
    try seals.grow(to: extentCount)
    try memory.makeAccessible(Int(extentCount) * 8)
    view.marks.extentCount = extentCount
  }

  /// Forgets the extents from `extentCount` on; the caller has unmapped them.
  public func shrink(to extentCount: UInt64) {
    precondition(extentCount <= self.extentCount)
    view.marks.extentCount = extentCount
  }

  /// Lets `body` fill the raw entries, for loading; nobody else may use the map meanwhile.
  public func load<Failure: Error>(
    _ body: (UnsafeMutableBufferPointer<UInt64>) throws(Failure) -> Void
  ) throws(Failure) {
    let words = unsafe memory.base.assumingMemoryBound(to: UInt64.self)
    try unsafe body(UnsafeMutableBufferPointer(start: words, count: Int(extentCount)))
  }

  // MARK: Shadows

  /// What is known of an extent's shadows; made if nothing was. It costs a page for every 64 extents.
  ///
  /// - Throws: ENOMEM.
  public func makeShadowLine(_ extent: UInt64) throws(SystemError) -> ShadowLine {
    precondition(extent < extentCount)
    return try view.makeShadowLine(extent)
  }

  /// Gives an extent a shadow as the catalog has it; nobody else may use the map meanwhile.
  ///
  /// - Parameters:
  ///   - number: which shadow, from 0.
  ///   - missed: what it lacks.
  public func loadShadow(_ extent: UInt64, _ number: Int, _ address: MapEntry, missed: UInt64)
    throws(SystemError)
  {
    let line = try makeShadowLine(extent)
    line.setShadow(number, ShadowEntry(rawValue: address.address.rawValue))
    line.setMissed(number, missed)
    view.setShadowed(extent, true)
  }

  /// Calls `body` with every shadow: its extent, its number and where it lies.
  public func forEachShadow(_ body: (UInt64, Int, MapEntry) -> Void) {
    unsafe shadows.forEachWords(extentCount) { extent, words in
      let line = unsafe ShadowLine(words)
      for number in 0..<ShadowLine.shadowsMax where line.shadow(number).exists {
        body(extent, number, line.shadow(number).address)
      }
    }
  }

  // MARK: Seals

  /// Makes room for the seal of an extent, if there is none. It costs a page for every 512 extents.
  ///
  /// - Throws: ENOMEM.
  public func makeSeal(_ extent: UInt64) throws(SystemError) {
    precondition(extent < extentCount)
    _ = unsafe try seals.view.make(extent, SealEntry.wordShift)
  }

  /// Seals an extent as the catalog has it, or not; nobody else may use the map meanwhile.
  public func loadSeal(_ extent: UInt64, _ seal: SealEntry) throws(SystemError) {
    if seal.isSealed { try makeSeal(extent) }
    view.setSeal(extent, seal)
    view.setClosed(extent, seal.isSealed)
  }

  // MARK: Whole maps

  /// Extents that are mapped now.
  public func mappedCount() -> UInt64 {
    var mapped: UInt64 = 0
    for extent in 0..<extentCount where view.entry(extent).isMapped { mapped += 1 }
    return mapped
  }

  /// Whether no extent from one on is mapped.
  public func isUnmapped(from first: UInt64) -> Bool {
    for extent in first..<max(first, extentCount) where view.entry(extent).isMapped { return false }
    return true
  }

  /// Mapped extents that have no copy which is up to date in a store that can be reached.
  ///
  /// - Parameter isAway: whether a store can not.
  public func unreachableCount(where isAway: (StoreID) -> Bool) -> UInt64 {
    var count: UInt64 = 0
    for extent in 0..<extentCount {
      let entry = view.entry(extent)
      guard entry.isMapped, isAway(entry.store) else { continue }
      let line = view.shadows(of: extent, entry)
      let hasOther = (0..<ShadowLine.shadowsMax).contains { number in
        guard let line, line.isSynced(number) else { return false }
        return !isAway(line.shadow(number).address.store)
      }
      if !hasOther { count += 1 }
    }
    return count
  }

  /// The first mapped extent whose entry satisfies a condition.
  public func firstEntry(where condition: (MapEntry) -> Bool) -> UInt64? {
    (0..<extentCount).first { extent in
      let entry = view.entry(extent)
      return entry.isMapped && condition(entry)
    }
  }

  /// The first extent that is sealed, as the catalog was loaded, but not mapped.
  public func firstStraySeal() -> UInt64? {
    var stray: UInt64?
    unsafe seals.forEachWords(extentCount) { extent, _ in
      if stray == nil, view.seal(extent).isSealed, !view.entry(extent).isMapped { stray = extent }
    }
    return stray
  }

  /// Unmaps extents from the front of a range, without a journal: the catalog has forgotten them, and nobody
  /// uses them. They may lie beyond an end that the map was shrunk to.
  ///
  /// - Parameters:
  ///   - range: where to look; what has been looked at is removed from it.
  ///   - entriesMax: how many are unmapped at most.
  /// - Returns: where their copies lay.
  public func unmap(_ range: inout Range<UInt64>, entriesMax: Int) -> [MapEntry] {
    var entries: [MapEntry] = []
    var extent = range.lowerBound
    while extent < range.upperBound, entries.count < entriesMax {
      let entry = view.entry(extent)
      if entry.isMapped {
        entries.append(entry.address)
        view.reset(extent)
        view.setSeal(extent, .open)
      }
      // Also without a shadow: that the extent is active must not outlive what the catalog says of it.
      if let line = view.shadowLine(extent) {
        for number in 0..<ShadowLine.shadowsMax where line.shadow(number).exists {
          entries.append(line.shadow(number).address)
        }
        line.reset()
      }
      extent += 1
    }
    range = extent..<range.upperBound
    return entries
  }
}
