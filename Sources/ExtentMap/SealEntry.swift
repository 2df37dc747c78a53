import Synchronization

/// What is known of an extent at rest: a word beside its entry in the map.
///
/// ```
///  63 … 48      47 … 40   35 … 34             33      32     31 … 0
/// ┌────────────┬─────────┬─────────┬─────────┬───────┬──────┬─────────┐
/// │ generation │ pending │unsealing│ watched │   0   │sealed│ CRC-32C │
/// └────────────┴─────────┴─────────┴─────────┴───────┴──────┴─────────┘
///  └──────────────── run-time state ────────────────┘ └─ the catalog's ─┘
/// ```
///
/// - *open*: none of the bits; clients write.
/// - `watched`: the extent is closed, to see whether anybody writes to it. The first writer opens it.
/// - `sealed`: the catalog has the checksum, or will have it after the next commit. The first writer waits
///   until the catalog has forgotten it (`unsealing`): a seal that was loaded is never older than the data.
/// - `pending`: changes of the seal that the catalog does not have yet.
/// - `generation`: counts the writers that opened the extent, so that whoever reads it notices.
///
/// As long as one of the three bits is set, the extent's entry is `closed`, and no write reaches its copies.
/// `MapChanges` makes all changes, under its lock.
@frozen
public struct SealEntry: RawRepresentable, Hashable, Sendable {
  /// The whole word.
  public var rawValue: UInt64

  /// A word as it was loaded.
  @inlinable
  public init(rawValue: UInt64) {
    self.rawValue = rawValue
  }

  /// A seal as the catalog keeps it.
  public init(checksum: UInt32) {
    rawValue = Self.sealedBit | UInt64(checksum)
  }

  /// Nobody has looked at the extent yet.
  public static let open = SealEntry(rawValue: 0)

  private static let checksumMask: UInt64 = 0xffff_ffff
  private static let sealedBit: UInt64 = 1 << 32
  private static let watchedBit: UInt64 = 1 << 34
  private static let unsealingBit: UInt64 = 1 << 35
  private static let onePending: UInt64 = 1 << 40
  private static let pendingMask: UInt64 = 0xff << 40
  private static let oneGeneration: UInt64 = 1 << 48
  private static let stateMask = watchedBit | unsealingBit | sealedBit | checksumMask
  static let wordShift: UInt64 = 0

  /// CRC-32C of what the extent holds. Only meaningful if it is sealed.
  public var checksum: UInt32 { UInt32(truncatingIfNeeded: rawValue) }
  /// Whether the catalog has, or is to have, the checksum.
  public var isSealed: Bool { rawValue & (Self.sealedBit | Self.unsealingBit) == Self.sealedBit }
  /// Whether the catalog is about to forget it.
  public var isUnsealing: Bool { rawValue & Self.unsealingBit != 0 }
  /// Whether it is seen whether anybody writes.
  public var isWatched: Bool { rawValue & Self.watchedBit != 0 }
  /// Changes that the catalog does not have yet.
  public var pending: Int { Int((rawValue & Self.pendingMask) >> 40) }
  /// Whether nothing stands in the way of a writer, or of somebody who wants to watch.
  public var isOpen: Bool { rawValue & Self.stateMask == 0 }
  /// What the catalog keeps.
  public var persistent: UInt64 { rawValue & (Self.sealedBit | Self.checksumMask) }

  /// Whether nobody has opened the extent since `other` was loaded, and what was read meanwhile is what it
  /// holds.
  public func isUntouched(since other: SealEntry) -> Bool {
    rawValue / Self.oneGeneration == other.rawValue / Self.oneGeneration && (isSealed || isWatched)
  }

  /// It is watched from now on.
  public mutating func watch() {
    rawValue |= Self.watchedBit
  }

  /// It is sealed from now on, and the catalog is to know.
  public mutating func seal(_ checksum: UInt32) {
    rawValue = rawValue & ~Self.stateMask | Self.sealedBit | UInt64(checksum)
    rawValue += Self.onePending
  }

  /// A writer has come: the catalog is to forget the seal.
  public mutating func unseal() {
    rawValue = (rawValue | Self.unsealingBit) &+ Self.oneGeneration
    rawValue += Self.onePending
  }

  /// A writer has come before there was a seal, or the extent is gone.
  public mutating func breakOpen() {
    rawValue = (rawValue & ~Self.stateMask) &+ Self.oneGeneration
  }

  /// The catalog is to forget a seal that is gone already.
  public mutating func notePending() {
    rawValue += Self.onePending
  }

  /// The catalog has one of the changes.
  ///
  /// - Returns: whether it has forgotten the seal that a writer waits for.
  public mutating func committed() -> Bool {
    // Nothing is, of an extent that has been cut off its volume meanwhile.
    guard pending > 0 else { return false }
    rawValue -= Self.onePending
    guard isUnsealing && pending == 0 else { return false }
    rawValue &= ~Self.stateMask
    return true
  }
}

extension ExtentMapView {
  /// What is known of the extent at rest.
  public func seal(_ extent: UInt64) -> SealEntry {
    guard let word = unsafe seals.words(extent, SealEntry.wordShift) else { return .open }
    return unsafe SealEntry(rawValue: word.pointee.load(ordering: .acquiring))
  }

  /// Changes what is known of the extent; nothing happens if no room was made for it, where nothing can be
  /// known.
  public func setSeal(_ extent: UInt64, _ seal: SealEntry) {
    guard let word = unsafe seals.words(extent, SealEntry.wordShift) else { return }
    unsafe word.pointee.store(seal.rawValue, ordering: .sequentiallyConsistent)
  }
}
