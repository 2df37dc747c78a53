import ExtentMap
import NBDWire
import Platform
import Primitives

/// Trim and zero: whole extents are unmapped, the rest of a zero is zeroed in place.
extension Redirector {
  /// Extents that one call unmaps before others get their turn.
  private static let extentsPerTurn = 1024

  /// Begins a trim (`.trim`) or zero (`.zero`).
  ///
  /// A trim is advice: it frees whole extents and leaves the rest as it is.
  ///
  /// - Returns: false if there is no room for it now; nothing has happened then.
  public func clear(_ kind: OperationKind, _ request: Request) -> Bool {
    precondition(kind == .trim || kind == .zero)
    guard hasRoom(pieces: 1) else { return false }
    let end = request.offset + request.length
    let hasEdges = kind == .zero && (request.offset | end) % Block.bytes != 0
    let bytes = hasEdges ? 2 * Int(Block.bytes) : 0
    var buffer: UnsafeMutableRawPointer?
    if hasEdges {
      unsafe buffer = arena.allocate(bytes: bytes)
      if unsafe buffer == nil { return false }
    }
    let index = make(kind, request)
    let op = unsafe operation(index)
    unsafe op.pointee.buffer = buffer
    unsafe op.pointee.scratch = buffer
    unsafe op.pointee.bufferBytes = bytes
    let mask = request.view.extentBytes - 1
    unsafe op.pointee.limit = end == request.volumeBytes ? (end + mask) & ~mask : end
    if unsafe op.pointee.flags.contains(.durable) { unsafe op.pointee.flags.insert(.needsFlush) }
    if request.flags.contains(.fastOnly), !isFast(index) {
      unsafe op.pointee.error = .notSupported
      finishRequest(index)
      return true
    }
    advanceRange(index)
    return true
  }

  /// Goes on with the extent at `cursor`.
  func advanceRange(_ index: UInt32) {
    let op = unsafe operation(index)
    let view = unsafe op.pointee.view
    let end = unsafe op.pointee.offset + op.pointee.length
    if shared.stores.hasLostWrites(of: view.marks) {
      // The catalog takes no more changes of this volume.
      unsafe op.pointee.error = .io
      finishRequest(index)
      return
    }
    // Looked at first: room that there is after this is noticed.
    let spaceChanges = shared.reclaimer.spaceChanges
    if shared.reclaimer.isFull {
      waitForSpace(index, since: spaceChanges)
      return
    }
    for _ in 0..<Self.extentsPerTurn {
      let cursor = unsafe op.pointee.cursor
      guard cursor < end else {
        finishRequest(index)
        return
      }
      let extent = cursor >> UInt64(view.extentShift)
      let extentStart = extent << UInt64(view.extentShift)
      let extentEnd = extentStart + view.extentBytes
      let slack = Canary.missesExtentEdge.isOut ? Block.bytes : 0
      let isWhole = unsafe cursor == extentStart && op.pointee.limit + slack >= extentEnd
      if unsafe isWhole && !op.pointee.flags.contains(.keepAllocated) {
        switch shared.changes.unmap(extent, of: view) {
        case .done: break
        case .gated:
          park(index)
          return
        case .full:
          released()
          if !waitForChanges(index, since: spaceChanges) { finishRequest(index) }
          return
        }
        Failpoint.extentUnmapped.pass()
        released()
        unsafe op.pointee.cursor = extentEnd
      } else if unsafe op.pointee.kind == .trim {
        unsafe op.pointee.cursor = extentEnd
      } else {
        unsafe op.pointee.partLength = min(extentEnd, end) - cursor
        tryPart(index)
        return
      }
    }
    if shared.changes.pendingCount >= MapChanges.flushFrom { flushInBackground() }
    park(index)
    isRetryDue = true
  }

  // MARK: Zeroing in place

  func startZeroing(_ index: UInt32) {
    let op = unsafe operation(index)
    unsafe op.pointee.prepare = .zeroRange
    unsafe op.pointee.progress = 0
    unsafe op.pointee.edgesDone = []
    forEachCopy(index) { store, _ in
      if shared.stores.prepareMethod(of: store) != .zeroRange { unsafe op.pointee.prepare = .writeZeros }
    }
    if !continueZeroing(index) { finishTransfer(index) }
  }

