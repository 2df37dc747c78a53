import ExtentMap
import Measurement
import Primitives

/// Counts what stores do, for whoever watches their health: their reads, writes and synchronizations, whoever
/// wanted them.
extension Redirector {
  /// A directive of an operation has ended.
  ///
  /// What is only asked of the file system (zeroing, reserving, giving back) takes as long as it likes; but
  /// if it fails, that is a failed write.
  @inline(__always)
  func meter(_ index: UInt32, _ token: UInt64, _ result: Int32) {
    let expected = Token.expectedBytes(token)
    if expected > 0 {
      meterTransfer(index, Token.store(token), expected, result)
    } else if result < 0, result != -StoreErrno.notSupported, result != -StoreErrno.noSpace {
      meters[Token.store(token)].begin()
      meter(.write, in: Token.store(token), result, since: now)
    }
  }

  @inline(__always)
  private func meterTransfer(_ index: UInt32, _ store: StoreID, _ expected: Int32, _ result: Int32) {
    let op = unsafe operation(index)
    let operation: StoreOperation = isReading(index) ? .read : .write
    if result == expected {
      unsafe meters[store].succeed(
        operation, bytes: UInt64(expected), nanoseconds: now - min(now, op.pointee.emitted))
    } else {
      meter(operation, in: store, min(result, -1), since: now)
    }
  }

  /// Whether the transfers that the operation has under way are reads.
  @inline(__always)
  func isReading(_ index: UInt32) -> Bool {
    let op = unsafe operation(index)
    switch unsafe op.pointee.kind {
    case .read, .scan: return true
    case .move: return unsafe op.pointee.move.phase != .writing
    case .probe: return unsafe op.pointee.progress == 0
    default: return unsafe op.pointee.step == .readingEdges
    }
  }

  /// An operation has ended that the store's meter has seen begin.
  func meter(_ operation: StoreOperation, in store: StoreID, _ result: Int32, since began: UInt64) {
    if result >= 0 {
      meters[store].succeed(operation, bytes: 0, nanoseconds: now - min(now, began))
    } else if StoreErrno.isSilence(result) {
      // The connection's fault, which is watched by other means; the store has not failed at anything.
      meters[store].withdraw()
      meters[store].missDeadline()
    } else {
      meters[store].fail(operation)
    }
  }

  /// A request of a client has ended.
  @inline(__always)
  func meterRequest(_ index: UInt32) {
    let op = unsafe operation(index)
    let kind = unsafe op.pointee.kind
    guard kind == .read || kind == .write, unsafe op.pointee.error == nil,
      unsafe !op.pointee.flags.contains(.hole)
    else { return }
    unsafe meters.requests.succeed(
      kind == .read ? .read : .write, bytes: op.pointee.length,
      nanoseconds: now - min(now, op.pointee.arrived))
  }
}
