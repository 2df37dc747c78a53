import ExtentMap
import Glibc
import NBDWire
import Platform
public import Primitives

/// Moving copies (invariant 7).
///
/// A shadow begins by lacking everything and is filled part by part while the extent is in use: a write that
/// ends meanwhile says of its parts that they are lacking again. Each part is read back from the target and
/// compared. In the end writers wait for the last parts. From then on they write to the shadow too, and it
/// may take the live copy's place.
extension Redirector {
  /// Begins a step of a move, for the control plane.
  ///
  /// - Parameters:
  ///   - request: the volume's map, any offset of the extent, and who asks.
  ///   - target: the store of the shadow.
  ///   - stride: how much is copied at a time.
  /// - Returns: the operation that will finish, see `moveOutcome(_:)`; nil if there is no room for it now.
  public func move(
    _ step: MoveStep, _ request: Request, target: StoreID, _ stride: CopyStride = .long
  ) -> UInt32? {
    guard hasRoom(pieces: 1) else { return nil }
    var buffer: UnsafeMutableRawPointer?
    let bytes = Int(Self.unitBytes(request.view, stride))
    if step == .fill || step == .settle {
      unsafe buffer = arena.allocate(bytes: 2 * bytes)
      if unsafe buffer == nil { return nil }
    }
    let index = make(.move, request)
    let op = unsafe operation(index)
    let view = request.view
    unsafe op.pointee.buffer = buffer
    unsafe op.pointee.bufferBytes = buffer == nil ? 0 : 2 * bytes
    unsafe op.pointee.cursor = request.offset & ~(view.extentBytes - 1)
    unsafe op.pointee.partLength = view.extentBytes
    unsafe op.pointee.length = 0
    unsafe op.pointee.move.step = step
    unsafe op.pointee.move.target = target
    unsafe op.pointee.move.stride = stride
    tryMove(index)
    return index
  }

  /// How a step has ended, and the bytes that it has copied.
  public func moveOutcome(_ index: UInt32) -> (outcome: MoveOutcome, copiedBytes: UInt64) {
    let op = unsafe operation(index)
    if let error = unsafe op.pointee.error {
      return unsafe (.failed(Int32(bitPattern: error.rawValue)), op.pointee.length)
    }
    return unsafe (op.pointee.move.outcome, op.pointee.length)
  }

  private static func unitBytes(_ view: ExtentMapView, _ stride: CopyStride) -> UInt64 {
    max(1 << view.partShift, min(stride.bytesPerUnit, view.extentBytes))
  }

  func tryMove(_ index: UInt32) {
    let op = unsafe operation(index)
    let view = unsafe op.pointee.view
    let extent = unsafe op.pointee.cursor >> UInt64(view.extentShift)
    guard view.entry(extent).isMapped, let line = view.shadowLine(extent) else {
      end(index, .gone)
      return
    }
    switch unsafe op.pointee.move.step {
    case .fill:
      enterGracePeriod(index)
      fillNext(index, extent, line)
    case .begin where !line.isActive, .drop where !line.isActive:
      // As long as the catalog does not know that a shadow is gone, it must not believe it.
      activate(index, extent, line)
    default:
      if shared.changes.isFull {
        let spaceChanges = shared.reclaimer.spaceChanges
        if !waitForChanges(index, since: spaceChanges) { finishPiece(index) }
        return
      }
      guard view.closeGate(extent) else {
        park(index)
        return
      }
      unsafe op.pointee.step = .draining
      continueDraining(index)
    }
  }

  /// The gate is this operation's, and no writer is in flight.
  func moveUnderGate(_ index: UInt32, _ extent: UInt64) {
    let op = unsafe operation(index)
    let view = unsafe op.pointee.view
    let target = unsafe op.pointee.move.target
    let entry = view.entry(extent)
    guard entry.isMapped, let line = view.shadowLine(extent) else {
      open(index, extent, .gone)
      return
    }
    let step = unsafe op.pointee.move.step
    if step == .begin {
      begin(index, extent, entry, line)
      return
    }
    guard let number = line.number(in: target) else {
      open(index, extent, .gone)
      return
    }
    if step == .drop && !line.isActive {
      openAndActivate(index, extent, line)
      return
    }
    switch step {
    case .settle: settle(index, extent, number, line)
    case .promote where shared.stores.isLate(target):
      open(index, extent, .busy)
    case .promote:
      let isSwapped = shared.changes.exchange(number, line, extent, of: view)
      checkTarget(extent, of: view, target)
      open(index, extent, isSwapped ? .done : .refused)
    case .leave:
      shared.changes.leaveFilling(number, line, extent, of: view)
      checkTarget(extent, of: view, target)
      let isComplete = line.missed(number) == 0
      open(index, extent, isComplete ? .done : .more)
    default:
      let wasSynced = line.isSynced(number)
      shared.changes.dropShadow(number, line, extent, of: view)
      // One that was not has never made good for another.
      if wasSynced { shared.changes.guardLoneCopy(extent, of: view) }
      open(index, extent, .done)
    }
  }

