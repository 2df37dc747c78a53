/// Promotion by levels, after dm-cache's smq: an extent's level rises with its touches and falls with time;
/// one off the tier is copied at its fourth touch, and the oldest of the lowest level leaves. Zhou, Philbin
/// and Li, *The Multi-Queue Replacement Algorithm* (USENIX '01).
struct Multiqueue: ReplayPolicy {
  private var levels: [RecencyList]
  private var level: [UInt8]
  private var touches: [UInt32]
  private var lastTouch: [Int]
  private var isIn: [Bool]
  private var count = 0
  private let capacity: Int
  /// Touches of the trace after which what was not touched falls by a level.
  private let lifetime: Int

  private static let levelCount = 8
  /// A miss counts from this many touches on.
  private static let admitTouches: UInt32 = 4

  init(footprint: Int, capacity: Int) {
    levels = Array(repeating: RecencyList(footprint: footprint), count: Self.levelCount)
    level = Array(repeating: 0, count: footprint)
    touches = Array(repeating: 0, count: footprint)
    lastTouch = Array(repeating: 0, count: footprint)
    isIn = Array(repeating: false, count: footprint)
    self.capacity = capacity
    lifetime = capacity * 8
  }

  func holds(_ number: Int) -> Bool { isIn[number] }

  mutating func touch(_ touch: ExtentTrace.Touch, index: Int, copies: inout [Int]) {
    let number = touch.number
    let idle = index - lastTouch[number]
    if idle > lifetime { touches[number] >>= UInt32(min(idle / lifetime, 31)) }
    touches[number] += 1
    lastTouch[number] = index
    if isIn[number] {
      levels[Int(level[number])].remove(number)
    } else {
      guard touches[number] >= Self.admitTouches || count < capacity && touches[number] > 1 else { return }
      if count == capacity { evict(at: index) }
      copies.append(number)
      isIn[number] = true
      count += 1
    }
    level[number] = UInt8(min(31 - touches[number].leadingZeroBitCount, Self.levelCount - 1))
    levels[Int(level[number])].pushNewest(number)
  }

  private mutating func evict(at index: Int) {
    for queue in 1..<Self.levelCount {
      while levels[queue].oldest >= 0, index - lastTouch[Int(levels[queue].oldest)] > lifetime,
        let number = levels[queue].popOldest()
      {
        level[number] = UInt8(queue - 1)
        lastTouch[number] = index
        levels[queue - 1].pushNewest(number)
      }
    }
    for queue in levels.indices {
      if let number = levels[queue].popOldest() {
        isIn[number] = false
        touches[number] = 0
        count -= 1
        return
      }
    }
  }
}
