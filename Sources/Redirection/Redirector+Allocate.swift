import ExtentMap
import NBDWire
import Platform
import Primitives

/// The first write to an unmapped extent: take a slot, make it read as zeros, map the extent to it.
///
/// The extent's gate is closed meanwhile, so that exactly one operation does this; others park. Readers
/// go on seeing zeros. A slot is prepared before it is mapped even if it is about to be overwritten:
/// a crash may leave any part of that write undone, and the slot may hold another volume's data.
extension Redirector {
  func beginAllocation(_ index: UInt32, _ extent: UInt64) {
    let op = unsafe operation(index)
    let view = unsafe op.pointee.view
    guard view.closeGate(extent) else {
      park(index)
      return
    }
    if view.entry(extent).isMapped {
      // Somebody was faster.
      view.openGate(extent)
      released()
      tryPart(index)
      return
    }
    if shared.stores.hasLostWrites(of: view.marks) {
      // The catalog takes no more changes of this volume.
      view.openGate(extent)
      released()
      unsafe op.pointee.error = .io
      finishPiece(index)
      return
    }
    // Looked at first: room that there is after this is noticed.
    let spaceChanges = shared.reclaimer.spaceChanges
    if shared.changes.isFull {
      view.openGate(extent)
      released()
      if !waitForChanges(index, since: spaceChanges) { finishPiece(index) }
      return
    }
    unsafe op.pointee.placement = SlotPlacement()
    if unsafe op.pointee.latePreparation.isMapped {
      // What it is asked for next could not be told from what it still has to do.
      unsafe op.pointee.placement.exclude(op.pointee.latePreparation.store)
    }
    unsafe op.pointee.copies = CopySet()
    unsafe op.pointee.result = 0
    let stores = shared.stores
    let isAnyFailed =
      unsafe stores.isAnyFailed && stores.exclude(from: &op.pointee.placement, where: stores.hasFailed)
    unsafe op.pointee.placementFailure = isAnyFailed ? -StoreErrno.io : 0
    placeExtent(index, extent)
  }

  private func placeExtent(_ index: UInt32, _ extent: UInt64) {
    let op = unsafe operation(index)
    let view = unsafe op.pointee.view
    // Looked at first: slots that come back after this are noticed, whether or not they are got.
    let spaceChanges = shared.reclaimer.spaceChanges
    let isSpaceComing = isSpaceComing()
    if takeSlot(index) {
      Failpoint.slotTaken.pass()
      beginPreparation(index)
      return
    }
    view.openGate(extent)
    released()
    if unsafe isSpaceComing || op.pointee.latePreparation.isMapped {
      // Slots that a trim freed, or that a late store has, are on their way back: wait for them rather than
      // fail.
      waitForSpace(index, since: spaceChanges)
      flushInBackground()
      return
    }
    let failure = unsafe op.pointee.placementFailure == 0 ? -StoreErrno.noSpace : op.pointee.placementFailure
    unsafe op.pointee.error = StoreErrno.wire(-failure)
    shared.faults.note(.place, volume: view.volume, errno: -failure)
    finishPiece(index)
  }

  /// A store that can not be reached now is waited for only if no other has room.
  private func takeSlot(_ index: UInt32) -> Bool {
    let op = unsafe operation(index)
    let bytes = unsafe op.pointee.view.extentBytes
    let rules = unsafe op.pointee.view.marks.tiers
    var sparing = unsafe op.pointee.placement
    if shared.stores.exclude(from: &sparing, where: shared.stores.isAway),
      shared.placement.allocate(slotBytes: bytes, by: rules, &sparing)
    {
      unsafe op.pointee.placement.store = sparing.store
      unsafe op.pointee.placement.slot = sparing.slot
      return true
    }
    return unsafe shared.placement.allocate(slotBytes: bytes, by: rules, &op.pointee.placement)
  }

  /// Whether slots will be freed for certain. In the order of their way: none is missed as it moves on.
  private func isSpaceComing() -> Bool {
    // While commits fail no slot is given up; the client hears of it rather than wait for ever.
    (shared.changes.hasRetired && shared.flushes.lastCommitError == nil) || shared.reclaimer.pendingCount > 0
  }