  /// The target may have failed, or become late, while it got its new role: whoever said so may have been
  /// here before.
  private func checkTarget(_ extent: UInt64, of view: ExtentMapView, _ target: StoreID) {
    guard shared.stores.hasFailed(target) || shared.stores.isLate(target) else { return }
    shared.changes.storeFailed(target, extent, of: view)
    shared.changes.guardLoneCopy(extent, of: view)
  }

  /// The extent has come to rest meanwhile.
  private func openAndActivate(_ index: UInt32, _ extent: UInt64, _ line: ShadowLine) {
    unsafe operation(index).pointee.view.openGate(extent)
    released()
    activate(index, extent, line)
  }

  /// Opens the gate and ends the step.
  private func open(_ index: UInt32, _ extent: UInt64, _ outcome: MoveOutcome) {
    unsafe operation(index).pointee.view.openGate(extent)
    released()
    end(index, outcome)
  }

  private func end(_ index: UInt32, _ outcome: MoveOutcome) {
    unsafe operation(index).pointee.move.outcome = outcome
    finishRequest(index)
  }

  private func begin(_ index: UInt32, _ extent: UInt64, _ entry: MapEntry, _ line: ShadowLine) {
    let op = unsafe operation(index)
    let view = unsafe op.pointee.view
    let target = unsafe op.pointee.move.target
    guard line.isActive else {
      openAndActivate(index, extent, line)
      return
    }
    if shared.stores.isLate(target) {
      // What it has not done yet could overwrite what is about to be copied.
      open(index, extent, .busy)
    } else if entry.store == target || shared.stores.hasFailed(target) {
      open(index, extent, .refused)
    } else if let number = line.number(in: target) {
      line.setShadow(number, ShadowEntry(rawValue: line.shadow(number).rawValue | ShadowEntry.filling))
      open(index, extent, .done)
    } else if let number = line.vacancy {
      guard let slot = shared.placement.allocate(on: target, slotBytes: view.extentBytes) else {
        open(index, extent, .full)
        return
      }
      shared.changes.addShadow(number, at: MapEntry(store: target, slot: slot), line, extent, of: view)
      open(index, extent, .done)
    } else {
      open(index, extent, .crowded)
    }
  }

  // MARK: Filling

  private func settle(_ index: UInt32, _ extent: UInt64, _ number: Int, _ line: ShadowLine) {
    let op = unsafe operation(index)
    let view = unsafe op.pointee.view
    guard line.shadow(number).isFilling else {
      open(index, extent, line.isSynced(number) ? .done : .refused)
      return
    }
    if Canary.forgetsLastPass.isOut { line.setMissed(number, 0) }
    let missed = line.missed(number)
    let target = unsafe op.pointee.move.target
    if shared.stores.hasFailed(target) {
      open(index, extent, .failed(StoreErrno.io))
    } else if shared.stores.isLate(target) {
      open(index, extent, .busy)
    } else if missed == 0 {
      shared.changes.leaveFilling(number, line, extent, of: view)
      checkTarget(extent, of: view, target)
      open(index, extent, .done)
    } else if missed.nonzeroBitCount > MoveState.lastPassPartsMax {
      open(index, extent, .more)
    } else {
      unsafe op.pointee.move.isLastPass = true
      enterGracePeriod(index)
      fillNext(index, extent, line)
    }
  }

  /// Copies the next parts that the shadow lacks.
  private func fillNext(_ index: UInt32, _ extent: UInt64, _ line: ShadowLine) {
    let op = unsafe operation(index)
    let view = unsafe op.pointee.view
    let entry = view.entry(extent)
    let target = unsafe op.pointee.move.target
    guard entry.isMapped, let number = line.number(in: target), line.shadow(number).isFilling else {
      stopFilling(index, extent, .gone)
      return
    }
    let missed = line.missed(number)
    if missed == 0 {
      if unsafe op.pointee.move.isLastPass {
        unsafe op.pointee.move.isLastPass = false
        leaveGracePeriod(index)
        settle(index, extent, number, line)
      } else {
        stopFilling(index, extent, .done)
      }
      return
    }
    let stride = unsafe op.pointee.move.stride
    if unsafe op.pointee.length >= stride.bytesPerStep {
      stopFilling(index, extent, .more)
      return
    }
    let first = UInt64(missed.trailingZeroBitCount)
    let most = Self.unitBytes(view, stride) >> view.partShift
    let count = min(UInt64((~(missed >> first)).trailingZeroBitCount), most)
    let start = first << view.partShift
    let end = start + count << view.partShift
    let parts = view.parts(from: start, to: end)
    let base = unsafe op.pointee.cursor
    let source = shared.changes.takeMissed(parts, number, line, extent, of: view) { entry in
      readCopy(view, entry, from: base + start, to: base + end, besides: CopySet())
    }
    guard let source else {
      stopFilling(index, extent, .failed(StoreErrno.io))
      return
    }
    if unsafe op.pointee.move.isLastPass && shared.stores.isLate(source.store) {
      // Writers would wait for what it has yet to do before.
      line.addMissed(number, parts)
      stopFilling(index, extent, .busy)
      return
    }
    unsafe op.pointee.move.parts = parts
    unsafe op.pointee.move.start = start
    unsafe op.pointee.move.bytes = end - start
    unsafe op.pointee.move.phase = .reading
    unsafe op.pointee.step = .transferring
    choose(source, for: index)
    watchLastPass(index)
    unsafe emit(
      .read, for: index, length: end - start, offset: op.pointee.slotOffset + start, buffer: op.pointee.buffer
    )
  }

