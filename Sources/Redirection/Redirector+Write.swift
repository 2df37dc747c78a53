import ExtentMap
import NBDWire
import Platform
import Primitives

extension Redirector {
  /// Makes a write; the caller fills its payload, then calls `startWrite(_:)` or `abandonWrite(_:)`.
  ///
  /// - Returns: nil if there is no room for it now; nothing has happened then.
  public func makeWrite(_ request: Request) -> UInt32? {
    let pieces = pieces(of: request)
    guard hasRoom(pieces: pieces) else { return nil }
    let end = request.offset + request.length
    var bytes = Int(Block.ceiling(end) - Block.floor(request.offset))
    let hasEdges = (request.offset | end) % Block.bytes != 0
    if hasEdges { bytes += 2 * Int(Block.bytes) }
    guard let buffer = unsafe arena.allocate(bytes: bytes) else { return nil }
    let index = make(.write, request)
    let op = unsafe operation(index)
    unsafe op.pointee.buffer = buffer
    unsafe op.pointee.bufferBytes = bytes
    if hasEdges { unsafe op.pointee.scratch = buffer + (bytes - 2 * Int(Block.bytes)) }
    if pieces > 1 {
      unsafe op.pointee.piecesPending = UInt32(pieces)
      reserved += pieces
    }
    return index
  }

  /// Starts a write whose payload is complete.
  public func startWrite(_ index: UInt32) {
    let op = unsafe operation(index)
    unsafe op.pointee.arrived = now
    let pieces = unsafe Int(op.pointee.piecesPending)
    guard pieces > 0 else {
      tryPart(index)
      return
    }
    reserved -= pieces
    unsafe op.pointee.step = .joining
    var offset = unsafe op.pointee.offset
    for number in 0..<pieces {
      let piece = makePiece(of: index, offset: offset)
      let part = unsafe operation(piece)
      unsafe offset += part.pointee.length
      // The first piece has the head's scratch page at most, the last one the tail's; they are two pages.
      if number == pieces - 1, let scratch = unsafe op.pointee.scratch {
        unsafe part.pointee.scratch = scratch + Int(Block.bytes)
      }
      tryPart(piece)
    }
  }

  /// Drops a write whose payload will not come.
  public func abandonWrite(_ index: UInt32) {
    unsafe reserved -= Int(operation(index).pointee.piecesPending)
    release(index)
  }

  // MARK: One part, in one extent

  /// Starts the part that `cursor` and `partLength` describe, or parks the operation.
  func tryPart(_ index: UInt32) {
    let op = unsafe operation(index)
    let view = unsafe op.pointee.view
    let extent = unsafe op.pointee.cursor >> UInt64(view.extentShift)
    // Looked at before it is counted: a count that comes and goes would wake the gate's holder for nothing.
    if view.entry(extent).isGated {
      park(index)
      return
    }
    enterGracePeriod(index)
    let entry = view.pin(extent)
    unsafe op.pointee.isPinned = true
    if entry.stopsWriters {
      unpin(index, extent)
      if entry.isGated { park(index) } else { open(index, extent) }
      return
    }
    guard entry.isMapped else {
      unpin(index, extent)
      if unsafe op.pointee.kind == .zero && !op.pointee.flags.contains(.keepAllocated) {
        // Already zeros.
        finishPiece(index)
      } else {
        beginAllocation(index, extent)
      }
      return
    }
    if let line = view.shadows(of: extent, entry) {
      tryCopies(index, extent, entry, line)
      return
    }
    unsafe op.pointee.copies = CopySet()
    unsafe op.pointee.skipsCopies = false
    if shared.stores.hasFailed(entry.store) {
      // Nothing makes it durable any more, and a refused write spoils no flush.
      unpin(index, extent)
      unsafe op.pointee.error = .io
      finishPiece(index)
      return
    }
    let part = unsafe PartGeometry(start: op.pointee.cursor, length: op.pointee.partLength)
    if part.hasEdges && !entry.isRanged {
      unpin(index, extent)
      beginRangedMode(index, extent)
      return
    }
    if entry.isRanged {
      guard shared.ranges.tryLock(extent, of: view, blocks: part.blocks) else {
        unpin(index, extent)
        park(index)
        return
      }
      unsafe op.pointee.holdsRange = true
    }
    choose(entry, for: index)
    // A durable write can carry its own durability only if the catalog has the extent's address.
    let isDurable = unsafe op.pointee.flags.contains(.durable) && op.pointee.kind == .write
    unsafe op.pointee.isSelfDurable =
      isDurable && (!entry.isUncommitted || Canary.forgetsUncommittedExtents.isOut)
    if part.hasEdges { readEdges(index, part) } else { transfer(index, part) }
  }

  /// Makes the extent `ranged`, after the writers that hold no range lock have drained.
  private func beginRangedMode(_ index: UInt32, _ extent: UInt64) {
    let op = unsafe operation(index)
    guard unsafe op.pointee.view.closeGate(extent) else {
      park(index)
      return
    }
    unsafe op.pointee.step = .draining
    continueDraining(index)
  }

