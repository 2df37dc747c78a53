public import ExtentMap
public import Primitives
import Synchronization

/// The extents of which the catalog knows, or is about to, that their copies may differ (invariant 5).
///
/// The first write to an extent with shadows waits until the catalog knows it; those that follow cost
/// nothing. Extents that have come to rest are taken out again. After a crash exactly those that the catalog
/// knows of are made equal again; so their number is also the work that a crash leaves.
public final class ActivityLog: Sendable {
  /// An extent by its map.
  public struct ActiveExtent: Sendable {
    var view: ExtentMapView
    var extent: UInt64
    /// The flush round that had begun last when nobody wrote to it any more; nil while somebody does.
    var quietSince: UInt64?

    /// An extent of a map.
    public init(view: ExtentMapView, extent: UInt64) {
      self.view = view
      self.extent = extent
    }
  }

  private let extents = Mutex<[ActiveExtent]>([])
  /// Held by whoever works on the list's extents: no volume goes meanwhile. Taken before all other locks.
  private let work = Mutex(())

  /// Extents that one sweep looks at: bounds how long a reactor is busy with it.
  private static let extentsPerSweep = 2048

  init() {}

  /// Extents in the log.
  public var count: Int { extents.withLock { $0.count } }

  /// Copies of this extent may differ.
  public func insert(_ extent: ActiveExtent) {
    extents.withLock { $0.append(extent) }
  }

  /// Copies of these extents may differ, as the catalog had it at the start.
  public func insert(_ numbers: [UInt64], of view: ExtentMapView) {
    let loaded = numbers.map { ActiveExtent(view: view, extent: $0) }
    extents.withLock { $0.append(contentsOf: loaded) }
  }

  /// Extents of a volume are about to go, and the catalog's record of their activity with them. Nobody uses
  /// them.
  ///
  /// - Parameter first: these and all behind.
  /// - Returns: what was forgotten, to be inserted again if they stay after all.
  public func forget(_ volume: VolumeID, from first: UInt64 = 0) -> [ActiveExtent] {
    work.withLock { _ in
      extents.withLock { list in
        let isGoing = { (active: ActiveExtent) in active.view.volume == volume && active.extent >= first }
        let forgotten = list.filter(isGoing)
        list.removeAll(where: isGoing)
        return forgotten
      }
    }
  }

  /// Calls `body` with every extent of the log.
  func forEach(_ body: (ActiveExtent) -> Void) {
    work.withLock { _ in extents.withLock { $0 }.forEach(body) }
  }

  /// Looks at the extents that have been in the log longest.
  ///
  /// - Parameters:
  ///   - all: looks at all of them.
  ///   - hasEnded: ends the activity of an extent if it is at rest, and says so.
  func sweep(all: Bool, _ hasEnded: (inout ActiveExtent) -> Bool) {
    work.withLock { _ in
      let oldest = extents.withLock { all ? $0[...] : $0.prefix(Self.extentsPerSweep) }
      var kept: [ActiveExtent] = []
      for var active in oldest where !hasEnded(&active) { kept.append(active) }
      // Others have appended meanwhile, and nobody has removed anything.
      extents.withLock { list in
        list.removeFirst(oldest.count)
        list.append(contentsOf: kept)
      }
    }
  }
}
