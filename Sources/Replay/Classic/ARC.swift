/// Adaptive replacement: a list of extents touched once and one of those touched again, whose sizes follow
/// the hits on what each has lost. Megiddo and Modha, *ARC: A Self-Tuning, Low Overhead Replacement Cache*
/// (FAST '03), fig. 4.
struct ARC: ReplayPolicy {
  private var once: RecencyList
  private var again: RecencyList
  private var onceGhosts: RecencyList
  private var againGhosts: RecencyList
  private let capacity: Int
  /// What `once` is to have.
  private var target = 0.0

  init(footprint: Int, capacity: Int) {
    once = RecencyList(footprint: footprint)
    again = once
    onceGhosts = once
    againGhosts = once
    self.capacity = capacity
  }

  func holds(_ number: Int) -> Bool { once.contains(number) || again.contains(number) }

  mutating func touch(_ touch: ExtentTrace.Touch, index: Int, copies: inout [Int]) {
    let number = touch.number
    if once.contains(number) {
      once.remove(number)
      return again.pushNewest(number)
    }
    if again.contains(number) { return again.moveToNewest(number) }
    copies.append(number)
    if onceGhosts.contains(number) {
      target = min(Double(capacity), target + max(1, Double(againGhosts.count) / Double(onceGhosts.count)))
      replace(isInAgainGhosts: false)
      onceGhosts.remove(number)
      again.pushNewest(number)
    } else if againGhosts.contains(number) {
      target = max(0, target - max(1, Double(onceGhosts.count) / Double(againGhosts.count)))
      replace(isInAgainGhosts: true)
      againGhosts.remove(number)
      again.pushNewest(number)
    } else {
      makeRoomForNew()
      once.pushNewest(number)
    }
  }

  private mutating func makeRoomForNew() {
    if once.count + onceGhosts.count == capacity {
      if once.count < capacity {
        _ = onceGhosts.popOldest()
        replace(isInAgainGhosts: false)
      } else {
        _ = once.popOldest()
      }
    } else {
      let total = once.count + again.count + onceGhosts.count + againGhosts.count
      guard total >= capacity else { return }
      if total == 2 * capacity { _ = againGhosts.popOldest() }
      replace(isInAgainGhosts: false)
    }
  }

  private mutating func replace(isInAgainGhosts: Bool) {
    guard once.count + again.count >= capacity else { return }
    let size = Double(once.count)
    if once.count > 0, size > target || (isInAgainGhosts && size == target) {
      if let number = once.popOldest() { onceGhosts.pushNewest(number) }
    } else if let number = again.popOldest() {
      againGhosts.pushNewest(number)
    } else if let number = once.popOldest() {
      onceGhosts.pushNewest(number)
    }
  }
}
