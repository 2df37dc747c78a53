public import ExtentMap
import Platform
import Primitives
import Synchronization

/// Changes of an extent's shadows. Like those of its live copy, each alters memory and is appended to what
/// waits for the catalog in one critical section.
extension MapChanges {
  /// What became of an extent that a write did not reach whole.
  enum WriteOutcome {
    /// The live copy has it; shadows that do not are known to lack it.
    case kept
    /// A shadow that has it is the live copy now, or has been since the write began. Not to be acknowledged
    /// before that is committed: the catalog may still have the one that lacks it.
    case promoted
    /// No copy that could be the live one has it.
    case lost
  }

  /// The catalog is to know that copies of the extent may differ (invariant 5), unless it is on its way
  /// already. The next flush tells it.
  func beginActivity(_ extent: UInt64, of view: ExtentMapView, _ line: ShadowLine) {
    state.withLock { beginActivity(extent, of: view, line, &$0) }
  }

  /// Likewise, for whoever has the changes at hand.
  func beginActivity(_ extent: UInt64, of view: ExtentMapView, _ line: ShadowLine, _ state: inout State) {
    guard !line.isActive, !line.isActivating else { return }
    activity.insert(ActivityLog.ActiveExtent(view: view, extent: extent))
    line.beginActivity()
    state.pending.append(extent, of: view, .activity, 1)
    Failpoint.activityBegun.pass()
  }

  /// The copies are equal again, or the catalog is told what they lack: then it need not suspect them. The
  /// caller holds the gate, and no writer is in flight.
  ///
  /// - Returns: false if a shadow is being filled; nothing has changed.
  func endActivity(_ extent: UInt64, of view: ExtentMapView, _ line: ShadowLine) -> Bool {
    state.withLock { state in
      for number in 0..<ShadowLine.shadowsMax where line.shadow(number).isFilling { return false }
      for number in 0..<ShadowLine.shadowsMax where line.shadow(number).exists {
        state.pending.append(extent, of: view, .missed(number), line.missed(number))
      }
      line.endActivity()
      state.pending.append(extent, of: view, .activity, 0)
      Failpoint.activityEnded.pass()
      return true
    }
  }

  /// Gives the extent a shadow that lacks everything and is being filled. The caller holds the gate, no
  /// writer is in flight, and the extent is active.
  func addShadow(
    _ number: Int, at address: MapEntry, _ line: ShadowLine, _ extent: UInt64, of view: ExtentMapView
  ) {
    state.withLock { state in
      line.setMissed(number, view.allParts)
      line.setShadow(number, ShadowEntry(rawValue: address.address.rawValue | ShadowEntry.filling))
      state.pending.append(extent, of: view, .shadow(number), address.rawValue)
      state.pending.append(extent, of: view, .missed(number), view.allParts)
      view.setShadowed(extent, true)
      Failpoint.shadowPlaced.pass()
    }
  }

  /// Parts that a shadow lacks are about to be copied to it: a write to them that ends from now on makes them
  /// lacking again. Decided together with where they are read from, because a write that has missed that copy
  /// says so of the shadow too, which must not be forgotten here.
  ///
  /// - Parameter choose: picks the copy to read, by the extent's entry; nil if none can be read.
  /// - Returns: that copy; nil if there is none, and nothing has changed.
  func takeMissed(
    _ parts: UInt64, _ number: Int, _ line: ShadowLine, _ extent: UInt64, of view: ExtentMapView,
    from choose: (MapEntry) -> MapEntry?
  ) -> MapEntry? {
    state.withLock { _ in
      let entry = view.entry(extent)
      guard entry.isMapped, let source = choose(entry) else { return nil }
      line.takeMissed(number, parts)
      return source
    }
  }

  /// A shadow is not being filled any more: if it lacks nothing, it is synced. The caller holds the gate, no
  /// writer is in flight, and what was copied is marked as not durable yet: the commit comes after it.
  func leaveFilling(_ number: Int, _ line: ShadowLine, _ extent: UInt64, of view: ExtentMapView) {
    state.withLock { state in
      let entry = line.shadow(number)
      guard entry.isFilling else { return }
      line.touch()
      line.setShadow(number, ShadowEntry(rawValue: entry.address.rawValue))
      state.pending.append(extent, of: view, .missed(number), line.missed(number))
      Failpoint.shadowFilled.pass()
    }
  }

  /// Drops a shadow. The caller holds the gate.
  func dropShadow(_ number: Int, _ line: ShadowLine, _ extent: UInt64, of view: ExtentMapView) {
    state.withLock { $0.dropShadow(number, line, extent, of: view) }
  }

