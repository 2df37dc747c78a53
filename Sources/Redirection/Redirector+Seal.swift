import ExtentMap
import NBDWire
import Platform
import Primitives

/// Closed extents: writers that come to one, and reading one for its checksum (invariant 10).
extension Redirector {
  /// A writer has come to a closed extent: it goes on at once if there is no seal, or when the catalog has
  /// forgotten it.
  func open(_ index: UInt32, _ extent: UInt64) {
    let op = unsafe operation(index)
    // Looked at first: room that there is after this is noticed.
    let spaceChanges = shared.reclaimer.spaceChanges
    switch unsafe shared.changes.open(extent, of: op.pointee.view) {
    case .open:
      tryPart(index)
    case .pending:
      unsafe op.pointee.step = .activating
      wait(forFlush: index)
    case .full:
      if !waitForChanges(index, since: spaceChanges) { finishPiece(index) }
    }
  }

  /// Begins a step of a scan, for the control plane.
  ///
  /// - Parameter request: the volume's map, any offset of the extent, and who asks.
  /// - Returns: the operation that will finish, see `scanOutcome(_:)`; nil if there is no room for it now.
  public func scan(_ scan: Scan, _ request: Request) -> UInt32? {
    guard hasRoom(pieces: 1) else { return nil }
    let view = request.view
    let bytes = Int(min(Scan.bytesPerUnit, view.extentBytes))
    guard let buffer = unsafe arena.allocate(bytes: bytes) else { return nil }
    let index = make(.scan, request)
    let op = unsafe operation(index)
    unsafe op.pointee.buffer = buffer
    unsafe op.pointee.bufferBytes = bytes
    unsafe op.pointee.cursor = request.offset & ~(view.extentBytes - 1)
    unsafe op.pointee.partLength = view.extentBytes
    unsafe op.pointee.length = 0
    unsafe op.pointee.scan = scan
    enterGracePeriod(index)
    scanNext(index)
    return index
  }

  /// How a step of a scan has ended, and the bytes that it has read.
  public func scanOutcome(_ index: UInt32) -> (outcome: ScanOutcome, readBytes: UInt64) {
    let op = unsafe operation(index)
    return unsafe (op.pointee.scanOutcome, op.pointee.length)
  }

  private func scanNext(_ index: UInt32) {
    let op = unsafe operation(index)
    let scan = unsafe op.pointee.scan
    let view = unsafe op.pointee.view
    guard let copy = scannedCopy(index) else {
      endScan(index, .void)
      return
    }
    // Those that are counted since it was closed have gone before they wrote anything, and opened it. One
    // that was there before may still write.
    let extent = unsafe op.pointee.cursor >> UInt64(view.extentShift)
    if scan.since.isWatched, scan.offset == 0, view.entry(extent).writers > 0 {
      endScan(index, .busy)
      return
    }
    let isEnough = unsafe op.pointee.length >= Scan.bytesPerStep
    guard scan.offset < view.extentBytes, !isEnough else {
      endScan(index, .read(scan))
      return
    }
    unsafe op.pointee.step = .transferring
    choose(copy, for: index)
    unsafe emit(
      .read, for: index, length: min(UInt64(op.pointee.bufferBytes), view.extentBytes - scan.offset),
      offset: op.pointee.slotOffset + scan.offset, buffer: op.pointee.buffer)
  }

  /// A part has been read.
  func advanceScan(_ index: UInt32) {
    let op = unsafe operation(index)
    if unsafe op.pointee.result != 0 {
      let errno = unsafe -op.pointee.result
      if scannedCopy(index) == nil {
        endScan(index, .void)
      } else {
        endScan(index, errno == StoreErrno.io ? .unreadable(errno) : .unreachable(errno))
      }
      return
    }
    let left = unsafe op.pointee.view.extentBytes - op.pointee.scan.offset
    let bytes = unsafe min(UInt64(op.pointee.bufferBytes), left)
    unsafe op.pointee.scan.checksum.add(
      UnsafeRawBufferPointer(start: op.pointee.buffer, count: Int(bytes)))
    unsafe op.pointee.scan.offset += bytes
    unsafe op.pointee.length += bytes
    scanNext(index)
  }

  /// Where the copy lies, if the extent is as it was when the scan began, and the copy is equal to the live
  /// one as far as anybody knows.
  private func scannedCopy(_ index: UInt32) -> MapEntry? {
    let op = unsafe operation(index)
    let view = unsafe op.pointee.view
    let scan = unsafe op.pointee.scan
    let extent = unsafe op.pointee.cursor >> UInt64(view.extentShift)
    let entry = view.entry(extent)
    guard entry.isMapped, view.seal(extent).isUntouched(since: scan.since) else { return nil }
    if entry.store == scan.store { return entry.address }
    guard let line = view.shadows(of: extent, entry), let number = line.number(in: scan.store),
      line.isSynced(number)
    else { return nil }
    return line.shadow(number).address
  }

  private func endScan(_ index: UInt32, _ outcome: ScanOutcome) {
    unsafe operation(index).pointee.scanOutcome = outcome
    leaveGracePeriod(index)
    finishRequest(index)
  }
}
