/// A set of small numbers that finds its least member in a few steps: a tree of 64-way bitmaps.
///
/// One bit per possible member, plus 1/64 of that for each level above.
struct BitTree: Sendable {
  /// `levels[0]` has one bit per member; a bit of a higher level says that the word below is not zero.
  private var levels: [[UInt64]] = []

  /// An empty set of numbers below `limit`.
  init(limit: Int) {
    var words = limit
    repeat {
      words = max(1, (words + 63) / 64)
      levels.append([UInt64](repeating: 0, count: words))
    } while words > 1
  }

  /// The set of all numbers below `count`.
  init(filledTo count: Int) {
    self.init(limit: count)
    for level in levels.indices {
      let members = level == 0 ? count : levels[level - 1].count { $0 != 0 }
      for word in levels[level].indices {
        let inside = members - word * 64
        levels[level][word] = inside >= 64 ? ~0 : inside <= 0 ? 0 : (1 << UInt64(inside)) - 1
      }
    }
  }

  func contains(_ member: Int) -> Bool {
    levels[0][member >> 6] & (1 << UInt64(member & 63)) != 0
  }

  mutating func insert(_ member: Int) {
    var index = member
    for level in levels.indices {
      let word = index >> 6
      let before = levels[level][word]
      levels[level][word] = before | 1 << UInt64(index & 63)
      if before != 0 { return }
      index = word
    }
  }

  mutating func remove(_ member: Int) {
    var index = member
    for level in levels.indices {
      let word = index >> 6
      levels[level][word] &= ~(1 << UInt64(index & 63))
      if levels[level][word] != 0 { return }
      index = word
    }
  }

  /// The least member; nil if there is none.
  var first: Int? {
    guard levels[levels.count - 1][0] != 0 else { return nil }
    var index = 0
    for level in levels.indices.reversed() {
      index = index << 6 | levels[level][index].trailingZeroBitCount
    }
    return index
  }
}
