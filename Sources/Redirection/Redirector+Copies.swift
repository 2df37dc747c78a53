import ExtentMap
import NBDWire
import Platform
import Primitives

/// Writes to extents with shadows.
///
/// Each goes to all synced copies. It holds a lock on its blocks until all of them have it, so writes that
/// overlap reach every copy in the same order (invariant 4). The first one since the extent came to rest
/// waits until the catalog knows that the copies may differ (invariant 5). A copy that it does not reach
/// lacks it from then on, and is neither read there nor written to until it has been filled again (invariant
/// 6). If that was the live copy, a shadow takes its place, and the write is acknowledged once the catalog
/// has that.
extension Redirector {
  /// Starts a part in an extent with shadows, on which the operation is counted as a writer.
  func tryCopies(_ index: UInt32, _ extent: UInt64, _ entry: MapEntry, _ line: ShadowLine) {
    let op = unsafe operation(index)
    let view = unsafe op.pointee.view
    if line.hasShadows && !line.isActive {
      unpin(index, extent)
      activate(index, extent, line)
      return
    }
    line.touch()
    let part = unsafe PartGeometry(start: op.pointee.cursor, length: op.pointee.partLength)
    guard shared.ranges.tryLock(extent, of: view, blocks: part.blocks) else {
      unpin(index, extent)
      park(index)
      return
    }
    unsafe op.pointee.holdsRange = true
    chooseCopies(index, entry, line)
    if view.entry(extent).address != entry.address {
      // Another write has had a shadow take over just now: what was seen of the copies does not fit together.
      beginAgain(index, extent)
      return
    }
    guard unsafe op.pointee.copies.count > 0 else {
      // Nothing that can be written is equal to the live copy.
      unsafe op.pointee.error = .io
      unlockRange(index, extent)
      unpin(index, extent)
      finishPiece(index)
      return
    }
    let isDurable = unsafe op.pointee.flags.contains(.durable) && op.pointee.kind == .write
    unsafe op.pointee.isSelfDurable =
      isDurable && !entry.isUncommitted && op.pointee.copies.contains(entry.address)
    if part.hasEdges { readEdges(index, part) } else { transfer(index, part) }
  }

  /// Which copies are written: the live one and the shadows that are equal to it.
  private func chooseCopies(_ index: UInt32, _ entry: MapEntry, _ line: ShadowLine) {
    let op = unsafe operation(index)
    var copies = CopySet()
    var (isLeftOut, isSyncedLeftOut) = (false, false)
    if isAvoidedAsLive(entry.store),
      shared.stores.hasFailed(entry.store)
        || shared.changes.heir(line, where: { !isAvoidedAsLive($0.store) }) != nil
    {
      isLeftOut = true
    } else {
      // Slow is better than not at all.
      copies.insert(entry.address)
    }
    let mirrors = unsafe op.pointee.view.marks.protection == .sync
    for number in 0..<ShadowLine.shadowsMax {
      let shadow = line.shadow(number)
      guard shadow.exists else { continue }
      // Without a live copy that can be written, a shadow has to do for it, whatever the policy.
      if mirrors || copies.count == 0, line.isSynced(number), !isAvoided(shadow.address.store) {
        copies.insert(shadow.address)
      } else {
        isLeftOut = true
        if line.isSynced(number) { isSyncedLeftOut = true }
      }
    }
    unsafe op.pointee.live = entry.address
    unsafe op.pointee.copies = copies
    unsafe op.pointee.tried = copies
    unsafe op.pointee.skipsCopies = isLeftOut
    if isSyncedLeftOut {
      // Before it begins: nobody must have the shadow take over meanwhile.
      let view = unsafe op.pointee.view
      let extent = unsafe op.pointee.cursor >> UInt64(view.extentShift)
      shared.changes.writeBegins(extent, of: view, reaching: copies, parts: parts(of: index))
    }
    if copies.count > 0 { choose(copies[0], for: index) }
  }

  /// Whether a store is written to only where there is no other: it has failed, is away or sat out, or has
  /// been too slow for a while and still has not done what it was asked for.
  private func isAvoided(_ store: StoreID) -> Bool {
    shared.stores.hasFailed(store) || shared.stores.isAway(store) || shared.stores.isSatOut(store)
      || shared.stores.isStuck(store, at: now)
  }

