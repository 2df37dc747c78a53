#if FAULT_INJECTION
import Synchronization
#endif

/// Deliberate bugs in the real code, at most one of which is let out at a time. They prove that the simulator
/// finds bugs of their kind; each is one line at its site.
///
/// They exist in debug builds only: in a release build `isOut` is the constant false, and the site is gone.
public enum Canary: UInt8, CaseIterable, Sendable {
  /// The map is committed although the stores were not synchronized before.
  case commitsWithoutSynchronizing = 1
  /// Slots that a trim gave up are freed before the catalog has forgotten them.
  case freesSlotsBeforeCommit
  /// A write is answered, and its buffer released, when it has been handed to the store.
  case answersBeforeCompletion
  /// A map page is believed whatever its checksum says.
  case trustsDamagedPages
  /// Writes to the same block do not wait for each other's read-modify-write.
  case dropsRangeLocks
  /// A flush does nothing if its own reactor has written nothing since the last one.
  case flushesOwnReactorOnly
  /// A fresh slot is reserved but not zeroed.
  case reusesSlotsUnzeroed
  /// A trim or zero that ends one block before the end of an extent takes the whole extent.
  case missesExtentEdge
  /// A write does not mark its store as dirty.
  case forgetsDirtyMarks
  /// A durable write goes to the store like any other.
  case ignoresForceUnitAccess
  /// A durable write to an extent that the catalog does not know yet starts no commit.
  case forgetsUncommittedExtents
  /// A slot is reused while operations that took its address are in flight.
  case skipsGracePeriods
  /// The slots of a volume that was deleted or cut are reused while a store has late writes to do there.
  case reusesDroppedSlotsAtOnce
  /// A store that could not be synchronized is asked again, and believed.
  case forgetsFailedSynchronization
  /// A commit that failed is taken for one that did not.
  case forgetsFailedCommits
  /// The catalog's commits are not synchronized.
  case commitsWithoutSyncingCatalog
  /// A shadow is read although it lacks what is asked for.
  case readsStaleShadows
  /// Writes to an extent with shadows do not wait for those that they overlap.
  case mirrorsInAnyOrder
  /// An extent is written to before the catalog knows that its copies may differ.
  case writesBeforeActivity
  /// A shadow takes over, and the catalog is not told.
  case forgetsPromotions
  /// A move ends without what was written while it went on.
  case forgetsLastPass
  /// Changes are committed although the round has not asked the store that their data is in, because its last
  /// synchronization was late.
  case forgetsSkippedStores
  /// A volume does not wait for the store that alone has what it wrote.
  case forgetsLoneCopies
  /// After a crash, an extent whose copies may differ is believed to be equal.
  case trustsActiveExtents
  /// A write opens a sealed extent, and the catalog keeps its seal.
  case keepsSealAcrossWrites
  /// A write opens a sealed extent before the catalog has forgotten the seal.
  case writesBeforeUnsealing
  /// An extent is sealed although somebody has written to it while it was read.
  case sealsWhatHasChanged

  /// The canary of that name; nil if there is none.
  public init?(name: String) {
    guard let canary = Self.allCases.first(where: { "\($0)" == name }) else { return nil }
    self = canary
  }

  /// Whether this bug has been let out.
  @inlinable public var isOut: Bool {
    #if FAULT_INJECTION
    return Self.number == rawValue
    #else
    return false
    #endif
  }

  #if FAULT_INJECTION
  private static let current = Atomic<UInt8>(0)

  @usableFromInline static var number: UInt8 { current.load(ordering: .relaxed) }

  /// Lets a bug out in the whole process, or puts it back with nil.
  public static func letOut(_ canary: Canary?) {
    current.store(canary?.rawValue ?? 0, ordering: .relaxed)
  }
  #endif
}
