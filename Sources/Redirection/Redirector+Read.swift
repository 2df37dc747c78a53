import ExtentMap
import NBDWire
import Platform
import Primitives

extension Redirector {
  /// Begins a read.
  ///
  /// - Returns: false if there is no room for it now; nothing has happened then.
  public func read(_ request: Request) -> Bool {
    let pieces = pieces(of: request)
    guard hasRoom(pieces: pieces) else { return false }
    if request.flags.contains(.chunked), isUnmapped(request, pieces) {
      let index = make(.read, request)
      unsafe operation(index).pointee.flags.insert(.hole)
      finishRequest(index)
      return true
    }
    let bytes = Int(Block.ceiling(request.offset + request.length) - Block.floor(request.offset))
    guard let buffer = unsafe arena.allocate(bytes: bytes) else { return false }
    let index = make(.read, request)
    let op = unsafe operation(index)
    unsafe op.pointee.buffer = buffer
    unsafe op.pointee.bufferBytes = bytes
    if pieces == 1 {
      readPiece(index)
      return true
    }
    unsafe op.pointee.step = .joining
    if request.flags.contains(.chunked) { unsafe op.pointee.flags.insert(.answeredInPieces) }
    unsafe op.pointee.piecesPending = UInt32(pieces)
    var offset = request.offset
    for _ in 0..<pieces {
      let piece = makePiece(of: index, offset: offset)
      unsafe offset += operation(piece).pointee.length
      readPiece(piece)
    }
    return true
  }

  private func isUnmapped(_ request: Request, _ pieces: Int) -> Bool {
    let first = request.offset >> UInt64(request.view.extentShift)
    for extent in first..<first + UInt64(pieces) where request.view.entry(extent).isMapped { return false }
    return true
  }

  private func readPiece(_ index: UInt32) {
    let op = unsafe operation(index)
    let start = unsafe Block.floor(op.pointee.offset)
    let length = unsafe Block.ceiling(op.pointee.offset + op.pointee.length) - start
    let view = unsafe op.pointee.view
    enterGracePeriod(index)
    let entry = view.entry(start >> UInt64(view.extentShift))
    guard entry.isMapped else {
      leaveGracePeriod(index)
      if unsafe op.pointee.flags.isSuperset(of: [.chunked, .piece]) {
        unsafe op.pointee.flags.insert(.hole)
      } else {
        unsafe op.pointee.payload!.initializeMemory(
          as: UInt8.self, repeating: 0, count: Int(op.pointee.length))
      }
      finishPart(index)
      return
    }
    unsafe op.pointee.step = .transferring
    unsafe op.pointee.store = entry.store
    let slot = shared.stores.dataOffset(of: entry.store) + entry.slot << UInt64(view.extentShift)
    unsafe emit(
      .read, for: index, length: length, offset: slot + start & (view.extentBytes - 1),
      buffer: op.pointee.buffer)
  }

  func finishRead(_ index: UInt32) {
    let op = unsafe operation(index)
    leaveGracePeriod(index)
    if unsafe op.pointee.result != 0 {
      unsafe op.pointee.error = StoreErrno.wire(-op.pointee.result)
    }
    finishPart(index)
  }
}