  /// Whether a store had better not hold the live copy of what is written now: rounds do without it, so after
  /// a crash the copy that the others would be filled from may lack what flushes have promised.
  private func isAvoidedAsLive(_ store: StoreID) -> Bool {
    isAvoided(store) || shared.stores.isDoneWithout(store)
  }

  /// The copy that a single directive of the operation is for.
  func choose(_ copy: MapEntry, for index: UInt32) {
    let op = unsafe operation(index)
    unsafe op.pointee.copy = copy.address
    unsafe op.pointee.store = copy.store
    unsafe op.pointee.slotOffset = slotOffset(of: copy, op.pointee.view)
  }

  /// Calls `body` with the store and the slot's offset of every copy that the operation writes: of an extent
  /// without shadows the only one.
  func forEachCopy(_ index: UInt32, _ body: (StoreID, UInt64) -> Void) {
    let op = unsafe operation(index)
    let copies = unsafe op.pointee.copies
    if copies.count == 0 {
      unsafe body(op.pointee.store, op.pointee.slotOffset)
      return
    }
    for number in 0..<copies.count {
      unsafe body(copies[number].store, slotOffset(of: copies[number], op.pointee.view))
    }
  }

  /// A copy can not be written; the operation goes on with the others.
  ///
  /// - Returns: false if there is none, or it has to begin again in another way.
  func leaveCopy(_ index: UInt32, in store: StoreID, _ result: Int32) -> Bool {
    let op = unsafe operation(index)
    guard unsafe op.pointee.copies.count > 0, unsafe op.pointee.step == .transferring,
      unsafe op.pointee.kind == .write || op.pointee.kind == .zero && result != -StoreErrno.notSupported
    else { return false }
    unsafe op.pointee.copies.remove(in: store)
    unsafe op.pointee.skipsCopies = true
    return unsafe op.pointee.copies.count > 0
  }

  // MARK: The end of a write

  /// All directives of a write to an extent with shadows have ended.
  ///
  /// - Returns: false if it has to be tried again: the copies that it reached are worth nothing now, and
  ///   there is one that it has not tried.
  func finishCopies(_ index: UInt32, _ extent: UInt64) -> Bool {
    let op = unsafe operation(index)
    let view = unsafe op.pointee.view
    // A store may have failed meanwhile, and whoever said so may have been here before.
    for number in (0..<(unsafe op.pointee.copies.count)).reversed() {
      let store = unsafe op.pointee.copies[number].store
      guard shared.stores.hasFailed(store) else { continue }
      unsafe op.pointee.copies.remove(in: store)
      unsafe op.pointee.skipsCopies = true
    }
    let copies = unsafe op.pointee.copies
    for number in 0..<copies.count where unsafe !op.pointee.isSelfDurable {
      shared.stores.markDirty(copies[number].store)
    }
    if unsafe op.pointee.skipsCopies {
      let live = unsafe op.pointee.live
      switch shared.changes.writeEnded(
        extent, of: view, live: live, reached: copies, parts: parts(of: index))
      {
      case .kept: break
      case .promoted:
        unsafe op.pointee.isSelfDurable = false
        unsafe op.pointee.flags.insert(.needsFlush)
      case .lost:
        if isWorthAnotherTry(index, extent) { return false }
        if unsafe op.pointee.result == 0 { unsafe op.pointee.result = -StoreErrno.io }
      }
      // Whatever a trim has made of the extent meanwhile: it was written nowhere.
      if copies.count == 0, unsafe op.pointee.result == 0 { unsafe op.pointee.result = -StoreErrno.io }
      shared.changes.guardLoneCopy(extent, of: view)
    } else if copies.count == 1, unsafe !op.pointee.isSelfDurable {
      shared.stores.markDirty(copies[0].store, by: view.marks)
    }
    if unsafe op.pointee.flags.contains(.durable) && !op.pointee.isSelfDurable {
      unsafe op.pointee.flags.insert(.needsFlush)
    }
    return true
  }

  /// Whether a write that no copy has kept was not sent to what is the live copy now: that was left out for
  /// being slow, or another was then.
  private func isWorthAnotherTry(_ index: UInt32, _ extent: UInt64) -> Bool {
    let op = unsafe operation(index)
    let entry = unsafe op.pointee.view.entry(extent)
    // With writes under way that nobody waits for, it could not be told whose end is whose.
    return unsafe !op.pointee.tried.contains(entry.address) && op.pointee.late.count == 0
      && entry.isMapped && !shared.stores.hasFailed(entry.store)
  }

