import ExtentMap
import NBDWire
import Primitives
import Redirection

/// What the control plane has done by a reactor.
extension Reactor {
  /// Marks operations of the control plane.
  static let controlOwner = UInt64.max

  func flushForControl(_ volume: Volume?, _ done: @escaping @Sendable (NBDErrno?) -> Void) {
    let request = Request(
      view: volume?.map.view ?? .none, offset: 0, length: 0, flags: [], cookie: UInt64(controlFlushes.count),
      owner: Self.controlOwner, volumeBytes: 0)
    guard let index = redirector.controlFlush(request) else {
      done(.noMemory)
      return
    }
    controlFlushes[index] = ControlFlush(volume: volume, done: done)
  }

  func move(
    _ step: MoveStep, _ volume: Volume, _ extent: UInt64, _ target: StoreID, _ stride: CopyStride,
    _ done: @escaping @Sendable (MoveOutcome, UInt64) -> Void
  ) {
    let request = Request(
      view: volume.map.view, offset: extent * volume.extentBytes, length: volume.extentBytes, flags: [],
      cookie: 0, owner: Self.controlOwner, volumeBytes: 0)
    guard let index = redirector.move(step, request, target: target, stride) else {
      // Clients have taken all there is; whoever moves tries again later.
      done(.busy, 0)
      return
    }
    controlMoves[index] = ControlMove(volume: volume, done: done)
  }

  func scan(
    _ scan: Scan, _ volume: Volume, _ extent: UInt64,
    _ done: @escaping @Sendable (ScanOutcome, UInt64) -> Void
  ) {
    let request = Request(
      view: volume.map.view, offset: extent * volume.extentBytes, length: volume.extentBytes, flags: [],
      cookie: 0, owner: Self.controlOwner, volumeBytes: 0)
    guard let index = redirector.scan(scan, request) else {
      done(.busy, 0)
      return
    }
    controlScans[index] = ControlScan(volume: volume, done: done)
  }

  func probe(_ store: StoreID, _ done: @escaping @Sendable () -> Void) {
    guard environment.shared.stores.isPresent(store),
      let index = redirector.probe(store, owner: Self.controlOwner)
    else { return done() }
    controlProbes[index] = done
  }

  /// An operation of the control plane has ended.
  func finishForControl(_ operation: UInt32) {
    if let flush = controlFlushes.removeValue(forKey: operation) {
      unsafe flush.done(redirector.operation(operation).pointee.error)
    } else if let move = controlMoves.removeValue(forKey: operation) {
      let (outcome, bytes) = redirector.moveOutcome(operation)
      move.done(outcome, bytes)
    } else if let scan = controlScans.removeValue(forKey: operation) {
      let (outcome, bytes) = redirector.scanOutcome(operation)
      scan.done(outcome, bytes)
    } else if let done = controlProbes.removeValue(forKey: operation) {
      done()
    }
    redirector.release(operation)
  }
}

/// A flush that the control plane waits for. Its volume is kept as long as the flush uses its map.
struct ControlFlush {
  let volume: Volume?
  let done: @Sendable (NBDErrno?) -> Void
}

/// A step of a move, likewise.
struct ControlMove {
  let volume: Volume
  let done: @Sendable (MoveOutcome, UInt64) -> Void
}

/// A step of a scan, likewise.
struct ControlScan {
  let volume: Volume
  let done: @Sendable (ScanOutcome, UInt64) -> Void
}
