import Platform
public import Primitives
public import Synchronization

/// What writers of one volume share. What is not durable yet: for each store the synchronization that its
/// last write there needs, and how many of its map changes the catalog does not have. And how shadows get
/// their writes.
///
/// In memory of its own, so that writers of one volume share a cache line with no other's.
@frozen
@safe
public struct VolumeMarks: BitwiseCopyable, @unchecked Sendable {
  @usableFromInline let words: UnsafeMutablePointer<Atomic<UInt64>>

  /// Stores that there can be.
  private static let storeCount = 256
  /// The word behind those of the stores.
  @usableFromInline static let changesIndex = storeCount
  @usableFromInline static let protectionIndex = storeCount + 1
  @usableFromInline static let copiesIndex = storeCount + 2
  @usableFromInline static let failsIndex = storeCount + 3
  @usableFromInline static let acrossIndex = storeCount + 4
  private static let extentsIndex = storeCount + 5
  /// 1 + the pinned tier, or 0; behind it the tiers that are never to be used, a bit for each.
  private static let pinIndex = storeCount + 6
  private static let neverIndex = storeCount + 7
  static let bytes = (neverIndex + TierSet.wordCount) * MemoryLayout<UInt64>.size

  /// - Parameter memory: zeros, as many as `bytes` says.
  init(_ memory: UnsafeMutableRawPointer) {
    unsafe words = memory.assumingMemoryBound(to: Atomic<UInt64>.self)
  }

  /// Marks of no volume: for a view of no map.
  static let none: VolumeMarks = {
    let memory = UnsafeMutableRawPointer.allocate(byteCount: bytes, alignment: 64)
    unsafe memory.initializeMemory(as: UInt8.self, repeating: 0, count: bytes)
    return unsafe VolumeMarks(memory)
  }()

  /// A write has ended that will be durable once the store's synchronization of this number has succeeded.
  @inlinable
  public func noteWrite(to store: StoreID, until synchronization: UInt64) {
    let index = Int(store.rawValue)
    // Mostly it is noted already; a load keeps the cache line shared.
    if unsafe words[index].load(ordering: .relaxed) < synchronization {
      _ = unsafe words[index].max(synchronization, ordering: .sequentiallyConsistent)
    }
  }

  /// The synchronization of a store that makes all the volume's writes there durable; 0 if there were none.
  @inlinable
  public func lastSynchronization(neededOf store: StoreID) -> UInt64 {
    unsafe words[Int(store.rawValue)].load(ordering: .sequentiallyConsistent)
  }

  /// When a write to an extent with shadows is acknowledged.
  @inlinable public var protection: Protection {
    get {
      let raw = unsafe words[Self.protectionIndex].load(ordering: .relaxed)
      return Protection(rawValue: UInt8(truncatingIfNeeded: raw)) ?? .sync
    }
    nonmutating set {
      unsafe words[Self.protectionIndex].store(UInt64(newValue.rawValue), ordering: .relaxed)
    }
  }

  /// Copies that each extent is to have, the live one included.
  @inlinable public var copies: Int {
    get { max(1, Int(unsafe words[Self.copiesIndex].load(ordering: .relaxed))) }
    nonmutating set { unsafe words[Self.copiesIndex].store(UInt64(newValue), ordering: .relaxed) }
  }

  /// What no two of them may share.
  @inlinable public var across: FailureDomain {
    get {
      FailureDomain.allCases[Int(unsafe words[Self.acrossIndex].load(ordering: .relaxed))]
    }
    nonmutating set {
      let index = FailureDomain.allCases.firstIndex(of: newValue) ?? 0
      unsafe words[Self.acrossIndex].store(UInt64(index), ordering: .relaxed)
    }
  }

  /// Whether a request fails at once when no copy can be reached, rather than wait for the store to return.
  @inlinable public var failsAtOnce: Bool {
    get { unsafe words[Self.failsIndex].load(ordering: .relaxed) != 0 }
    nonmutating set { unsafe words[Self.failsIndex].store(newValue ? 1 : 0, ordering: .relaxed) }
  }

  /// On which tiers new extents belong. Not read as a whole: for an instant a mixture of old and new rules
  /// may be seen, and an extent placed by it lies well enough.
  public var tiers: TierRules {
    get {
      let pin = unsafe Int(words[Self.pinIndex].load(ordering: .relaxed)) - 1
      var never = TierSet()
      for number in 0..<TierSet.wordCount {
        never[word: number] = unsafe words[Self.neverIndex + number].load(ordering: .relaxed)
      }
      return TierRules(pin: pin < 0 ? nil : pin, never: never)
    }
    nonmutating set {
      unsafe words[Self.pinIndex].store(UInt64(1 + (newValue.pin ?? -1)), ordering: .relaxed)
      for number in 0..<TierSet.wordCount {
        unsafe words[Self.neverIndex + number].store(newValue.never[word: number], ordering: .relaxed)
      }
    }
  }

  /// Extents that the volume has now.
  public internal(set) var extentCount: UInt64 {
    get { unsafe words[Self.extentsIndex].load(ordering: .acquiring) }
    nonmutating set { unsafe words[Self.extentsIndex].store(newValue, ordering: .releasing) }
  }

  /// Map changes of the volume that the catalog does not have.
  @inlinable public var uncommittedChanges: UInt64 {
    unsafe words[Self.changesIndex].load(ordering: .acquiring)
  }

  /// A map change was made.
  @inlinable
  public func changeBegan() {
    unsafe words[Self.changesIndex].add(1, ordering: .acquiringAndReleasing)
  }

  /// The catalog has a change, or will never get it.
  @inlinable
  public func changeEnded() {
    unsafe words[Self.changesIndex].subtract(1, ordering: .acquiringAndReleasing)
  }
}
