import ExtentMap
import NBDWire
import Platform
import Primitives

/// Blocks that a write or zero covers in part: their old content is read first.
///
/// Of an extent with copies that is a read like a client's: of the copy that is expected to be fastest, to be
/// sent to another one when it takes too long, or fails (`Redirector+Read.swift`). It is an operation of its
/// own, so that a store which never answers keeps that one alone, and the write goes on.
extension Redirector {
  func readEdges(_ index: UInt32, _ part: PartGeometry) {
    let op = unsafe operation(index)
    unsafe op.pointee.step = .readingEdges
    let isShadowed = unsafe op.pointee.copies.count > 0
    unsafe op.pointee.readsEdgesAsOperations = isShadowed && makeEdgeReads(index, part)
    if unsafe op.pointee.readsEdgesAsOperations { return }
    // There is one copy, or no room for more operations.
    let extent = unsafe op.pointee.cursor >> UInt64(op.pointee.view.extentShift)
    let entry = unsafe op.pointee.view.entry(extent)
    if isShadowed,
      let copy = unsafe readCopy(
        op.pointee.view, entry, from: part.blockStart, to: part.blockEnd, besides: CopySet())
    {
      choose(copy, for: index)
    }
    let mask = unsafe op.pointee.view.extentBytes - 1
    unsafe forEachEdge(index, part) { start, page in
      unsafe emit(
        .read, for: index, length: Block.bytes, offset: op.pointee.slotOffset + start & mask, buffer: page)
    }
  }

  /// Calls `body` with the start of each block that has to be read, and where its content goes.
  private func forEachEdge(
    _ index: UInt32, _ part: PartGeometry, _ body: (UInt64, UnsafeMutableRawPointer) -> Void
  ) {
    var page = unsafe operation(index).pointee.scratch!
    if part.readsFirstBlock {
      unsafe body(part.blockStart, page)
      unsafe page += Int(Block.bytes)
    }
    if part.readsLastBlock { unsafe body(part.blockEnd - Block.bytes, page) }
  }

  /// - Returns: false if there is no room for the operations; nothing has happened then.
  private func makeEdgeReads(_ index: UInt32, _ part: PartGeometry) -> Bool {
    let op = unsafe operation(index)
    let last = part.blockEnd - Block.bytes
    let isOne = !part.readsFirstBlock || !part.readsLastBlock
    guard hasRoom(pieces: isOne ? 1 : 2),
      let one = makeEdgeRead(index, part.readsFirstBlock ? part.blockStart : last)
    else { return false }
    if isOne {
      unsafe op.pointee.commandsPending = 1
      readPiece(one)
      return true
    }
    guard let other = makeEdgeRead(index, last) else {
      release(one)
      return false
    }
    unsafe op.pointee.commandsPending = 2
    readPiece(one)
    readPiece(other)
    return true
  }

  private func makeEdgeRead(_ parent: UInt32, _ start: UInt64) -> UInt32? {
    guard let buffer = unsafe arena.allocate(bytes: Int(Block.bytes)) else { return nil }
    let whole = unsafe operation(parent)
    let index = unsafe make(
      .read,
      Request(
        view: whole.pointee.view, offset: start, length: Block.bytes, flags: [],
        cookie: whole.pointee.cookie, owner: whole.pointee.owner, volumeBytes: start + Block.bytes))
    unsafe operation(index).pointee.buffer = buffer
    unsafe operation(index).pointee.bufferBytes = Int(Block.bytes)
    unsafe operation(index).pointee.parent = parent
    return index
  }

  /// A read for another operation's edge has ended.
  func finishEdgeRead(_ index: UInt32) {
    let op = unsafe operation(index)
    let parent = unsafe op.pointee.parent
    let whole = unsafe operation(parent)
    let part = unsafe PartGeometry(start: whole.pointee.cursor, length: whole.pointee.partLength)
    if unsafe op.pointee.error == nil {
      unsafe forEachEdge(parent, part) { start, page in
        guard unsafe start == op.pointee.offset else { return }
        unsafe page.copyMemory(from: op.pointee.buffer!, byteCount: Int(Block.bytes))
      }
    } else if unsafe whole.pointee.result == 0 {
      unsafe whole.pointee.result = op.pointee.result
    }
    release(index)
    unsafe whole.pointee.commandsPending -= 1
    if unsafe whole.pointee.commandsPending == 0 { mergeEdges(parent) }
  }

  /// All edges have been read.
  func mergeEdges(_ index: UInt32) {
    let op = unsafe operation(index)
    let extent = unsafe op.pointee.cursor >> UInt64(op.pointee.view.extentShift)
    let part = unsafe PartGeometry(start: op.pointee.cursor, length: op.pointee.partLength)
    if unsafe op.pointee.result != 0, unsafe !op.pointee.readsEdgesAsOperations {
      unsafe noteUnreadable(index, extent, op.pointee.copy)
    }
    if lacksParts(index, extent) {
      // A copy that it would write to was found unreadable: another may be the live one now.
      beginAgain(index, extent)
      return
    }
    if unsafe op.pointee.result != 0 {
      // Nothing was written: no copy lacks anything.
      unsafe op.pointee.copies = CopySet()
      unsafe op.pointee.skipsCopies = false
      finishTransfer(index)
      return
    }
    Failpoint.edgesRead.pass()
    let first = unsafe op.pointee.scratch!
    let last = unsafe part.readsFirstBlock && part.readsLastBlock ? first + Int(Block.bytes) : first
    if unsafe op.pointee.kind == .write {
      let data = unsafe op.pointee.buffer!
      if part.headBytes > 0 { unsafe data.copyMemory(from: first, byteCount: part.headBytes) }
      if part.tailBytes > 0 {
        let used = Int(Block.bytes) - part.tailBytes
        let place = unsafe data + Int(part.blockEnd - part.blockStart) - part.tailBytes
        unsafe place.copyMemory(from: last + used, byteCount: part.tailBytes)
      }
    } else {
      unsafe part.clear(first: first, last: last)
    }
    transfer(index, part)
  }

  /// Whether one of the copies that the operation is about to write has come to lack what it covers.
  private func lacksParts(_ index: UInt32, _ extent: UInt64) -> Bool {
    let op = unsafe operation(index)
    let (view, copies) = unsafe (op.pointee.view, op.pointee.copies)
    let entry = view.entry(extent)
    guard entry.isMapped, let line = view.shadows(of: extent, entry) else { return false }
    let parts = parts(of: index)
    return (0..<copies.count).contains { position in
      guard let number = line.number(in: copies[position].store) else { return false }
      return line.shadow(number).address == copies[position] && line.missed(number) & parts != 0
    }
  }
}
