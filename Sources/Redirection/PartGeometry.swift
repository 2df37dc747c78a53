import Primitives

/// How a byte range within one extent lies on blocks.
struct PartGeometry {
  let start: UInt64
  let end: UInt64

  init(start: UInt64, length: UInt64) {
    self.start = start
    end = start + length
  }

  var blockStart: UInt64 { Block.floor(start) }
  var blockEnd: UInt64 { Block.ceiling(end) }
  var blocks: Range<UInt64> { start >> Block.shift..<blockEnd >> Block.shift }
  var isOneBlock: Bool { blockEnd - blockStart == Block.bytes }

  /// Bytes of the first block before the range, and of the last block after it.
  var headBytes: Int { Int(start - blockStart) }
  var tailBytes: Int { Int(blockEnd - end) }
  var hasEdges: Bool { headBytes > 0 || tailBytes > 0 }

  /// Which blocks have to be read before the range can be written. A single block is the first.
  var readsFirstBlock: Bool { headBytes > 0 || (tailBytes > 0 && isOneBlock) }
  var readsLastBlock: Bool { tailBytes > 0 && !isOneBlock }

  /// The whole blocks inside the range; empty if there is none.
  var middle: Range<UInt64> {
    let from = Block.ceiling(start)
    return from..<max(from, Block.floor(end))
  }

  /// Zeroes what the range covers of the blocks read into `first` and `last`.
  func clear(first: UnsafeMutableRawPointer, last: UnsafeMutableRawPointer) {
    if readsFirstBlock {
      let to = isOneBlock ? Int(Block.bytes) - tailBytes : Int(Block.bytes)
      unsafe (first + headBytes).initializeMemory(as: UInt8.self, repeating: 0, count: to - headBytes)
    }
    if readsLastBlock {
      unsafe last.initializeMemory(as: UInt8.self, repeating: 0, count: Int(Block.bytes) - tailBytes)
    }
  }
}
