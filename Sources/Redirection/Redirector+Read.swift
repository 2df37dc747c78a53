import ExtentMap
import Measurement
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

  func readPiece(_ index: UInt32) {
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
    unsafe op.pointee.copies = CopySet()
    let end = start + length
    if entry.isShadowed {
      if unsafe op.pointee.flags.contains(.piece) { ownBuffer(index, bytes: Int(length)) }
      hedges.earn()
    }
    let copy = readCopy(view, entry, from: start, to: end, besides: CopySet()) ?? entry.address
    meters.readShares.add(
      isFaster: copy.store != entry.store
        && shared.stores.tier(of: copy.store) < shared.stores.tier(of: entry.store))
    choose(copy, for: index)
    startRead(index, isWatched: entry.isShadowed)
  }

  /// Gives a piece memory of its own, if there is any: then it can be read from two copies at once.
  private func ownBuffer(_ index: UInt32, bytes: Int) {
    guard let buffer = unsafe arena.allocate(bytes: bytes) else { return }
    let op = unsafe operation(index)
    unsafe op.pointee.buffer = buffer
    unsafe op.pointee.bufferBytes = bytes
  }

  /// A piece with memory of its own has been read: its bytes go where the request is answered from.
  func joinPiece(_ index: UInt32) {
    let op = unsafe operation(index)
    let whole = unsafe operation(op.pointee.parent)
    guard let target = unsafe whole.pointee.payload, let source = unsafe op.pointee.payload else { return }
    let place = unsafe Int(op.pointee.offset - whole.pointee.offset)
    unsafe (target + place).copyMemory(from: source, byteCount: Int(op.pointee.length))
  }

  /// Has the chosen copy read.
  func startRead(_ index: UInt32, isWatched: Bool) {
    let op = unsafe operation(index)
    let view = unsafe op.pointee.view
    let start = unsafe Block.floor(op.pointee.offset)
    let length = unsafe Block.ceiling(op.pointee.offset + op.pointee.length) - start
    beginTiming(index, isWatched: isWatched)
    unsafe emit(
      .read, for: index, length: length, offset: op.pointee.slotOffset + start & (view.extentBytes - 1),
      buffer: op.pointee.buffer)
  }

  /// The copy that a range is best read from, among those that were not tried yet; nil if there is none left.
  func readCopy(
    _ view: ExtentMapView, _ entry: MapEntry, from start: UInt64, to end: UInt64, besides tried: CopySet
  ) -> MapEntry? {
    let isTried = tried.contains(entry.address)
    let extent = start >> UInt64(view.extentShift)
    guard let line = view.shadows(of: extent, entry) else { return isTried ? nil : entry.address }
    let parts = view.parts(from: start, to: end)
    var best = isTried ? nil : Optional(entry.address)
    for number in 0..<ShadowLine.shadowsMax {
      let shadow = line.shadow(number).address
      guard line.mayRead(number, parts) || Canary.readsStaleShadows.isOut && shadow.isMapped else { continue }
      if tried.contains(shadow) { continue }
      if let found = best, !isBetter(shadow, than: found) { continue }
      best = shadow
    }
    return best
  }

  /// Whether one copy is better read than another: not one that is away, has failed or is sat out, rather
  /// one that has nothing overdue, then the one that is expected to be faster, or else of the faster tier.
  private func isBetter(_ copy: MapEntry, than other: MapEntry) -> Bool {
    let (away, otherAway) = (shared.stores.isAway(copy.store), shared.stores.isAway(other.store))
    if away != otherAway { return otherAway }
    let (failed, otherFailed) = (shared.stores.hasFailed(copy.store), shared.stores.hasFailed(other.store))
    if failed != otherFailed { return otherFailed }
    let (isOut, isOtherOut) = (shared.stores.isSatOut(copy.store), shared.stores.isSatOut(other.store))
    if isOut != isOtherOut { return isOtherOut }
    let (pace, otherPace) = (readPaces[Int(copy.store.rawValue)], readPaces[Int(other.store.rawValue)])
    if (pace.overdue > 0) != (otherPace.overdue > 0) { return otherPace.overdue > 0 }
    let (expected, otherExpected) = (pace.expected(at: now), otherPace.expected(at: now))
    if expected != otherExpected { return expected < otherExpected }
    return shared.stores.tier(of: copy.store) < shared.stores.tier(of: other.store)
  }

  /// Reads from another copy what could not be read from one; false if there is no other.
  private func readElsewhere(_ index: UInt32) -> Bool {
    let op = unsafe operation(index)
    let view = unsafe op.pointee.view
    let start = unsafe Block.floor(op.pointee.offset)
    let end = unsafe Block.ceiling(op.pointee.offset + op.pointee.length)
    let extent = start >> UInt64(view.extentShift)
    let entry = view.entry(extent)
    guard entry.isMapped, entry.isShadowed else { return false }
    guard unsafe op.pointee.copies.count < CopySet.countMax else { return false }
    let bad = unsafe op.pointee.copy
    unsafe op.pointee.copies.insert(bad)
    let tried = unsafe op.pointee.copies
    guard let copy = readCopy(view, entry, from: start, to: end, besides: tried) else { return false }
    noteUnreadable(index, extent, bad)
    unsafe op.pointee.result = 0
    choose(copy, for: index)
    startRead(index, isWatched: true)
    return true
  }

  func finishRead(_ index: UInt32) {
    let op = unsafe operation(index)
    endTiming(index)
    if unsafe op.pointee.twin != Operation.none, !leaveTwin(index) { return }
    if unsafe op.pointee.result != 0 && readElsewhere(index) { return }
    leaveGracePeriod(index)
    if unsafe op.pointee.result != 0 {
      unsafe op.pointee.error = StoreErrno.wire(-op.pointee.result)
    }
    finishPart(index)
  }
}
