public import Platform
public import Primitives
public import Synchronization

/// The operations on a map's entries, as a plain value that requests carry with them.
///
/// Valid as long as its `ExtentMap` lives; extents must be within its count. All methods may be called
/// from any thread.
@frozen
@safe
public struct ExtentMapView: BitwiseCopyable, @unchecked Sendable {
  @usableFromInline let base: UnsafeMutablePointer<Atomic<UInt64>>
  /// Whose map it is.
  public let volume: VolumeID
  /// log2 of the extent size in bytes.
  public let extentShift: UInt8
  /// What of the volume is not durable yet.
  public let marks: VolumeMarks
  @usableFromInline let shadows: LeafTableView
  let seals: LeafTableView

  init(
    base: UnsafeMutablePointer<Atomic<UInt64>>, volume: VolumeID, extentShift: UInt8, marks: VolumeMarks,
    shadows: LeafTableView, seals: LeafTableView
  ) {
    unsafe self.base = base
    self.volume = volume
    self.extentShift = extentShift
    self.marks = marks
    self.shadows = shadows
    self.seals = seals
  }

  /// A view of no map, for entries of a slab that are not in use.
  public static let none = unsafe ExtentMapView(
    base: .allocate(capacity: 1), volume: VolumeID(rawValue: 0), extentShift: 0, marks: .none,
    shadows: .none, seals: .none)

  /// Whether this is the view of no map.
  public var isNone: Bool { volume.rawValue == 0 }

  /// Bytes of an extent.
  @inlinable public var extentBytes: UInt64 { 1 << UInt64(extentShift) }

  /// log2 of the bytes of a part: the 64th of an extent by which shadows know what they lack, but whole
  /// blocks.
  @inlinable public var partShift: UInt64 { max(UInt64(extentShift), 18) - 6 }

  /// The mask of all parts of an extent.
  @inlinable public var allParts: UInt64 { ~0 >> (64 - (extentBytes >> partShift)) }

  /// The mask of the parts that a range of bytes touches, which is not empty and within one extent.
  @inlinable
  public func parts(from start: UInt64, to end: UInt64) -> UInt64 {
    let first = (start & (extentBytes - 1)) >> partShift
    let last = ((end - 1) & (extentBytes - 1)) >> partShift
    return (~0 >> (63 - last)) & (~0 << first)
  }

  /// One atomic load: where the extent lies now.
  @inlinable
  public func entry(_ extent: UInt64) -> MapEntry {
    unsafe MapEntry(rawValue: base[Int(extent)].load(ordering: .acquiring))
  }

  /// What is known of the extent's shadows; nil if its entry says that it has none.
  @inlinable
  public func shadows(of extent: UInt64, _ entry: MapEntry) -> ShadowLine? {
    entry.isShadowed ? shadowLine(extent) : nil
  }

  /// What is known of the extent's shadows, whether or not it has any; nil if it never had.
  @inlinable
  public func shadowLine(_ extent: UInt64) -> ShadowLine? {
    guard let words = unsafe shadows.words(extent, ShadowLine.wordShift) else { return nil }
    return unsafe ShadowLine(words)
  }

  /// What is known of the extent's shadows; made if nothing was. It costs a page for every 64 extents.
  ///
  /// - Throws: ENOMEM.
  public func makeShadowLine(_ extent: UInt64) throws(SystemError) -> ShadowLine {
    unsafe ShadowLine(try shadows.make(extent, ShadowLine.wordShift))
  }

  /// Says whether the extent has shadows. Before the first one appears, no writer may be in flight that does
  /// not know of it: the caller holds the gate, and the writers have drained.
  public func setShadowed(_ extent: UInt64, _ isShadowed: Bool) {
    update(extent) { isShadowed ? $0 | MapEntry.shadowed : $0 & ~MapEntry.shadowed }
  }

  /// Begins a write: one atomic add that counts the writer and tells where the extent lies.
  ///
  /// If the entry turns out gated or unmapped, the caller unpins and takes the slow path.
  @inlinable
  public func pin(_ extent: UInt64) -> MapEntry {
    let result = unsafe base[Int(extent)].add(MapEntry.oneWriter, ordering: .acquiringAndReleasing)
    return MapEntry(rawValue: result.newValue)
  }

  /// Ends a write that `pin(_:)` began.
  ///
  /// - Returns: the entry after it; if it is gated and without writers, its gate's holder may go on.
  @inlinable
  public func unpin(_ extent: UInt64) -> MapEntry {
    let result = unsafe base[Int(extent)].subtract(MapEntry.oneWriter, ordering: .sequentiallyConsistent)
    return MapEntry(rawValue: result.newValue)
  }

  /// Closes the gate; false if somebody else holds it.
  @inlinable
  public func closeGate(_ extent: UInt64) -> Bool {
    let result = unsafe base[Int(extent)].bitwiseOr(MapEntry.gate, ordering: .sequentiallyConsistent)
    return result.oldValue & MapEntry.gate == 0
  }

  /// Opens the gate that this caller closed, and sets or clears further state bits with it.
  @inlinable
  public func openGate(_ extent: UInt64, setting bits: UInt64 = 0) {
    update(extent) { $0 & ~MapEntry.gate | bits }
  }

  /// Sets the address and marks it uncommitted; writers and state bits stay.
  @inlinable
  public func setAddress(_ extent: UInt64, _ entry: MapEntry) {
    update(extent) { $0 & ~MapEntry.addressMask | entry.address.rawValue | MapEntry.uncommitted }
  }

  /// Says that the catalog has `entry` now, unless the extent has moved on since.
  @inlinable
  public func markCommitted(_ extent: UInt64, _ entry: MapEntry) {
    update(extent) {
      $0 & MapEntry.addressMask == entry.address.rawValue ? $0 & ~MapEntry.uncommitted : $0
    }
  }

  /// Clears the `ranged` bit: nobody reads-modifies-writes in the extent any more.
  @inlinable
  public func clearRanged(_ extent: UInt64) {
    _ = unsafe base[Int(extent)].bitwiseAnd(~MapEntry.ranged, ordering: .sequentiallyConsistent)
  }

  /// Has the next writer open the extent, or not.
  public func setClosed(_ extent: UInt64, _ isClosed: Bool) {
    update(extent) { isClosed ? $0 | MapEntry.closed : $0 & ~MapEntry.closed }
  }

  /// Unmaps an extent that nobody uses.
  func reset(_ extent: UInt64) {
    unsafe base[Int(extent)].store(0, ordering: .releasing)
  }

  @inlinable
  func update(_ extent: UInt64, _ change: (UInt64) -> UInt64) {
    var old = unsafe base[Int(extent)].load(ordering: .relaxed)
    while true {
      let result = unsafe base[Int(extent)].weakCompareExchange(
        expected: old, desired: change(old), ordering: .sequentiallyConsistent)
      if result.exchanged { return }
      old = result.original
    }
  }
}
