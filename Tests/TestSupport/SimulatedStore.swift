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
  private var isDirty: [Bool]
  private var dirtyBlocks: [Int] = []

  /// A disk of `count` bytes, a multiple of the block size.
  package init(count: Int) {
    precondition(count % Self.blockBytes == 0)
    self.count = count
    unsafe live = .allocate(byteCount: count, alignment: 4096)
    unsafe durable = .allocate(byteCount: count, alignment: 4096)
    unsafe memset(live, Int32(Self.garbage), count)
    unsafe memset(durable, Int32(Self.garbage), count)
    isDirty = [Bool](repeating: false, count: count / Self.blockBytes)
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
    if isDirty[block] { return }
    isDirty[block] = true
    dirtyBlocks.append(block)
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
      if durably {
        unsafe memcpy(durable + place, live + place, Self.blockBytes)
      }
      touch(block)
    }
  }

  /// Makes everything written so far durable.
  package func synchronize() {
    persist { _ in true }
  }

  /// Makes durable what `chooses` admits, unasked, as a disk may at any time.
  package func persist(where chooses: (Int) -> Bool) {
    var rest: [Int] = []
    for block in dirtyBlocks {
      if chooses(block) {
        let place = block * Self.blockBytes
        unsafe memcpy(durable + place, live + place, Self.blockBytes)
        isDirty[block] = false
      } else {
        rest.append(block)
      }
    }
    dirtyBlocks = rest
  }

  /// Writeback fails: what `chooses` admits is forgotten, and will never become durable.
  package func loseWriteback(where chooses: (Int) -> Bool) {
    dirtyBlocks.removeAll { block in
      guard chooses(block) else { return false }
      isDirty[block] = false
      return true
    }
  }

  /// Power goes: the live image becomes the durable one, after the blocks that `survives` admits.
  package func crash(where survives: (Int) -> Bool) {
    persist(where: survives)
    dirtyBlocks = []
    isDirty = [Bool](repeating: false, count: isDirty.count)
    unsafe memcpy(live, durable, count)
  }

  /// Whether a durable block still holds the garbage of the beginning.
  package func hasDurableGarbage(_ offset: Int, _ length: Int) -> Bool {
    blocks(offset, length).contains { block in
      unsafe (durable + block * Self.blockBytes).load(as: UInt8.self) == Self.garbage
    }
  }
}