  private func beginPreparation(_ index: UInt32) {
    let op = unsafe operation(index)
    let slot = unsafe op.pointee.placement.address
    unsafe op.pointee.step = .preparing
    unsafe op.pointee.progress = 0
    unsafe op.pointee.store = slot.store
    unsafe op.pointee.slotOffset = slotOffset(of: slot, op.pointee.view)
    unsafe op.pointee.prepare = shared.stores.prepareMethod(of: slot.store)
    prepareSlot(index)
  }

  private func prepareSlot(_ index: UInt32) {
    let op = unsafe operation(index)
    watchPreparation(index)
    let length = unsafe op.pointee.view.extentBytes
    let offset = unsafe op.pointee.slotOffset
    let done = unsafe op.pointee.progress
    switch unsafe op.pointee.prepare {
    case .zeroRange:
      let kind: Directive.Kind = Canary.reusesSlotsUnzeroed.isOut ? .reserve : .zero
      unsafe emit(kind, for: index, length: length, offset: offset)
    case .punchAndReserve:
      unsafe emit(done == 0 ? .punch : .reserve, for: index, length: length, offset: offset)
    case .writeZeros:
      let count = min(Self.zerosBytes, length - done)
      unsafe emit(.write, for: index, length: count, offset: offset + done, buffer: zeros.base)
    }
  }

  func advancePreparation(_ index: UInt32) {
    let op = unsafe operation(index)
    let view = unsafe op.pointee.view
    let extent = unsafe op.pointee.cursor >> UInt64(view.extentShift)
    if unsafe op.pointee.result == 0 && shared.stores.hasFailed(op.pointee.store) {
      unsafe op.pointee.result = -StoreErrno.io
    }
    if unsafe op.pointee.result != 0 {
      preparationFailed(index, extent)
      return
    }
    switch unsafe op.pointee.prepare {
    case .zeroRange: unsafe op.pointee.progress = view.extentBytes
    case .punchAndReserve: unsafe op.pointee.progress += view.extentBytes / 2
    case .writeZeros: unsafe op.pointee.progress += Self.zerosBytes
    }
    if unsafe op.pointee.progress < view.extentBytes {
      Failpoint.slotPreparing.pass()
      prepareSlot(index)
      return
    }
    unsafe shared.stores.markDirty(op.pointee.store)
    unsafe op.pointee.copies.insert(op.pointee.placement.address)
    Failpoint.slotPrepared.pass()
    prepareNextOrMap(index, extent)
  }

  // MARK: Shadows of a new extent

  /// Has the next copy that the volume wants prepared, or maps the extent to those that there are.
  private func prepareNextOrMap(_ index: UInt32, _ extent: UInt64) {
    let op = unsafe operation(index)
    let (view, copies) = unsafe (op.pointee.view, op.pointee.copies)
    // One late preparation is enough: shadows can be made later.
    if copies.count < min(view.marks.copies, CopySet.countMax), view.marks.protection != .none,
      unsafe !op.pointee.latePreparation.isMapped
    {
      unsafe shared.stores.exclude(from: &op.pointee.placement, where: isUnfitForShadow)
      if unsafe shared.placement.allocate(
        beside: copies, across: view.marks.across, never: view.marks.tiers.never,
        slotBytes: view.extentBytes, &op.pointee.placement)
      {
        beginPreparation(index)
        return
      }
    }
    mapPrepared(index, extent)
  }

  private func mapPrepared(_ index: UInt32, _ extent: UInt64) {
    let op = unsafe operation(index)
    let view = unsafe op.pointee.view
    let copies = unsafe op.pointee.copies
    unsafe op.pointee.copies = CopySet()
    if copies.count > 1, let line = try? view.makeShadowLine(extent) {
      shared.changes.map(extent, of: view, to: copies, line)
      // Whoever said meanwhile that a store has failed, or is late, may have been here before.
      for number in 0..<copies.count where isUnfit(copies[number].store) {
        shared.changes.storeFailed(copies[number].store, extent, of: view)
      }
      shared.changes.guardLoneCopy(extent, of: view)
    } else {
      for number in 1..<max(copies.count, 1) { giveBack(copies[number], view) }
      shared.stores.markDirty(copies[0].store, by: view.marks)
      shared.changes.map(extent, of: view, to: copies[0])
    }
    if copies.count < view.marks.copies { shared.fresh.note(extent, of: view.volume) }
    Failpoint.extentMapped.pass()
    view.openGate(extent)
    released()
    if shared.changes.pendingCount >= MapChanges.flushFrom { flushInBackground() }
    tryPart(index)
  }

