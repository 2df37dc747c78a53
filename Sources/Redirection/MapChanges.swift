public import ExtentMap
import Primitives
import Synchronization

/// Map changes that the catalog does not have yet.
///
/// A change alters the in-memory map and is appended here in one critical section, so the journal has
/// the changes of an extent in the order in which they happened. A flush *cuts* what is pending, makes
/// the data durable, and only then commits the cut: data before map (invariant 2). Slots that the cut
/// stopped referring to are given up only after the commit (invariant 3).
public final class MapChanges: Sendable {
  private struct Batch: Sendable {
    var deltas: [MapDelta] = []
    var views: [ExtentMapView] = []
    var retired: [RetiredSlot] = []

    var isEmpty: Bool { deltas.isEmpty }

    mutating func removeAll() {
      deltas.removeAll(keepingCapacity: true)
      views.removeAll(keepingCapacity: true)
      retired.removeAll(keepingCapacity: true)
    }
  }

  private struct State {
    var pending = Batch()
    var cut = Batch()
  }

  private let state = Mutex(State())

  /// From so many pending changes on a flush is started even if no client asks for one: it bounds the
  /// memory they take and the size of one commit.
  static let flushFrom = 1 << 14

  /// Lets an extent lie in a prepared slot from now on. The caller holds the extent's gate.
  func map(_ extent: UInt64, of view: ExtentMapView, to entry: MapEntry) {
    state.withLock { state in
      view.setAddress(extent, entry)
      state.pending.deltas.append(MapDelta(volume: view.volume, extent: extent, entry: entry))
      state.pending.views.append(view)
    }
  }

  /// Unmaps an extent.
  ///
  /// - Returns: false if its gate is closed, in which case nothing has changed.
  func unmap(_ extent: UInt64, of view: ExtentMapView) -> Bool {
    // Closing the gate ourselves keeps movers and allocations out for these few instructions.
    guard view.closeGate(extent) else { return false }
    let entry = view.entry(extent)
    guard entry.isMapped else {
      view.openGate(extent)
      return true
    }
    state.withLock { state in
      view.setAddress(extent, .unmapped)
      state.pending.deltas.append(MapDelta(volume: view.volume, extent: extent, entry: .unmapped))
      state.pending.views.append(view)
      state.pending.retired.append(
        RetiredSlot(store: entry.store, slot: entry.slot, slotBytes: view.extentBytes))
    }
    view.openGate(extent)
    return true
  }

  /// Whether nothing waits to be cut.
  var isEmpty: Bool {
    state.withLock { $0.pending.isEmpty }
  }

  /// Whether slots wait to be given up.
  var hasRetired: Bool {
    state.withLock { !$0.pending.retired.isEmpty || !$0.cut.retired.isEmpty }
  }

  /// Changes that wait to be cut.
  public var pendingCount: Int {
    state.withLock { $0.pending.deltas.count }
  }

  /// Sets everything pending aside for one commit.
  ///
  /// - Returns: whether there is anything to commit.
  func cut() -> Bool {
    state.withLock { state in
      precondition(state.cut.isEmpty, "one commit at a time")
      swap(&state.pending, &state.cut)
      return !state.cut.isEmpty
    }
  }

  /// The deltas of the cut, for whoever writes them to the catalog.
  public var cutDeltas: [MapDelta] {
    state.withLock { $0.cut.deltas }
  }

  /// The catalog has the cut. Hands over the slots that it gave up, if any: in one step, so that whoever
  /// looks for them finds them here or there.
  func committed(_ giveUp: ([RetiredSlot]) -> Void) {
    state.withLock { state in
      for (delta, view) in zip(state.cut.deltas, state.cut.views) {
        view.markCommitted(delta.extent, delta.entry)
      }
      if !state.cut.retired.isEmpty { giveUp(state.cut.retired) }
      state.cut.removeAll()
    }
  }

  #if FAULT_INJECTION
  /// Takes the slots that the cut gave up before their time.
  func takeRetired() -> [RetiredSlot] {
    state.withLock { state in
      defer { state.cut.retired.removeAll() }
      return state.cut.retired
    }
  }
  #endif

  /// The catalog does not have the cut: it goes back to the front of what is pending.
  func commitFailed() {
    state.withLock { state in
      state.cut.deltas.append(contentsOf: state.pending.deltas)
      state.cut.views.append(contentsOf: state.pending.views)
      state.cut.retired.append(contentsOf: state.pending.retired)
      swap(&state.pending, &state.cut)
      state.cut.removeAll()
    }
  }
}
