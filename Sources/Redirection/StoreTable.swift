public import Primitives
import Synchronization

/// How a store makes a fresh slot read as zeros with its space reserved.
public enum PrepareMethod: UInt8, Sendable {
  /// One call zeroes and reserves (FALLOC_FL_ZERO_RANGE).
  case zeroRange
  /// Punch a hole, then reserve.
  case punchAndReserve
  /// Only writing zeros is sure to work.
  case writeZeros
}

/// What the data path must know about each store, at a stable address for the life of the pool.
///
/// An entry is filled in before anything can refer to its store, and is read by all reactors.
@safe
public final class StoreTable: @unchecked Sendable {
  /// Entries: every `StoreID` has one.
  public static let capacity = 256

  struct Entry: ~Copyable {
    /// Written since the last synchronization began.
    let isDirty = Atomic<Bool>(false)
    /// A synchronization failed: what was promised since may be lost, so nothing more is promised.
    let hasFailed = Atomic<Bool>(false)
    let isPresent = Atomic<Bool>(false)
    let dataOffset = Atomic<UInt64>(0)
    let prepare = Atomic<UInt8>(0)
    let tier = Atomic<Int>(0)
    let isCached = Atomic<Bool>(false)
  }

  private let entries: UnsafeMutablePointer<Entry>

  /// A table without stores.
  public init() {
    unsafe entries = .allocate(capacity: Self.capacity)
    for index in 0..<Self.capacity { unsafe (entries + index).initialize(to: Entry()) }
  }

  deinit {
    unsafe entries.deinitialize(count: Self.capacity)
    unsafe entries.deallocate()
  }

  /// Makes a store known to the data path.
  public func add(
    _ store: StoreID, tier: Int, dataOffset: UInt64, prepare: PrepareMethod, isCached: Bool = false
  ) {
    let index = Int(store.rawValue)
    unsafe entries[index].dataOffset.store(dataOffset, ordering: .relaxed)
    unsafe entries[index].prepare.store(prepare.rawValue, ordering: .relaxed)
    unsafe entries[index].tier.store(tier, ordering: .relaxed)
    unsafe entries[index].isCached.store(isCached, ordering: .relaxed)
    unsafe entries[index].isDirty.store(true, ordering: .relaxed)
    unsafe entries[index].hasFailed.store(false, ordering: .relaxed)
    unsafe entries[index].isPresent.store(true, ordering: .releasing)
  }

  /// Forgets a store that nothing refers to any more.
  public func remove(_ store: StoreID) {
    unsafe entries[Int(store.rawValue)].isPresent.store(false, ordering: .releasing)
  }

  /// The tier that the store was added with.
  public func tier(of store: StoreID) -> Int {
    unsafe entries[Int(store.rawValue)].tier.load(ordering: .relaxed)
  }

  /// Whether a synchronization of the store has failed since it was added.
  public func hasFailed(_ store: StoreID) -> Bool {
    unsafe entries[Int(store.rawValue)].hasFailed.load(ordering: .acquiring)
  }

  /// Whether the store's transfers go through the page cache: then they are copies made by this processor.
  public func isCached(_ store: StoreID) -> Bool {
    unsafe entries[Int(store.rawValue)].isCached.load(ordering: .relaxed)
  }

  func dataOffset(of store: StoreID) -> UInt64 {
    unsafe entries[Int(store.rawValue)].dataOffset.load(ordering: .relaxed)
  }

  func prepareMethod(of store: StoreID) -> PrepareMethod {
    let raw = unsafe entries[Int(store.rawValue)].prepare.load(ordering: .relaxed)
    return PrepareMethod(rawValue: raw) ?? .writeZeros
  }

  /// Notes that a write has completed which is not durable by itself. Before it is acknowledged.
  func markDirty(_ store: StoreID) {
    // Mostly it is dirty already; a load keeps the cache line shared.
    let index = Int(store.rawValue)
    if unsafe !entries[index].isDirty.load(ordering: .sequentiallyConsistent) {
      unsafe entries[index].isDirty.store(true, ordering: .sequentiallyConsistent)
    }
  }

  func markFailed(_ store: StoreID) {
    unsafe entries[Int(store.rawValue)].hasFailed.store(true, ordering: .releasing)
  }

  /// Whether some store has failed to synchronize.
  public var isAnyFailed: Bool {
    (0..<Self.capacity).contains { index in
      unsafe entries[index].isPresent.load(ordering: .acquiring)
        && entries[index].hasFailed.load(ordering: .acquiring)
    }
  }

  /// Whether every store zeroes a range without writing it.
  var allZeroFast: Bool {
    (0..<Self.capacity).allSatisfy { index in
      unsafe !entries[index].isPresent.load(ordering: .acquiring)
        || entries[index].prepare.load(ordering: .relaxed) == PrepareMethod.zeroRange.rawValue
    }
  }

  var isAnyDirty: Bool {
    for index in 0..<Self.capacity where unsafe entries[index].isPresent.load(ordering: .acquiring) {
      if unsafe entries[index].isDirty.load(ordering: .sequentiallyConsistent) { return true }
    }
    return false
  }

  /// Calls `body` with each present store that is dirty, after clearing its mark.
  func takeDirty(_ body: (StoreID) -> Void) {
    for index in 0..<Self.capacity where unsafe entries[index].isPresent.load(ordering: .acquiring) {
      if unsafe entries[index].isDirty.exchange(false, ordering: .sequentiallyConsistent) {
        body(StoreID(rawValue: UInt8(index)))
      }
    }
  }
}