  func continueDraining(_ index: UInt32) {
    let op = unsafe operation(index)
    let view = unsafe op.pointee.view
    let extent = unsafe op.pointee.cursor >> UInt64(view.extentShift)
    guard view.entry(extent).writers == 0 else {
      park(index, draining: true)
      return
    }
    if unsafe op.pointee.kind == .move {
      moveUnderGate(index, extent)
      return
    }
    view.openGate(extent, setting: MapEntry.ranged)
    released()
    tryPart(index)
  }

  // MARK: The transfer

  func transfer(_ index: UInt32, _ part: PartGeometry) {
    let op = unsafe operation(index)
    unsafe op.pointee.step = .transferring
    if unsafe op.pointee.kind == .zero {
      startZeroing(index)
      return
    }
    let length = part.blockEnd - part.blockStart
    let mask = unsafe op.pointee.view.extentBytes - 1
    beginPending(index, bytes: length)
    forEachCopy(index) { store, slot in
      unsafe emit(
        .write, for: index, in: store, length: length, offset: slot + part.blockStart & mask,
        buffer: op.pointee.buffer,
        durable: op.pointee.isSelfDurable && !Canary.ignoresForceUnitAccess.isOut)
    }
    if Canary.answersBeforeCompletion.isOut { finishTransfer(index) }
  }

  func advanceTransfer(_ index: UInt32) {
    let op = unsafe operation(index)
    if unsafe op.pointee.kind == .zero {
      Failpoint.stretchZeroed.pass()
      if unsafe op.pointee.result == -StoreErrno.notSupported && op.pointee.prepare == .zeroRange {
        // What this store promised when it was opened does not hold everywhere: write zeros.
        unsafe op.pointee.prepare = .writeZeros
        unsafe op.pointee.progress = 0
        unsafe op.pointee.result = 0
      }
      if unsafe op.pointee.result == 0, continueZeroing(index) { return }
    }
    finishTransfer(index)
  }

  /// The data is where it belongs, or has failed to get there.
  func finishTransfer(_ index: UInt32) {
    let op = unsafe operation(index)
    let view = unsafe op.pointee.view
    let extent = unsafe op.pointee.cursor >> UInt64(view.extentShift)
    (unsafe op.pointee.isSelfDurable ? Failpoint.durableWriteCompleted : .writeCompleted).pass()
    let hasCopies = unsafe op.pointee.copies.count > 0 || op.pointee.skipsCopies
    if hasCopies && !finishCopies(index, extent) {
      beginAgain(index, extent)
      return
    }
    if unsafe op.pointee.result != 0 {
      unsafe op.pointee.error = StoreErrno.wire(-op.pointee.result)
    }
    if hasCopies {
      // It is known which of them have it.
    } else if unsafe !op.pointee.isSelfDurable || op.pointee.result != 0 {
      if !Canary.forgetsDirtyMarks.isOut {
        unsafe shared.stores.markDirty(op.pointee.store, by: view.marks)
      }
      if unsafe op.pointee.flags.contains(.durable) { unsafe op.pointee.flags.insert(.needsFlush) }
    } else if unsafe shared.stores.hasFailed(op.pointee.store) {
      unsafe op.pointee.error = .io
    }
    unlockRange(index, extent)
    let isForeseeable = unsafe !op.pointee.isSelfDurable && !op.pointee.flags.contains(.needsFlush)
    unpin(index, extent)
    finishPiece(index)
    if isForeseeable { foreseeFlush() }
  }

  /// Tries the part from the start: the copies are not any more what they were when it began.
  func beginAgain(_ index: UInt32, _ extent: UInt64) {
    unsafe operation(index).pointee.result = 0
    unlockRange(index, extent)
    unpin(index, extent)
    tryPart(index)
  }

  func unlockRange(_ index: UInt32, _ extent: UInt64) {
    let op = unsafe operation(index)
    guard unsafe op.pointee.holdsRange else { return }
    unsafe op.pointee.holdsRange = false
    let part = unsafe PartGeometry(start: op.pointee.cursor, length: op.pointee.partLength)
    unsafe shared.ranges.unlock(extent, of: op.pointee.view, blocks: part.blocks)
    released()
  }

  /// Ends one part: of a write that is the piece; a zero goes on with the next.
  func finishPiece(_ index: UInt32) {
    let op = unsafe operation(index)
    if unsafe op.pointee.kind == .write {
      finishPart(index)
      return
    }
    if unsafe op.pointee.error != nil || op.pointee.kind == .move {
      finishRequest(index)
      return
    }
    unsafe op.pointee.cursor += op.pointee.partLength
    if unsafe op.pointee.late.count > 0 { handOver(index) } else { advanceRange(index) }
  }

  /// Ends the writer's hold on the extent; a closed gate whose last writer this was may go on.
  func unpin(_ index: UInt32, _ extent: UInt64) {
    unsafe operation(index).pointee.isPinned = false
    // Slots are not used again while the kernel may still write to them.
    if unsafe operation(index).pointee.late.count == 0 { leaveGracePeriod(index) }
    let entry = unsafe operation(index).pointee.view.unpin(extent)
    if entry.isGated && entry.writers == 0 { released() }
  }
}
