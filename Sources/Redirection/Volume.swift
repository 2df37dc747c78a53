public import ExtentMap
public import Primitives
import Synchronization

/// A volume that is being served.
public final class Volume: Sendable {
  /// Its number in the pool.
  public let id: VolumeID
  /// Its identity.
  public let uuid: UUID128
  /// What it is exported under.
  public let name: String
  /// Bytes of an extent.
  public let extentBytes: UInt64
  /// Whether clients may only read.
  public let isReadOnly: Bool
  /// Where its extents lie.
  public let map: ExtentMap
  private let size: Atomic<UInt64>
  private let deleted = Atomic<Bool>(false)
  private let wanted: Mutex<Redundancy>
  private let tierRules: Mutex<TierRules>
  private let heat = Mutex<HeatScores?>(nil)

  /// What clients have asked of the volume since the daemon started.
  public let traffic = Traffic()

  /// A volume with a loaded map.
  public init(_ record: VolumeRecord, map: ExtentMap) {
    id = record.id
    uuid = record.uuid
    name = record.name
    extentBytes = record.extentBytes
    isReadOnly = record.readOnly
    self.map = map
    size = Atomic(record.sizeBytes)
    wanted = Mutex(record.redundancy)
    tierRules = Mutex(record.tiers)
    tellWriters(record.redundancy)
    map.view.marks.tiers = record.tiers
  }

  /// What it wants to survive; it can change while clients are connected.
  public var redundancy: Redundancy {
    get { wanted.withLock { $0 } }
    set {
      wanted.withLock { $0 = newValue }
      tellWriters(newValue)
    }
  }

  /// On which tiers it belongs; it can change while clients are connected, and holds from then on.
  public var tiers: TierRules {
    get { tierRules.withLock { $0 } }
    set {
      tierRules.withLock { $0 = newValue }
      map.view.marks.tiers = newValue
    }
  }

  /// How volatile its extents are, as of the last look at them; nil: nobody looks. Held for no longer than it
  /// takes to copy two references.
  public var heatScores: HeatScores? {
    get { heat.withLock { $0 } }
    set { heat.withLock { $0 = newValue } }
  }

  private func tellWriters(_ wanted: Redundancy) {
    map.view.marks.protection = wanted.protection
    map.view.marks.copies = wanted.copies
    map.view.marks.across = wanted.across
    map.view.marks.failsAtOnce = wanted.errors == .fail
  }

  /// Requests beyond it are refused; it can grow while clients are connected.
  public var sizeBytes: UInt64 {
    get { size.load(ordering: .acquiring) }
    set { size.store(newValue, ordering: .releasing) }
  }

  /// Whether the pool has forgotten it, for good: tells a volume that is gone from one that is not on offer
  /// for a while, because it is being shrunk.
  public var isDeleted: Bool { deleted.load(ordering: .acquiring) }

  /// The pool has forgotten it.
  public func markDeleted() {
    deleted.store(true, ordering: .releasing)
  }
}
