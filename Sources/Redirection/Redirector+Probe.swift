import ExtentMap
import Platform
public import Primitives
import Stores

/// Asks a store that nobody uses how it is: its recovery would not be noticed otherwise.
extension Redirector {
  /// Begins to read a block of the store's scratch area, and then to write it as it was. The store's meter
  /// says what comes of it.
  ///
  /// - Parameter owner: who asks; the operation finishes as theirs.
  /// - Returns: nil if there is no room for it now.
  public func probe(_ store: StoreID, owner: UInt64) -> UInt32? {
    guard hasRoom(pieces: 1), let buffer = unsafe arena.allocate(bytes: Int(Block.bytes)) else { return nil }
    let index = make(
      .probe,
      Request(
        view: .none, offset: 0, length: Block.bytes, flags: [], cookie: 0, owner: owner, volumeBytes: 0))
    let op = unsafe operation(index)
    unsafe op.pointee.buffer = buffer
    unsafe op.pointee.bufferBytes = Int(Block.bytes)
    unsafe op.pointee.step = .transferring
    unsafe op.pointee.store = store
    unsafe emit(
      .read, for: index, length: Block.bytes, offset: StoreCapabilities.scratchOffset, buffer: buffer)
    return index
  }

  /// Its read or its write has ended. A store that has failed is not written to.
  func advanceProbe(_ index: UInt32) {
    let op = unsafe operation(index)
    let store = unsafe op.pointee.store
    guard unsafe op.pointee.progress == 0 && op.pointee.result == 0, !shared.stores.hasFailed(store) else {
      finishRequest(index)
      return
    }
    unsafe op.pointee.progress = 1
    unsafe emit(
      .write, for: index, length: Block.bytes, offset: StoreCapabilities.scratchOffset,
      buffer: op.pointee.buffer)
  }
}