  /// A copy can not be read: it is filled again from another, if there is one.
  func noteUnreadable(_ index: UInt32, _ extent: UInt64, _ copy: MapEntry) {
    let op = unsafe operation(index)
    let view = unsafe op.pointee.view
    shared.changes.readFailed(extent, of: view, at: copy, parts: parts(of: index))
    shared.changes.guardLoneCopy(extent, of: view)
  }

  /// The parts of the extent that the operation works on: what a copy lacks without it.
  func parts(of index: UInt32) -> UInt64 {
    let op = unsafe operation(index)
    let start = unsafe op.pointee.cursor
    return unsafe op.pointee.view.parts(from: start, to: start + op.pointee.partLength)
  }

  // MARK: Activity

  /// Has the catalog know that copies of the extent may differ; then the operation tries again.
  func activate(_ index: UInt32, _ extent: UInt64, _ line: ShadowLine) {
    let op = unsafe operation(index)
    let view = unsafe op.pointee.view
    // Looked at first: room that there is after this is noticed.
    let spaceChanges = shared.reclaimer.spaceChanges
    if shared.changes.isFull {
      if !waitForChanges(index, since: spaceChanges) { finishPiece(index) }
      return
    }
    shared.changes.beginActivity(extent, of: view, line)
    if Canary.writesBeforeActivity.isOut {
      line.becomeActive()
      unsafe op.pointee.kind == .move ? tryMove(index) : tryPart(index)
      return
    }
    unsafe op.pointee.step = .activating
    wait(forFlush: index)
  }

  /// The flush that tells the catalog has ended.
  func endActivation(_ index: UInt32, _ error: NBDErrno?) {
    let op = unsafe operation(index)
    if let error {
      unsafe op.pointee.error = error
      finishPiece(index)
    } else {
      // Not at once: whoever ends flushes holds locks.
      park(index)
    }
  }

  /// Takes the extents that have come to rest out of the activity log: what their shadows lack is told to the
  /// catalog, which need not suspect them any more. Every second or so.
  ///
  /// - Parameter all: does not wait for a flush. Everything is durable, and nobody writes any more.
  public func sweepActivity(all: Bool = false) {
    guard shared.changes.activity.count > 0, all || !shared.changes.isFull else { return }
    if all && shared.stores.isAnyLateOrBehind { return }
    let ended = shared.flushes.rounds.ended
    let isClean = shared.flushes.isClean
    shared.changes.activity.sweep(all: all) { active in
      guard let line = active.view.shadowLine(active.extent), line.isActive || line.isActivating else {
        return true
      }
      if line.isActivating { return false }
      if line.takeTouched() { active.quietSince = nil }
      if active.view.entry(active.extent).writers > 0 {
        // Rounds that begin before it ends are not about it.
        active.quietSince = nil
        return false
      }
      if !all {
        guard let quiet = active.quietSince else {
          // Not as it was before the sweep: what was written since is in no round that had begun by now.
          active.quietSince = shared.flushes.rounds.begun
          return false
        }
        // What the copies were written last is durable once a round has ended that began after it, or if
        // there was nothing left for another round.
        guard ended > quiet || isClean else { return false }
      }
      return endActivity(active, line)
    }
  }

  private func endActivity(_ active: ActivityLog.ActiveExtent, _ line: ShadowLine) -> Bool {
    let (view, extent) = (active.view, active.extent)
    guard view.closeGate(extent) else { return false }
    defer {
      view.openGate(extent)
      released()
    }
    guard view.entry(extent).writers == 0, !line.isTouched, shared.changes.endActivity(extent, of: view, line)
    else { return false }
    // Writers that know of no shadow take no locks: nobody is in between now.
    if !line.hasShadows { view.setShadowed(extent, false) }
    return true
  }

  /// A store has failed: what was written to it last may be lost. The extents in question are those in the
  /// activity log.
  func dropCopies(in store: StoreID) {
    shared.changes.activity.forEach { active in
      shared.changes.storeFailed(store, active.extent, of: active.view)
      shared.changes.guardLoneCopy(active.extent, of: active.view)
    }
  }
}