  /// Makes a synced shadow the live copy and the live copy a synced shadow. The caller holds the gate, and no
  /// writer is in flight.
  ///
  /// - Returns: false if the shadow is not synced; nothing has changed.
  func exchange(_ number: Int, _ line: ShadowLine, _ extent: UInt64, of view: ExtentMapView) -> Bool {
    state.withLock { state in
      guard line.isSynced(number), !stores.isVolatile(line.shadow(number).address.store) else { return false }
      state.promote(number, line, extent, of: view, oldLacks: 0)
      return true
    }
  }

  /// The shadow that could be the live copy: synced, and in a store that outlives the process.
  func heir(_ line: ShadowLine, where suits: (MapEntry) -> Bool = { _ in true }) -> Int? {
    (0..<ShadowLine.shadowsMax).first { number in
      let address = line.shadow(number).address
      return line.isSynced(number) && !stores.isVolatile(address.store) && suits(address)
    }
  }

  /// Drops all shadows that lay in volatile stores when the process before this one ended. Nobody uses the
  /// map yet.
  public func dropVolatileShadows(of map: ExtentMap) {
    map.forEachShadow { extent, number, address in
      guard stores.isVolatile(address.store), let line = map.view.shadowLine(extent) else { return }
      dropShadow(number, line, extent, of: map.view)
    }
  }

  /// A write begins that is meant for some copies only: the shadows among the others lack it.
  func writeBegins(_ extent: UInt64, of view: ExtentMapView, reaching copies: CopySet, parts: UInt64) {
    state.withLock { state in
      let entry = view.entry(extent)
      guard entry.isMapped, let line = view.shadows(of: extent, entry) else { return }
      state.miss(parts, line, extent, of: view) { !copies.contains($0) }
    }
  }

  /// A write that did not reach all copies has ended: those that it did not reach lack it from now on.
  ///
  /// - Parameters:
  ///   - live: the live copy when it began.
  ///   - reached: the copies that have it.
  ///   - parts: what it covers.
  func writeEnded(
    _ extent: UInt64, of view: ExtentMapView, live: MapEntry, reached: CopySet, parts: UInt64
  ) -> WriteOutcome {
    state.withLock { state in
      let entry = view.entry(extent)
      guard entry.isMapped, let line = view.shadows(of: extent, entry) else { return .kept }
      return writeEnded(extent, of: view, entry, line, live: live, reached: reached, parts: parts, &state)
    }
  }

  /// A write goes on without copies that it has not reached in time, if the live one has it, or one that can
  /// take its place.
  ///
  /// - Parameters:
  ///   - live: the live copy when it began.
  ///   - reached: the copies that have it.
  ///   - parts: what it covers.
  ///   - leave: called if it does, before anybody can see what the others lack: nothing must be copied to a
  ///     store that is not known to be late.
  /// - Returns: whether it does; if not, nothing has changed.
  func leaveCopies(
    _ extent: UInt64, of view: ExtentMapView, live: MapEntry, reached: CopySet, parts: UInt64,
    _ leave: () -> Void
  ) -> Bool {
    state.withLock { state in
      let entry = view.entry(extent)
      guard entry.isMapped, let line = view.shadows(of: extent, entry),
        reached.contains(entry.address) || heir(line, where: reached.contains) != nil
      else { return false }
      leave()
      _ = writeEnded(extent, of: view, entry, line, live: live, reached: reached, parts: parts, &state)
      return true
    }
  }

  private func writeEnded(
    _ extent: UInt64, of view: ExtentMapView, _ entry: MapEntry, _ line: ShadowLine, live: MapEntry,
    reached: CopySet, parts: UInt64, _ state: inout State
  ) -> WriteOutcome {
    // While there are writers, only a trim takes a copy away. It went on at the same time, and whatever is
    // mapped here now has nothing to do with this write.
    let isHere =
      entry.address == live || (0..<ShadowLine.shadowsMax).contains { line.shadow($0).address == live }
    guard isHere else { return .kept }
    if reached.contains(entry.address) {
      state.miss(parts, line, extent, of: view) { !reached.contains($0) }
      return reached.contains(live) ? .kept : .promoted
    }
    let heir = heir(line) { reached.contains($0) }
    // Whatever the shadows have got of it, the live copy is the authority.
    state.miss(parts, line, extent, of: view) { heir == nil || !reached.contains($0) }
    guard let heir else { return .lost }
    state.promote(heir, line, extent, of: view, oldLacks: parts)
    return .promoted
  }

