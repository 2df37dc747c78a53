public import ExtentMap
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
    /// A synchronization failed: what was written since the one before may be lost.
    let hasFailed = Atomic<Bool>(false)
    /// Number of the last synchronization that was begun, and of the last that succeeded.
    let begun = Atomic<UInt64>(0)
    let succeeded = Atomic<UInt64>(0)
    /// Writes and synchronizations that nobody waits for any more, and that have not ended.
    let lateCount = Atomic<Int>(0)
    /// Bytes of memory that they hold; of a request with several such writes, once for each.
    let lateBytes = Atomic<Int>(0)
    /// Since when there have been some without a break, on the drivers' clock.
    let lateSince = Atomic<UInt64>(0)
    /// One of these is a synchronization.
    let isSynchronizingLate = Atomic<Bool>(false)
    /// The synchronization that some volume needs.
    let needed = Atomic<UInt64>(0)
    /// It can not be reached now.
    let isAway = Atomic<Bool>(false)
    /// It was not reached in time for a synchronization, and none has succeeded since; until when it is not
    /// asked again, on the drivers' clock.
    let isBehind = Atomic<Bool>(false)
    let asksAgainAt = Atomic<UInt64>(0)
    let isPresent = Atomic<Bool>(false)
    let dataOffset = Atomic<UInt64>(0)
    let prepare = Atomic<UInt8>(0)
    let tier = Atomic<Int>(0)
    let isCached = Atomic<Bool>(false)
    let isVolatile = Atomic<Bool>(false)
    let keepsUnflushed = Atomic<Bool>(false)
    let isSatOut = Atomic<Bool>(false)
  }

  private let entries: UnsafeMutablePointer<Entry>
  private let failedCount = Atomic<Int>(0)
  /// No entry from here on has ever been used.
  private let usedEnd = Atomic<Int>(0)

  private var end: Int { usedEnd.load(ordering: .acquiring) }

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
  ///
  /// - Parameters:
  ///   - isCached: its transfers go through the page cache.
  ///   - isVolatile: what it holds is gone with the process.
  ///   - keepsUnflushed: what it was not reached for in time is not lost: the way to it keeps what was
  ///     written and not synchronized, and sends it again.
  ///   - isAway: it can not be reached now, and nothing was written to it in this life.
  public func add(
    _ store: StoreID, tier: Int, dataOffset: UInt64, prepare: PrepareMethod, isCached: Bool = false,
    isVolatile: Bool = false, keepsUnflushed: Bool = false, isAway: Bool = false
  ) {
    let index = Int(store.rawValue)
    unsafe entries[index].dataOffset.store(dataOffset, ordering: .relaxed)
    unsafe entries[index].prepare.store(prepare.rawValue, ordering: .relaxed)
    unsafe entries[index].tier.store(tier, ordering: .relaxed)
    unsafe entries[index].isCached.store(isCached, ordering: .relaxed)
    unsafe entries[index].isVolatile.store(isVolatile, ordering: .relaxed)
    unsafe entries[index].keepsUnflushed.store(keepsUnflushed, ordering: .relaxed)
    unsafe entries[index].isAway.store(isAway, ordering: .relaxed)
    unsafe entries[index].isBehind.store(false, ordering: .relaxed)
    // The process before this one may have left something that is not durable.
    unsafe entries[index].isDirty.store(!isAway, ordering: .relaxed)
    unsafe entries[index].isPresent.store(true, ordering: .releasing)
    _ = usedEnd.max(index + 1, ordering: .releasing)
  }

  /// Has the store used only where there is no other copy, or lets it be used again.
  public func setSatOut(_ store: StoreID, _ isSatOut: Bool) {
    unsafe entries[Int(store.rawValue)].isSatOut.store(isSatOut, ordering: .releasing)
  }

  /// Whether the store is used only where there is no other copy, because somebody has found it unfit.
  public func isSatOut(_ store: StoreID) -> Bool {
    unsafe entries[Int(store.rawValue)].isSatOut.load(ordering: .acquiring)
  }

  /// Forgets a store that nothing refers to any more. That it has failed is not forgotten, since volumes
  /// still miss what it lost: another of its number counts as failed too.
  public func remove(_ store: StoreID) {
    unsafe entries[Int(store.rawValue)].isPresent.store(false, ordering: .releasing)
  }

  /// Whether there is such a store.
  public func isPresent(_ store: StoreID) -> Bool {
    unsafe entries[Int(store.rawValue)].isPresent.load(ordering: .acquiring)
  }

  /// The tier that the store was added with.
  public func tier(of store: StoreID) -> Int {
    unsafe entries[Int(store.rawValue)].tier.load(ordering: .relaxed)
  }

  /// Whether a synchronization of the store has failed: for good, it can be read and no more.
  public func hasFailed(_ store: StoreID) -> Bool {
    unsafe entries[Int(store.rawValue)].hasFailed.load(ordering: .acquiring)
  }

  /// Whether the store can not be reached now.
  public func isAway(_ store: StoreID) -> Bool {
    unsafe entries[Int(store.rawValue)].isAway.load(ordering: .acquiring)
  }

  /// Tells whether the store can be reached: as long as not, others are used where there are any.
  public func setAway(_ store: StoreID, _ isAway: Bool) {
    if !isAway {
      unsafe entries[Int(store.rawValue)].asksAgainAt.store(0, ordering: .relaxed)
      // The process before this one may have left something that is not durable.
      markDirty(store)
    }
    unsafe entries[Int(store.rawValue)].isAway.store(isAway, ordering: .releasing)
  }

  /// Whether a synchronization of the store that ends with this error has lost nothing: it was not reached in
  /// time, and what was written is kept.
  func keepsUnflushed(_ store: StoreID, errno: Int32) -> Bool {
    let isReach = errno == StoreErrno.timedOut || errno == StoreErrno.notConnected
    return unsafe isReach && entries[Int(store.rawValue)].keepsUnflushed.load(ordering: .relaxed)
  }

  /// The store was not reached for its synchronization, which has yet to be done.
  func markBehind(_ store: StoreID, at now: UInt64) {
    let index = Int(store.rawValue)
    unsafe entries[index].asksAgainAt.store(now + Self.asksAgainAfter, ordering: .relaxed)
    unsafe entries[index].isBehind.store(true, ordering: .sequentiallyConsistent)
    markDirty(store)
  }

  /// Nanoseconds for which a store that was not reached is not asked again, so that those who have waited for
  /// it hear of that.
  private static let asksAgainAfter: UInt64 = 1_000_000_000

  /// Whether the store's last writes wait to become durable, and nothing is under way to do so.
  func isBehind(_ store: StoreID) -> Bool {
    unsafe entries[Int(store.rawValue)].isBehind.load(ordering: .acquiring)
  }

  /// Whether the store's transfers go through the page cache: then they are copies made by this processor.
  public func isCached(_ store: StoreID) -> Bool {
    unsafe entries[Int(store.rawValue)].isCached.load(ordering: .relaxed)
  }

  /// Whether what the store holds is gone with the process: no place for a live copy.
  public func isVolatile(_ store: StoreID) -> Bool {
    unsafe entries[Int(store.rawValue)].isVolatile.load(ordering: .relaxed)
  }

  func dataOffset(of store: StoreID) -> UInt64 {
    unsafe entries[Int(store.rawValue)].dataOffset.load(ordering: .relaxed)
  }

  func prepareMethod(of store: StoreID) -> PrepareMethod {
    let raw = unsafe entries[Int(store.rawValue)].prepare.load(ordering: .relaxed)
    return PrepareMethod(rawValue: raw) ?? .writeZeros
  }

  /// Notes that a write of a volume has completed which is not durable by itself. Before it is acknowledged.
  func markDirty(_ store: StoreID, by marks: VolumeMarks) {
    let index = Int(store.rawValue)
    // Read after the write has completed, so the synchronization after this one begins after it.
    let begun = unsafe entries[index].begun.load(ordering: .sequentiallyConsistent)
    marks.noteWrite(to: store, until: begun + 1)
    if unsafe entries[index].needed.load(ordering: .relaxed) < begun + 1 {
      _ = unsafe entries[index].needed.max(begun + 1, ordering: .sequentiallyConsistent)
    }
    markDirty(store)
  }

  /// Notes that a write has completed which is not durable by itself, but which other stores have too.
  func markDirty(_ store: StoreID) {
    let index = Int(store.rawValue)
    // Mostly it is dirty already; a load keeps the cache line shared.
    if unsafe !entries[index].isDirty.load(ordering: .sequentiallyConsistent) {
      unsafe entries[index].isDirty.store(true, ordering: .sequentiallyConsistent)
    }
  }

  /// The synchronization that `takeDirty` began last has succeeded.
  func markSynchronized(_ store: StoreID) {
    let index = Int(store.rawValue)
    let begun = unsafe entries[index].begun.load(ordering: .sequentiallyConsistent)
    unsafe entries[index].succeeded.store(begun, ordering: .sequentiallyConsistent)
    unsafe entries[index].isBehind.store(false, ordering: .sequentiallyConsistent)
  }

  /// A synchronization has failed. The kernel forgets what it could not write: asking again would succeed
  /// without the data, so nobody asks again.
  func markFailed(_ store: StoreID) {
    let failed = unsafe entries[Int(store.rawValue)].hasFailed.exchange(
      true, ordering: .acquiringAndReleasing)
    if !failed { failedCount.add(1, ordering: .acquiringAndReleasing) }
  }

  /// Whether the store has not done yet what nobody waits for any more.
  public func isLate(_ store: StoreID) -> Bool {
    unsafe entries[Int(store.rawValue)].lateCount.load(ordering: .acquiring) > 0
  }

  /// Nobody waits any more for something that the store has not done.
  ///
  /// - Parameter bytes: memory that it holds until then.
  func becameLate(_ store: StoreID, at now: UInt64, bytes: Int = 0) {
    unsafe entries[Int(store.rawValue)].lateBytes.add(bytes, ordering: .relaxed)
    let before = unsafe entries[Int(store.rawValue)].lateCount.add(1, ordering: .acquiringAndReleasing)
    if before.oldValue == 0 { unsafe entries[Int(store.rawValue)].lateSince.store(now, ordering: .releasing) }
  }

  /// Whether the store has been late for so long, or with so much, that nobody should count on it. For a
  /// moment and with a little, any store may be.
  func isStuck(_ store: StoreID, at now: UInt64) -> Bool {
    let count = unsafe entries[Int(store.rawValue)].lateCount.load(ordering: .acquiring)
    if count == 0 { return false }
    let bytes = unsafe entries[Int(store.rawValue)].lateBytes.load(ordering: .relaxed)
    if count >= Self.stuckFromCount || bytes >= Self.stuckFromBytes { return true }
    let since = unsafe entries[Int(store.rawValue)].lateSince.load(ordering: .acquiring)
    return now > since && now - since > Self.stuckAfter
  }

  /// Nanoseconds for which a store may be late before it is left out.
  static let stuckAfter: UInt64 = 250_000_000
  /// What it may be late with before it is left out, in all redirectors together: each write holds an
  /// operation and its memory, of which others need some.
  static let stuckFromCount = 64
  static let stuckFromBytes = 32 << 20

  /// The store has done it at last.
  ///
  /// - Returns: whether it was the last that there was.
  func madeUp(_ store: StoreID, bytes: Int = 0) -> Bool {
    unsafe entries[Int(store.rawValue)].lateBytes.subtract(bytes, ordering: .relaxed)
    let left = unsafe entries[Int(store.rawValue)].lateCount.subtract(1, ordering: .acquiringAndReleasing)
    return left.newValue == 0
  }

  /// A round has ended without the store's synchronization, which goes on; or it has ended.
  func setSynchronizing(_ store: StoreID, late: Bool) {
    unsafe entries[Int(store.rawValue)].isSynchronizingLate.store(late, ordering: .sequentiallyConsistent)
  }

  func isSynchronizingLate(_ store: StoreID) -> Bool {
    unsafe entries[Int(store.rawValue)].isSynchronizingLate.load(ordering: .acquiring)
  }

  /// Whether rounds end without the store's synchronization: it is late, is to be begun again, or has failed.
  func isDoneWithout(_ store: StoreID) -> Bool {
    isSynchronizingLate(store) || isBehind(store) || hasFailed(store)
  }

  /// All such stores.
  var doneWithout: [StoreID] {
    (0..<end).map { StoreID(rawValue: UInt8($0)) }.filter(isDoneWithout)
  }

  /// Whether some store's synchronization is late.
  var isAnySynchronizingLate: Bool {
    (0..<end).contains { unsafe entries[$0].isSynchronizingLate.load(ordering: .acquiring) }
  }

  /// Whether some store was not reached, and its synchronization has yet to be begun again.
  package var isAnyBehind: Bool {
    (0..<end).contains { unsafe entries[$0].isBehind.load(ordering: .acquiring) }
  }

  var isAnyLateOrBehind: Bool { isAnySynchronizingLate || isAnyBehind }

  /// Whether a volume, or some volume if the view is of none, needs a store whose synchronization is late.
  func waitsForLate(_ view: ExtentMapView) -> Bool {
    needs(view) { unsafe entries[$0].isSynchronizingLate.load(ordering: .acquiring) }
  }

  /// Whether a volume that does not wait for stores that are away needs one whose synchronization is late.
  func givesUp(_ view: ExtentMapView) -> Bool {
    guard !view.isNone, view.marks.failsAtOnce else { return false }
    return needs(view) { index in
      unsafe entries[index].isSynchronizingLate.load(ordering: .acquiring)
        && entries[index].isAway.load(ordering: .acquiring)
    }
  }

  /// Whether a volume, or some volume if the view is of none, needs one of these stores to be synchronized.
  func needs(_ view: ExtentMapView, anyOf stores: [StoreID]) -> Bool {
    needs(view) { index in stores.contains { Int($0.rawValue) == index } }
  }

  /// Whether a volume, or some volume if the view is of none, needs a store that was not reached.
  func isBehind(_ view: ExtentMapView) -> Bool {
    needs(view) { unsafe entries[$0].isBehind.load(ordering: .acquiring) }
  }

  private func needs(_ view: ExtentMapView, where isMeant: (Int) -> Bool) -> Bool {
    (0..<end).contains { index in
      guard isMeant(index) else { return false }
      let succeeded = unsafe entries[index].succeeded.load(ordering: .sequentiallyConsistent)
      let needed =
        view.isNone
        ? unsafe entries[index].needed.load(ordering: .sequentiallyConsistent)
        : view.marks.lastSynchronization(neededOf: StoreID(rawValue: UInt8(index)))
      return needed > succeeded
    }
  }

  /// Whether some store has failed to synchronize.
  public var isAnyFailed: Bool { failedCount.load(ordering: .acquiring) > 0 }

  /// Whether a failed store has lost, or may have, what a volume wrote. True for good: nothing makes a failed
  /// store's last writes durable.
  public func hasLostWrites(of marks: VolumeMarks) -> Bool {
    guard isAnyFailed else { return false }
    return (0..<end).contains { index in
      let store = StoreID(rawValue: UInt8(index))
      guard hasFailed(store) else { return false }
      let succeeded = unsafe entries[index].succeeded.load(ordering: .sequentiallyConsistent)
      return marks.lastSynchronization(neededOf: store) > succeeded
    }
  }

  /// Keeps an extent away from some stores.
  ///
  /// - Returns: whether there are any.
  @discardableResult
  func exclude(from placement: inout SlotPlacement, where isUnfit: (StoreID) -> Bool) -> Bool {
    var isAny = false
    for index in 0..<end where isUnfit(StoreID(rawValue: UInt8(index))) {
      placement.exclude(StoreID(rawValue: UInt8(index)))
      isAny = true
    }
    return isAny
  }

  /// Whether every store zeroes a range without writing it.
  var allZeroFast: Bool {
    (0..<end).allSatisfy { index in
      unsafe !entries[index].isPresent.load(ordering: .acquiring)
        || entries[index].prepare.load(ordering: .relaxed) == PrepareMethod.zeroRange.rawValue
    }
  }

  /// Whether there is something to synchronize.
  var isAnyDirty: Bool {
    for index in 0..<end where isInUse(index) {
      if unsafe entries[index].isDirty.load(ordering: .sequentiallyConsistent)
        || entries[index].isSynchronizingLate.load(ordering: .sequentiallyConsistent)
      {
        return true
      }
    }
    return false
  }

  /// Calls `body` with each store that is dirty, after clearing its mark: its next synchronization begins.
  ///
  /// - Parameter skip: called with each store that nothing begins for, dirty or not: the last one is late, or
  ///   it is not the time to try again.
  func takeDirty(at now: UInt64, _ body: (StoreID) -> Void, skip: (StoreID) -> Void) {
    for index in 0..<end where isInUse(index) {
      let isLate = unsafe entries[index].isSynchronizingLate.load(ordering: .acquiring)
      let isBehind = unsafe entries[index].isBehind.load(ordering: .acquiring)
      if isLate || isBehind, unsafe isLate || now < entries[index].asksAgainAt.load(ordering: .relaxed) {
        skip(StoreID(rawValue: UInt8(index)))
        continue
      }
      if unsafe entries[index].isDirty.exchange(false, ordering: .sequentiallyConsistent) {
        unsafe entries[index].begun.add(1, ordering: .sequentiallyConsistent)
        body(StoreID(rawValue: UInt8(index)))
      }
    }
  }

  private func isInUse(_ index: Int) -> Bool {
    unsafe entries[index].isPresent.load(ordering: .acquiring)
      && !entries[index].hasFailed.load(ordering: .acquiring)
  }
}