  /// A transfer has ended.
  func advanceFilling(_ index: UInt32) {
    let op = unsafe operation(index)
    let view = unsafe op.pointee.view
    let extent = unsafe op.pointee.cursor >> UInt64(view.extentShift)
    let target = unsafe op.pointee.move.target
    guard let line = view.shadowLine(extent), let number = line.number(in: target),
      line.shadow(number).isFilling
    else {
      stopFilling(index, extent, .gone)
      return
    }
    if unsafe op.pointee.result != 0 {
      unsafe line.addMissed(number, op.pointee.move.parts)
      unsafe stopFilling(index, extent, .failed(-op.pointee.result))
      return
    }
    let start = unsafe op.pointee.move.start
    let bytes = unsafe op.pointee.move.bytes
    switch unsafe op.pointee.move.phase {
    case .reading:
      unsafe op.pointee.move.phase = .writing
      choose(line.shadow(number).address, for: index)
      watchLastPass(index)
      unsafe emit(
        .write, for: index, length: bytes, offset: op.pointee.slotOffset + start, buffer: op.pointee.buffer)
    case .writing:
      shared.stores.markDirty(target)
      Failpoint.shadowWritten.pass()
      unsafe op.pointee.move.phase = .verifying
      watchLastPass(index)
      unsafe emit(
        .read, for: index, length: bytes, offset: op.pointee.slotOffset + start,
        buffer: op.pointee.buffer! + op.pointee.bufferBytes / 2)
    case .verifying:
      let (written, found) = unsafe (op.pointee.buffer!, op.pointee.buffer! + op.pointee.bufferBytes / 2)
      guard unsafe memcmp(written, found, Int(bytes)) == 0 else {
        unsafe line.addMissed(number, op.pointee.move.parts)
        stopFilling(index, extent, .corrupt)
        return
      }
      unsafe op.pointee.length += bytes
      fillNext(index, extent, line)
    }
  }

  /// While writers wait for the move, no store is waited for very long.
  private func watchLastPass(_ index: UInt32) {
    let op = unsafe operation(index)
    guard unsafe op.pointee.move.isLastPass else { return }
    let copy = unsafe op.pointee.copy
    unsafe op.pointee.pending = CopySet()
    unsafe op.pointee.pending.insert(copy)
    unsafe op.pointee.began = now
    unsafe op.pointee.isOverdue = false
    writePaces[Int(copy.store.rawValue)].began()
    unsafe lastPassDeadlines.append(
      DeadlineQueue.Entry(
        index: index, generation: op.pointee.generation, began: now, due: now + MoveState.lastPassPatience))
  }

  /// A store takes too long with a transfer of the last pass: writers go on, and the move is tried again once
  /// the store has done it.
  func lastPassIsOverdue(_ index: UInt32) {
    let op = unsafe operation(index)
    let (view, copy) = unsafe (op.pointee.view, op.pointee.copy)
    let extent = unsafe op.pointee.cursor >> UInt64(view.extentShift)
    unsafe op.pointee.pending = CopySet()
    unsafe op.pointee.late.insert(copy)
    leave(index, to: copy.store)
    // The gate is closed: the shadow is there.
    if let line = view.shadowLine(extent), let number = unsafe line.number(in: op.pointee.move.target) {
      unsafe line.addMissed(number, op.pointee.move.parts)
    }
    open(index, extent, .busy)
  }

  private func stopFilling(_ index: UInt32, _ extent: UInt64, _ outcome: MoveOutcome) {
    leaveGracePeriod(index)
    if unsafe operation(index).pointee.move.isLastPass {
      open(index, extent, outcome)
    } else {
      end(index, outcome)
    }
  }
}
