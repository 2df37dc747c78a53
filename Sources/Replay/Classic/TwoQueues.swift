/// 2Q, full version: a short first-in-first-out queue for what is new, LRU for what comes back after it
/// left that. Johnson and Shasha, *2Q: A Low Overhead High Performance Buffer Management Replacement
/// Algorithm* (VLDB '94), with its constants: a quarter of the tier for the queue, half for what is
/// remembered.
struct TwoQueues: ReplayPolicy {
  private var fresh: RecencyList
  private var ghosts: RecencyList
  private var main: RecencyList
  private let capacity: Int
  private let freshMax: Int
  private let ghostsMax: Int

  init(footprint: Int, capacity: Int) {
    fresh = RecencyList(footprint: footprint)
    ghosts = fresh
    main = fresh
    self.capacity = capacity
    freshMax = max(capacity / 4, 1)
    ghostsMax = max(capacity / 2, 1)
  }

  func holds(_ number: Int) -> Bool { fresh.contains(number) || main.contains(number) }

  mutating func touch(_ touch: ExtentTrace.Touch, index: Int, copies: inout [Int]) {
    let number = touch.number
    if main.contains(number) { return main.moveToNewest(number) }
    if fresh.contains(number) { return }
    copies.append(number)
    // Looked up first: the one that makes room may push it out of there.
    let isRemembered = ghosts.contains(number)
    if isRemembered { ghosts.remove(number) }
    makeRoom()
    if isRemembered { main.pushNewest(number) } else { fresh.pushNewest(number) }
  }

  private mutating func makeRoom() {
    guard fresh.count + main.count >= capacity else { return }
    if fresh.count > freshMax || main.count == 0, let number = fresh.popOldest() {
      ghosts.pushNewest(number)
      if ghosts.count > ghostsMax { _ = ghosts.popOldest() }
    } else {
      _ = main.popOldest()
    }
  }
}