  private func isUnfitForShadow(_ store: StoreID) -> Bool {
    isUnfit(store) || shared.stores.isAway(store) || shared.stores.isSatOut(store)
  }

  private func isUnfit(_ store: StoreID) -> Bool {
    shared.stores.hasFailed(store) || shared.stores.isLate(store)
  }

  /// A slot that nothing has ever referred to is free at once.
  private func giveBack(_ slot: MapEntry, _ view: ExtentMapView) {
    shared.placement.release(slot.store, slot: slot.slot, slotBytes: view.extentBytes)
  }

  private func watchPreparation(_ index: UInt32) {
    let op = unsafe operation(index)
    // Others go on with more extents, and could not tell the end of this from that of what follows.
    guard unsafe op.pointee.kind == .write else { return }
    let slot = unsafe op.pointee.placement.address
    let store = Int(slot.store.rawValue)
    unsafe op.pointee.pending = CopySet()
    unsafe op.pointee.pending.insert(slot)
    unsafe op.pointee.began = now
    unsafe op.pointee.isOverdue = false
    writePaces[store].began()
    let shares = unsafe StorePace.shares(ofBytes: op.pointee.view.extentBytes)
    watch(index, store, due: now + writePaces[store].deadline(shares: shares))
  }

  /// A slot is not prepared in time. It is free again when the store has done what it was asked for.
  ///
  /// A shadow can be made later: the extent is mapped without it. A live copy has to lie somewhere:
  /// elsewhere, if there is room and its store is away, or has taken so long that nobody should count on it.
  func preparationIsOverdue(_ index: UInt32) {
    let op = unsafe operation(index)
    let view = unsafe op.pointee.view
    if unsafe op.pointee.copies.count > 0 {
      leavePreparation(index)
      unsafe mapPrepared(index, op.pointee.cursor >> UInt64(view.extentShift))
      return
    }
    let store = unsafe op.pointee.placement.store
    let patienceEnds = unsafe op.pointee.began + StoreTable.stuckAfter
    if !shared.stores.isAway(store) && now < patienceEnds {
      watch(index, Int(store.rawValue), due: patienceEnds)
      return
    }
    var other = unsafe op.pointee.placement
    other.exclude(store)
    shared.stores.exclude(from: &other) { shared.stores.isAway($0) || shared.stores.isLate($0) }
    guard unsafe !op.pointee.latePreparation.isMapped,
      shared.placement.allocate(slotBytes: view.extentBytes, by: view.marks.tiers, &other)
    else { return }
    leavePreparation(index)
    unsafe op.pointee.placement = other
    beginPreparation(index)
  }

  private func leavePreparation(_ index: UInt32) {
    let op = unsafe operation(index)
    let slot = unsafe op.pointee.placement.address
    unsafe op.pointee.pending = CopySet()
    unsafe op.pointee.latePreparation = slot
    leave(index, to: slot.store)
  }

  func endLatePreparation(_ index: UInt32) {
    let op = unsafe operation(index)
    let slot = unsafe op.pointee.latePreparation
    unsafe op.pointee.latePreparation = .unmapped
    unsafe giveBack(slot, op.pointee.view)
    takeBack(index, from: slot.store)
    spaceChanged()
  }

  private func preparationFailed(_ index: UInt32, _ extent: UInt64) {
    let op = unsafe operation(index)
    if unsafe op.pointee.result == -StoreErrno.notSupported && op.pointee.prepare != .writeZeros {
      unsafe op.pointee.prepare = .writeZeros
      unsafe op.pointee.progress = 0
      unsafe op.pointee.result = 0
      prepareSlot(index)
      return
    }
    let slot = unsafe op.pointee.placement.address
    unsafe giveBack(slot, op.pointee.view)
    unsafe op.pointee.placement.exclude(slot.store)
    if unsafe op.pointee.copies.count > 0 {
      unsafe op.pointee.result = 0
      prepareNextOrMap(index, extent)
      return
    }
    if unsafe op.pointee.placementFailure == 0 {
      unsafe op.pointee.placementFailure = op.pointee.result
    }
    unsafe op.pointee.result = 0
    placeExtent(index, extent)
  }
}
