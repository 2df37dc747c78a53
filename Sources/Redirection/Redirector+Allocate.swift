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
    unsafe op.pointee.result = 0
    let isAnyFailed = unsafe shared.stores.excludeFailed(from: &op.pointee.placement)
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
      unsafe op.pointee.step = .preparing
      unsafe op.pointee.progress = 0
      unsafe op.pointee.store = op.pointee.placement.store
      unsafe op.pointee.slotOffset =
        shared.stores.dataOffset(of: op.pointee.store) + op.pointee.placement.slot << UInt64(view.extentShift)
      unsafe op.pointee.prepare = shared.stores.prepareMethod(of: op.pointee.store)
      prepareSlot(index)
      return
    }
    view.openGate(extent)
    released()
    if isSpaceComing {
      // Slots that a trim freed are on their way back: wait for them rather than fail.
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
    var sparing = unsafe op.pointee.placement
    if shared.stores.excludeAway(from: &sparing), shared.placement.allocate(slotBytes: bytes, &sparing) {
      unsafe op.pointee.placement.store = sparing.store
      unsafe op.pointee.placement.slot = sparing.slot
      return true
    }
    return unsafe shared.placement.allocate(slotBytes: bytes, &op.pointee.placement)
  }

  /// Whether slots will be freed for certain. In the order of their way: none is missed as it moves on.
  private func isSpaceComing() -> Bool {
    // While commits fail no slot is given up; the client hears of it rather than wait for ever.
    (shared.changes.hasRetired && shared.flushes.lastCommitError == nil) || shared.reclaimer.pendingCount > 0
  }

  private func prepareSlot(_ index: UInt32) {
    let op = unsafe operation(index)
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
    let entry = unsafe MapEntry(store: op.pointee.placement.store, slot: op.pointee.placement.slot)
    unsafe shared.stores.markDirty(op.pointee.store, by: view.marks)
    Failpoint.slotPrepared.pass()
    shared.changes.map(extent, of: view, to: entry)
    if view.marks.wantsShadows { shared.fresh.note(extent, of: view.volume) }
    Failpoint.extentMapped.pass()
    view.openGate(extent)
    released()
    if shared.changes.pendingCount >= MapChanges.flushFrom { flushInBackground() }
    tryPart(index)
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
    if unsafe op.pointee.placementFailure == 0 {
      unsafe op.pointee.placementFailure = op.pointee.result
    }
    unsafe op.pointee.result = 0
    let failed = unsafe op.pointee.placement
    unsafe shared.placement.release(failed.store, slot: failed.slot, slotBytes: op.pointee.view.extentBytes)
    unsafe op.pointee.placement.exclude(failed.store)
    placeExtent(index, extent)
  }
}
