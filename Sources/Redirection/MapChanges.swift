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
  struct Batch: Sendable {
    var deltas: [MapDelta] = []
    var views: [ExtentMapView] = []
    var retired: [RetiredSlot] = []
    /// Whose slots they were.
    var retiredBy: [VolumeID] = []

    var isEmpty: Bool { deltas.isEmpty }

    /// The word of an extent in a plane has changed.
    mutating func append(_ extent: UInt64, of view: ExtentMapView, _ plane: MapPlane, _ word: UInt64) {
      deltas.append(MapDelta(volume: view.volume, plane: plane, extent: extent, word: word))
      views.append(view)
      view.marks.changeBegan()
    }

    /// Nothing of the volume lies in a slot any more.
    mutating func retire(_ address: MapEntry, of view: ExtentMapView) {
      retired.append(RetiredSlot(store: address.store, slot: address.slot, slotBytes: view.extentBytes))
      retiredBy.append(view.volume)
    }

    mutating func append(contentsOf other: Batch) {
      deltas.append(contentsOf: other.deltas)
      views.append(contentsOf: other.views)
      retired.append(contentsOf: other.retired)
      retiredBy.append(contentsOf: other.retiredBy)
    }

    /// Takes the changes of some volumes out, in their order.
    ///
    /// - Parameters:
    ///   - volumes: whose; gains those that `joins` is true of.
    ///   - joins: whether a volume is one of them from this change of it on.
    mutating func extract(_ volumes: inout Set<VolumeID>, joins: (ExtentMapView) -> Bool) -> Batch {
      var (kept, taken) = (Batch(), Batch())
      for (delta, view) in zip(deltas, views) {
        if volumes.contains(view.volume) || joins(view) {
          volumes.insert(view.volume)
          taken.deltas.append(delta)
          taken.views.append(view)
        } else {
          kept.deltas.append(delta)
          kept.views.append(view)
        }
      }
      for (slot, volume) in zip(retired, retiredBy) {
        if volumes.contains(volume) {
          taken.retired.append(slot)
          taken.retiredBy.append(volume)
        } else {
          kept.retired.append(slot)
          kept.retiredBy.append(volume)
        }
      }
      self = kept
      return taken
    }

    /// Volumes of which some extent's last change is to live in such a store.
    func volumes(livingWhere isUnsafe: (StoreID) -> Bool) -> Set<VolumeID> {
      var homes: [MapDelta: StoreID] = [:]
      for delta in deltas where delta.plane == .live {
        var key = delta
        key.word = 0
        homes[key] = delta.entry.isMapped ? delta.entry.store : nil
      }
      return Set(homes.filter { isUnsafe($0.value) }.map(\.key.volume))
    }

    mutating func removeAll() {
      deltas.removeAll(keepingCapacity: true)
      views.removeAll(keepingCapacity: true)
      retired.removeAll(keepingCapacity: true)
      retiredBy.removeAll(keepingCapacity: true)
    }
  }

  struct State {
    var pending = Batch()
    var cut = Batch()

    func isFull(_ limit: Int) -> Bool { pending.deltas.count + cut.deltas.count >= limit }
  }

  enum Unmapping {
    case done
    /// The extent's gate is closed; nothing has changed.
    case gated
    /// Too many changes wait; nothing has changed.
    case full
  }

  let state = Mutex(State())

  /// From so many pending changes on a flush is started even if no client asks for one: it bounds the
  /// memory they take and the size of one commit.
  static let flushFrom = 1 << 14

  /// So many changes, those being committed included, may wait for the catalog: then nobody begins another
  /// (invariant 11). Requests that had begun before may add one each. About 100 bytes a change.
  public static let waitingMax = 1 << 17

  let limit: Int
  let stores: StoreTable
  /// Extents of which copies may differ.
  public let activity = ActivityLog()

  /// Nothing has changed.
  init(limit: Int = MapChanges.waitingMax, stores: StoreTable = StoreTable()) {
    self.limit = limit
    self.stores = stores
  }

  /// Whether as many changes wait for the catalog as may.
  var isFull: Bool {
    state.withLock { $0.isFull(limit) }
  }

  /// Lets an extent lie in a prepared slot from now on. The caller holds the extent's gate, and began when
  /// there was room for the change.
  func map(_ extent: UInt64, of view: ExtentMapView, to entry: MapEntry) {
    state.withLock { state in
      view.setAddress(extent, entry)
      state.pending.append(extent, of: view, .live, entry.rawValue)
    }
  }

  /// Lets an extent lie in prepared slots from now on: the first is for the live copy, the others for
  /// shadows. Copies may differ from here on, and the catalog learns of both at once: should it not, the
  /// extent is not there. The caller holds the extent's gate, and began when there was room for the change.
  func map(_ extent: UInt64, of view: ExtentMapView, to copies: CopySet, _ line: ShadowLine) {
    state.withLock { state in
      for number in 0..<copies.count - 1 {
        let address = copies[number + 1].address
        line.setMissed(number, 0)
        line.setShadow(number, ShadowEntry(rawValue: address.rawValue))
        state.pending.append(extent, of: view, .shadow(number), address.rawValue)
        state.pending.append(extent, of: view, .missed(number), 0)
      }
      beginActivity(extent, of: view, line, &state)
      line.countAsActive()
      view.setShadowed(extent, true)
      view.setAddress(extent, copies[0])
      state.pending.append(extent, of: view, .live, copies[0].address.rawValue)
    }
  }

  /// Unmaps an extent, its shadows with it.
  func unmap(_ extent: UInt64, of view: ExtentMapView) -> Unmapping {
    // Closing the gate ourselves keeps movers and allocations out for these few instructions.
    guard view.closeGate(extent) else { return .gated }
    defer { view.openGate(extent) }
    let entry = view.entry(extent)
    guard entry.isMapped else { return .done }
    return state.withLock { state in
      if state.isFull(limit) { return .full }
      state.dropSeal(extent, of: view)
      view.setAddress(extent, .unmapped)
      state.pending.append(extent, of: view, .live, 0)
      state.pending.retire(entry, of: view)
      if let line = view.shadows(of: extent, entry) {
        for number in 0..<ShadowLine.shadowsMax { state.dropShadow(number, line, extent, of: view) }
      }
      return .done
    }
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

  /// Takes the changes of some volumes out of the cut: the catalog never gets them.
  ///
  /// What they say of slots stays true until the catalog is loaded again. It still refers to slots that
  /// these changes gave up, so those are not free; and slots that they map are in use.
  ///
  /// - Returns: whether there is anything left to commit, and whether anything was dropped.
  func dropFromCut(where isLost: (ExtentMapView) -> Bool) -> (isAnyLeft: Bool, hasDropped: Bool) {
    state.withLock { state in
      var lost: Set<VolumeID> = []
      let dropped = state.cut.extract(&lost, joins: isLost)
      for view in dropped.views { view.marks.changeEnded() }
      return (!state.cut.isEmpty, !lost.isEmpty)
    }
  }

  /// Takes the changes of some volumes out of the cut and back to what is pending: their data is not durable
  /// yet.
  ///
  /// - Parameters:
  ///   - isEarly: whether a volume's writes wait for a store.
  ///   - isUnsafe: whether what a store was written last is not durable. An extent that has come to live
  ///     there has been, or will be, given to another copy, and both changes are committed together.
  /// - Returns: whether there is anything left to commit, and the volumes whose changes are not in it.
  func putBackFromCut(
    where isEarly: (ExtentMapView) -> Bool, unsafe isUnsafe: (StoreID) -> Bool
  ) -> (isAnyLeft: Bool, volumes: Set<VolumeID>) {
    state.withLock { state in
      var volumes = state.cut.volumes(livingWhere: isUnsafe)
      var early = state.cut.extract(&volumes, joins: isEarly)
      if !volumes.isEmpty {
        early.append(contentsOf: state.pending)
        state.pending = early
      }
      return (!state.cut.isEmpty, volumes)
    }
  }

  /// The deltas of the cut, for whoever writes them to the catalog.
  public var cutDeltas: [MapDelta] {
    state.withLock { $0.cut.deltas }
  }

  /// The catalog has the cut. Hands over the slots that it gave up, if any: in one step, so that whoever
  /// looks for them finds them here or there.
  ///
  /// - Returns: whether there was no room for more changes, and somebody may be waiting for it.
  func committed(_ giveUp: ([RetiredSlot]) -> Void) -> Bool {
    state.withLock { state in
      let wasFull = state.isFull(limit)
      for (delta, view) in zip(state.cut.deltas, state.cut.views) {
        if delta.plane == .live { view.markCommitted(delta.extent, delta.entry) }
        if delta.plane == .activity, delta.word == 1 { view.shadowLine(delta.extent)?.becomeActive() }
        if delta.plane == .seal { state.sealCommitted(delta.extent, of: view) }
        view.marks.changeEnded()
      }
      if !state.cut.retired.isEmpty { giveUp(state.cut.retired) }
      state.cut.removeAll()
      return wasFull
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
      state.cut.append(contentsOf: state.pending)
      swap(&state.pending, &state.cut)
      state.cut.removeAll()
    }
  }
}
