/// Least recently used: everything that is touched is admitted, what was not touched for longest leaves.
struct LRU: ReplayPolicy {
  private var list: RecencyList
  private let capacity: Int

  init(footprint: Int, capacity: Int) {
    list = RecencyList(footprint: footprint)
    self.capacity = capacity
  }

  func holds(_ number: Int) -> Bool { list.contains(number) }

  mutating func touch(_ touch: ExtentTrace.Touch, index: Int, copies: inout [Int]) {
    if list.contains(touch.number) { return list.moveToNewest(touch.number) }
    if list.count == capacity { _ = list.popOldest() }
    list.pushNewest(touch.number)
    copies.append(touch.number)
  }
}

/// LRU that admits at the n-th touch while the extent is remembered; as many extents are as the tier holds.
struct SelectiveLRU: ReplayPolicy {
  private var list: RecencyList
  private var ghosts: RecencyList
  private var touches: [UInt8]
  private let capacity: Int
  private let admitAt: UInt8

  init(footprint: Int, capacity: Int, admitAt: UInt8) {
    list = RecencyList(footprint: footprint)
    ghosts = RecencyList(footprint: footprint)
    touches = Array(repeating: 0, count: footprint)
    self.capacity = capacity
    self.admitAt = admitAt
  }

  func holds(_ number: Int) -> Bool { list.contains(number) }

  mutating func touch(_ touch: ExtentTrace.Touch, index: Int, copies: inout [Int]) {
    let number = touch.number
    if list.contains(number) { return list.moveToNewest(number) }
    if ghosts.contains(number) {
      ghosts.remove(number)
      touches[number] += 1
    } else {
      touches[number] = 1
    }
    guard touches[number] >= admitAt else {
      if ghosts.count == capacity { _ = ghosts.popOldest() }
      return ghosts.pushNewest(number)
    }
    if list.count == capacity { _ = list.popOldest() }
    list.pushNewest(number)
    copies.append(number)
  }
}

/// No fast tier.
struct NoTiering: ReplayPolicy {
  func holds(_ number: Int) -> Bool { false }
  mutating func touch(_ touch: ExtentTrace.Touch, index: Int, copies: inout [Int]) {}
}
