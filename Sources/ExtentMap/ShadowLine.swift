public import Primitives
public import Synchronization

/// Where one shadow lies, and whether it is being filled: a word of a `ShadowLine`.
@frozen
public struct ShadowEntry: RawRepresentable, Hashable, Sendable {
  /// The whole word.
  public let rawValue: UInt64

  /// A word as it was loaded.
  @inlinable
  public init(rawValue: UInt64) {
    self.rawValue = rawValue
  }

  /// No shadow.
  public static let none = ShadowEntry(rawValue: 0)
  /// The bit `filling`: somebody copies to it, so that what it lacks is more than what its mask says.
  public static let filling: UInt64 = 1 << 46

  /// Whether there is a shadow.
  @inlinable public var exists: Bool { address.isMapped }
  /// Whether somebody copies to it.
  @inlinable public var isFilling: Bool { rawValue & Self.filling != 0 }
  /// Where it lies.
  @inlinable public var address: MapEntry { MapEntry(rawValue: rawValue & MapEntry.addressMask) }
}

/// What is known of one extent's shadows: a cache line beside the map.
///
/// ```
/// word  content
///  0–2  the shadows (ShadowEntry), 0 where there is none
///  3–5  what each of them lacks: bit k for the k-th 64th of the extent
///    6  activity: bit 0 active, bit 1 on its way to be active, bit 2 written to since the last sweep,
///       bit 3 written to since it is active
///    7  zero
/// ```
///
/// A shadow is *synced*, may serve reads and is written to, if it exists, nobody fills it, and it lacks
/// nothing. All methods may be called from any thread; who may change what, `MapChanges` says.
@frozen
@safe
public struct ShadowLine: BitwiseCopyable, @unchecked Sendable {
  @usableFromInline let words: UnsafeMutablePointer<Atomic<UInt64>>

  /// Shadows that an extent can have.
  public static let shadowsMax = 3
  @usableFromInline static let wordCount = 8
  /// log2 of `wordCount`.
  @usableFromInline static let wordShift: UInt64 = 3
  @usableFromInline static let activityIndex = 6
  @usableFromInline static let activeBit: UInt64 = 1
  @usableFromInline static let activatingBit: UInt64 = 2
  @usableFromInline static let touchedBit: UInt64 = 4
  @usableFromInline static let alteredBit: UInt64 = 8

  @usableFromInline
  init(_ words: UnsafeMutablePointer<Atomic<UInt64>>) {
    unsafe self.words = words
  }

  // MARK: Shadows

  /// A shadow, by its number from 0.
  @inlinable
  public func shadow(_ number: Int) -> ShadowEntry {
    unsafe ShadowEntry(rawValue: words[number].load(ordering: .acquiring))
  }

  /// Puts a shadow in a place, or none.
  @inlinable
  public func setShadow(_ number: Int, _ entry: ShadowEntry) {
    unsafe words[number].store(entry.rawValue, ordering: .sequentiallyConsistent)
  }

  /// What a shadow lacks.
  @inlinable
  public func missed(_ number: Int) -> UInt64 {
    unsafe words[3 + number].load(ordering: .acquiring)
  }

  /// Says exactly what a shadow lacks.
  @inlinable
  public func setMissed(_ number: Int, _ mask: UInt64) {
    unsafe words[3 + number].store(mask, ordering: .sequentiallyConsistent)
  }

  /// A shadow lacks these parts too.
  @inlinable
  public func addMissed(_ number: Int, _ mask: UInt64) {
    _ = unsafe words[3 + number].bitwiseOr(mask, ordering: .sequentiallyConsistent)
  }

  /// These parts are about to be copied to a shadow that is being filled.
  @inlinable
  public func takeMissed(_ number: Int, _ mask: UInt64) {
    _ = unsafe words[3 + number].bitwiseAnd(~mask, ordering: .sequentiallyConsistent)
  }

  /// Whether a shadow may be read where `mask` says.
  @inlinable
  public func mayRead(_ number: Int, _ mask: UInt64) -> Bool {
    let entry = shadow(number)
    guard entry.exists, !entry.isFilling, missed(number) & mask == 0 else { return false }
    // Whoever fills it says so before the mask changes: a mask that was seen to be changed shows here.
    return shadow(number) == entry
  }

  /// Whether a shadow is equal to the live copy but for writes under way.
  @inlinable
  public func isSynced(_ number: Int) -> Bool { mayRead(number, .max) }

  /// Whether there is a shadow.
  public var hasShadows: Bool { (0..<Self.shadowsMax).contains { shadow($0).exists } }

  /// The number of a shadow that does not exist; nil if there is room for no more.
  public var vacancy: Int? { (0..<Self.shadowsMax).first { !shadow($0).exists } }

  /// The shadow that lies in a store.
  public func number(in store: StoreID) -> Int? {
    (0..<Self.shadowsMax).first { shadow($0).exists && shadow($0).address.store == store }
  }

  // MARK: Activity

  /// Whether the catalog knows that copies of the extent may differ.
  @inlinable public var isActive: Bool { activity & Self.activeBit != 0 }
  /// Whether the catalog will know it after the next commit.
  @inlinable public var isActivating: Bool { activity & Self.activatingBit != 0 }

  @usableFromInline var activity: UInt64 {
    unsafe words[Self.activityIndex].load(ordering: .acquiring)
  }

  /// A write begins: the extent is not at rest. Mostly it is noted already; a load keeps the cache line
  /// shared.
  @inlinable
  public func touch() {
    let bits = Self.touchedBit | Self.alteredBit
    if activity & bits != bits { setActivity(bits) }
  }

  /// The commit that says so is on its way.
  public func beginActivity() { setActivity(Self.activatingBit) }

  /// The extent is active, and may have been written to: the catalog said so when it was loaded, or, of a new
  /// extent, will say so in the commit without which it is not there.
  public func countAsActive() { setActivity(Self.activeBit | Self.touchedBit | Self.alteredBit) }

  /// The catalog knows that copies may differ from now on.
  public func becomeActive() {
    setActivity(Self.activeBit | Self.touchedBit)
    _ = unsafe words[Self.activityIndex].bitwiseAnd(~Self.activatingBit, ordering: .sequentiallyConsistent)
  }

  /// The copies are equal again, or what they lack is known.
  public func endActivity() {
    unsafe words[Self.activityIndex].store(0, ordering: .sequentiallyConsistent)
  }

  /// Whether there were writes since `takeTouched`.
  public var isTouched: Bool { activity & Self.touchedBit != 0 }

  /// Whether there were writes since it became active. If not, its copies are as durable as when they were at
  /// rest.
  public var isAltered: Bool { activity & Self.alteredBit != 0 }

  /// Whether there were writes since this was asked last.
  public func takeTouched() -> Bool {
    let old = unsafe words[Self.activityIndex].bitwiseAnd(~Self.touchedBit, ordering: .sequentiallyConsistent)
    return old.oldValue & Self.touchedBit != 0
  }

  @usableFromInline
  func setActivity(_ bits: UInt64) {
    _ = unsafe words[Self.activityIndex].bitwiseOr(bits, ordering: .sequentiallyConsistent)
  }

  /// Forgets everything, for an extent that nobody uses.
  func reset() {
    for index in 0..<Self.wordCount { unsafe words[index].store(0, ordering: .releasing) }
  }
}
