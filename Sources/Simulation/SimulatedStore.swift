import Glibc

/// A disk with a *live* image, which reads return, and a *durable* one, which survives a crash.
///
/// Both begin full of garbage, so that a slot that is not prepared before it is used shows. A write reaches
/// the durable image when it is synchronized, or block by block whenever the disk feels like it.
@safe
package final class SimulatedStore {
  /// Bytes of a block: the unit that is written whole or not at all.
  package static let blockBytes = 4096
  /// What the disk is full of at the beginning.
  package static let garbage: UInt8 = 0xee

  /// Bytes of the disk.
  package let count: Int
  private let live: UnsafeMutableRawPointer
  private let durable: UnsafeMutableRawPointer
  /// By block: when it was written first and last since it was durable; 0 if it is.
  private var firstWrites: [UInt64]
  private var lastWrites: [UInt64]
  private var dirtyBlocks: [Int] = []
  private var writes: UInt64 = 0

  /// A disk of `count` bytes, a multiple of the block size.
  package init(count: Int) {
    precondition(count % Self.blockBytes == 0)
    self.count = count
    unsafe live = .allocate(byteCount: count, alignment: 4096)
    unsafe durable = .allocate(byteCount: count, alignment: 4096)
    unsafe memset(live, Int32(Self.garbage), count)
    unsafe memset(durable, Int32(Self.garbage), count)
    firstWrites = [UInt64](repeating: 0, count: count / Self.blockBytes)
    lastWrites = firstWrites
  }

  deinit {
    unsafe live.deallocate()
    unsafe durable.deallocate()
  }

  private func blocks(_ offset: Int, _ length: Int) -> Range<Int> {
    precondition(offset % Self.blockBytes == 0 && length % Self.blockBytes == 0, "not on block borders")
    precondition(offset >= 0 && length > 0 && offset + length <= count, "outside the disk")
    return offset / Self.blockBytes..<(offset + length) / Self.blockBytes
  }

  private func touch(_ block: Int) {
    writes += 1
    lastWrites[block] = writes
    if firstWrites[block] > 0 { return }
    firstWrites[block] = writes
    dirtyBlocks.append(block)
  }

  private func makeDurable(_ block: Int) {
    let place = block * Self.blockBytes
    unsafe memcpy(durable + place, live + place, Self.blockBytes)
  }

  private func forget(_ block: Int) {
    firstWrites[block] = 0
    lastWrites[block] = 0
  }

  /// Copies a range out.
  package func read(_ offset: Int, _ length: Int, into buffer: UnsafeMutableRawPointer) {
    _ = blocks(offset, length)
    unsafe memcpy(buffer, live + offset, length)
  }

  /// Changes the blocks of a range that `includes` admits: to what `buffer` holds, or to zeros without one.
  package func write(
    _ offset: Int, _ length: Int, from buffer: UnsafeRawPointer?, durably: Bool = false,
    where includes: (Int) -> Bool = { _ in true }
  ) {
    let range = blocks(offset, length)
    for block in range where includes(block - range.lowerBound) {
      let place = block * Self.blockBytes
      if let buffer = unsafe buffer {
        unsafe memcpy(live + place, buffer + (place - offset), Self.blockBytes)
      } else {
        unsafe memset(live + place, 0, Self.blockBytes)
      }
      touch(block)
      if durably { makeDurable(block) }
    }
  }

  /// What a synchronization that begins now will have made durable when it ends: what was written before.
  package var synchronizationPoint: UInt64 { writes }

  /// Ends a synchronization that began at `point`; what was written meanwhile may become durable too.
  package func synchronize(upTo point: UInt64, where chooses: (Int) -> Bool) {
    dirtyBlocks.removeAll { block in
      guard firstWrites[block] <= point || chooses(block) else { return false }
      makeDurable(block)
      guard lastWrites[block] <= point else {
        firstWrites[block] = lastWrites[block]
        return false
      }
      forget(block)
      return true
    }
  }

  /// Makes durable what `chooses` admits, unasked, as a disk may at any time.
  package func persist(where chooses: (Int) -> Bool) {
    dirtyBlocks.removeAll { block in
      guard chooses(block) else { return false }
      makeDurable(block)
      forget(block)
      return true
    }
  }

  /// Writeback fails: what `chooses` admits is forgotten, and will never become durable.
  package func loseWriteback(where chooses: (Int) -> Bool) {
    dirtyBlocks.removeAll { block in
      guard chooses(block) else { return false }
      forget(block)
      return true
    }
  }

  /// Power goes: the live image becomes the durable one, after the blocks that `survives` admits.
  package func crash(where survives: (Int) -> Bool) {
    persist(where: survives)
    dirtyBlocks.forEach(forget)
    dirtyBlocks = []
    unsafe memcpy(live, durable, count)
  }

  /// A bit of a byte changes for good, and nobody is told.
  package func flipBit(_ offset: Int) {
    unsafe (live + offset).storeBytes(of: (live + offset).load(as: UInt8.self) ^ 1, as: UInt8.self)
    unsafe (durable + offset).storeBytes(of: (durable + offset).load(as: UInt8.self) ^ 1, as: UInt8.self)
  }

  /// Everything is garbage again.
  package func wipe() {
    dirtyBlocks.forEach(forget)
    dirtyBlocks = []
    unsafe memset(live, Int32(Self.garbage), count)
    unsafe memset(durable, Int32(Self.garbage), count)
  }

  /// Whether a durable block still holds the garbage of the beginning.
  package func hasDurableGarbage(_ offset: Int, _ length: Int) -> Bool {
    blocks(offset, length).contains { block in
      unsafe (durable + block * Self.blockBytes).load(as: UInt8.self) == Self.garbage
    }
  }
}