  /// A copy can not be read: if another can take its place, it lacks these parts from now on.
  func readFailed(_ extent: UInt64, of view: ExtentMapView, at address: MapEntry, parts: UInt64) {
    state.withLock { state in
      let entry = view.entry(extent)
      guard entry.isMapped, let line = view.shadows(of: extent, entry) else { return }
      guard entry.address == address else {
        return state.miss(parts, line, extent, of: view) { $0 == address }
      }
      guard let heir = heir(line) else { return }
      state.promote(heir, line, extent, of: view, oldLacks: parts)
    }
  }

  /// A store has lost what was written to it last, or is late with it: of an active extent, its copy there is
  /// worth nothing. Nor is what was copied from it meanwhile, if it is lost: it may have read as something
  /// older.
  func storeFailed(_ store: StoreID, _ extent: UInt64, of view: ExtentMapView) {
    state.withLock { state in
      let entry = view.entry(extent)
      guard entry.isMapped, let line = view.shadows(of: extent, entry) else { return }
      if stores.hasFailed(store), entry.store == store || line.number(in: store) != nil {
        for number in 0..<ShadowLine.shadowsMax where line.shadow(number).isFilling {
          line.addMissed(number, view.allParts)
        }
      }
      state.miss(view.allParts, line, extent, of: view) { $0.store == store }
      guard entry.store == store, let heir = heir(line) else {
        return
      }
      state.promote(heir, line, extent, of: view, oldLacks: view.allParts)
    }
  }

  /// Another copy makes good for what a store fails to make durable, as long as there is another. Of an
  /// active extent there may be none from now on: then the volume needs the store's next synchronization, if
  /// something has been written.
  ///
  /// That matters once a round does without the store; whoever has one do so looks at all active extents
  /// (`Redirector.dropCopies(in:)`). Before, the copy may be filled again, and nobody has to wait for the
  /// store.
  func guardLoneCopy(_ extent: UInt64, of view: ExtentMapView) {
    let entry = view.entry(extent)
    guard entry.isMapped, let line = view.shadows(of: extent, entry) else { return }
    if heir(line) != nil { return }
    // A write that has failed may have left something there as well.
    stores.markDirty(entry.store)
    if line.isAltered, stores.isDoneWithout(entry.store), !Canary.forgetsLoneCopies.isOut {
      stores.markDirty(entry.store, by: view.marks)
    }
  }

  /// Extents are to stay after all that were taken out of the activity log. Stores may have failed, or be
  /// done without, since then: whoever said so has not found them.
  public func remember(_ extents: [ActivityLog.ActiveExtent]) {
    for active in extents {
      // In this order: a store that fails from here on is told to all that are in the log.
      activity.insert(active)
      for store in stores.doneWithout { storeFailed(store, active.extent, of: active.view) }
      guardLoneCopy(active.extent, of: active.view)
    }
  }
}

extension MapChanges.State {
  mutating func miss(
    _ parts: UInt64, _ line: ShadowLine, _ extent: UInt64, of view: ExtentMapView,
    where lacks: (MapEntry) -> Bool
  ) {
    for number in 0..<ShadowLine.shadowsMax {
      let shadow = line.shadow(number)
      guard shadow.exists, lacks(shadow.address) else { continue }
      line.addMissed(number, parts)
      // Of an active extent the catalog suspects every shadow anyway.
      if !line.isActive { pending.append(extent, of: view, .missed(number), line.missed(number)) }
      Failpoint.shadowMissed.pass()
    }
  }

  mutating func promote(
    _ number: Int, _ line: ShadowLine, _ extent: UInt64, of view: ExtentMapView, oldLacks parts: UInt64
  ) {
    let old = view.entry(extent).address
    let new = line.shadow(number).address
    // Nobody must find the old copy among the shadows before it says what it lacks.
    line.setMissed(number, parts)
    view.setAddress(extent, new)
    line.setShadow(number, ShadowEntry(rawValue: old.rawValue))
    if Canary.forgetsPromotions.isOut { return }
    pending.append(extent, of: view, .live, new.rawValue)
    pending.append(extent, of: view, .shadow(number), old.rawValue)
    pending.append(extent, of: view, .missed(number), parts)
    Failpoint.copiesExchanged.pass()
  }

  mutating func dropShadow(
    _ number: Int, _ line: ShadowLine, _ extent: UInt64, of view: ExtentMapView
  ) {
    let shadow = line.shadow(number)
    guard shadow.exists else { return }
    // The mask stays: a reader that has just seen the shadow looks at it next.
    line.setShadow(number, .none)
    pending.append(extent, of: view, .shadow(number), 0)
    pending.append(extent, of: view, .missed(number), 0)
    pending.retire(shadow.address, of: view)
    Failpoint.shadowDropped.pass()
  }
}