  /// Writes the next edge, or zeroes the next stretch of whole blocks; false if nothing is left. One
  /// directive for each copy at a time, so that those that take too long can be left out.
  func continueZeroing(_ index: UInt32) -> Bool {
    let op = unsafe operation(index)
    let part = unsafe PartGeometry(start: op.pointee.cursor, length: op.pointee.partLength)
    if part.readsFirstBlock, unsafe op.pointee.edgesDone.insert(.first).inserted {
      unsafe zero(index, at: part.blockStart, Block.bytes, .write, op.pointee.scratch)
      return true
    }
    if part.readsLastBlock, unsafe op.pointee.edgesDone.insert(.last).inserted {
      let page = unsafe op.pointee.scratch! + (part.readsFirstBlock ? Int(Block.bytes) : 0)
      unsafe zero(index, at: part.blockEnd - Block.bytes, Block.bytes, .write, page)
      return true
    }
    let start = unsafe part.middle.lowerBound + op.pointee.progress
    guard start < part.middle.upperBound else { return false }
    let rest = part.middle.upperBound - start
    let isFast = unsafe op.pointee.prepare == .zeroRange && rest > Self.writeZerosUpTo
    let count = isFast ? rest : min(rest, Self.zerosBytes)
    unsafe op.pointee.progress += count
    unsafe zero(index, at: start, count, isFast ? .zero : .write, isFast ? nil : zeros.base)
    return true
  }

  private func zero(
    _ index: UInt32, at start: UInt64, _ count: UInt64, _ kind: Directive.Kind,
    _ buffer: UnsafeMutableRawPointer?
  ) {
    let mask = unsafe operation(index).pointee.view.extentBytes - 1
    beginPending(index, bytes: count)
    forEachCopy(index) { store, slot in
      unsafe emit(kind, for: index, in: store, length: count, offset: slot + start & mask, buffer: buffer)
    }
  }

  /// Another operation goes on with the rest: of this one, a store still has something to do that nobody
  /// waits for, whose end could not be told from that of what follows.
  func handOver(_ index: UInt32) {
    let op = unsafe operation(index)
    let (cursor, end) = unsafe (op.pointee.cursor, op.pointee.offset + op.pointee.length)
    guard cursor < end else {
      finishRequest(index)
      return
    }
    guard hasRoom(pieces: 1) else {
      waitsForOperation = true
      park(index)
      return
    }
    let rest = makePiece(of: index, offset: cursor)
    let next = unsafe operation(rest)
    unsafe next.pointee.length = end - cursor
    unsafe next.pointee.late = CopySet()
    unsafe next.pointee.holds = 0
    unsafe next.pointee.buffer = nil
    unsafe op.pointee.piecesPending = 1
    unsafe op.pointee.step = .joining
    advanceRange(rest)
  }

  /// Whether a zero takes no longer for being long: only then may `fastOnly` go on.
  private func isFast(_ index: UInt32) -> Bool {
    let op = unsafe operation(index)
    let view = unsafe op.pointee.view
    if unsafe op.pointee.flags.contains(.keepAllocated) { return shared.stores.allZeroFast }
    let end = unsafe op.pointee.offset + op.pointee.length
    let shift = UInt64(view.extentShift)
    let edges = unsafe [
      (op.pointee.offset, op.pointee.offset >> shift), (op.pointee.limit, (end - 1) >> shift),
    ]
    return edges.allSatisfy { place, extent in
      let entry = view.entry(extent)
      return place & (view.extentBytes - 1) == 0 || !entry.isMapped
        || shared.stores.prepareMethod(of: entry.store) == .zeroRange
    }
  }
}

/// The blocks of a part that a zero covers in part.
struct ZeroEdges: OptionSet {
  let rawValue: UInt8

  static let first = ZeroEdges(rawValue: 1 << 0)
  static let last = ZeroEdges(rawValue: 1 << 1)
}
