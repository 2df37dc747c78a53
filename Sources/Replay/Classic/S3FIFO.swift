/// Three first-in-first-out queues: a small one for what is new, the main one, and one of what left the
/// small one without being touched. Yang et al., *FIFO Queues are All You Need for Cache Eviction* (SOSP
/// '23): a tenth of the tier for the small queue, counters up to 3.
struct S3FIFO: ReplayPolicy {
  private var small: RecencyList
  private var main: RecencyList
  private var ghosts: RecencyList
  private var touches: [UInt8]
  private let capacity: Int
  private let smallMax: Int

  init(footprint: Int, capacity: Int) {
    small = RecencyList(footprint: footprint)
    main = small
    ghosts = small
    touches = Array(repeating: 0, count: footprint)
    self.capacity = capacity
    smallMax = max(capacity / 10, 1)
  }

  func holds(_ number: Int) -> Bool { small.contains(number) || main.contains(number) }

  mutating func touch(_ touch: ExtentTrace.Touch, index: Int, copies: inout [Int]) {
    let number = touch.number
    if holds(number) {
      touches[number] = min(touches[number] + 1, 3)
      return
    }
    copies.append(number)
    while small.count + main.count >= capacity {
      if small.count >= smallMax || main.count == 0 { evictSmall() } else { evictMain() }
    }
    touches[number] = 0
    if ghosts.contains(number) {
      ghosts.remove(number)
      main.pushNewest(number)
    } else {
      small.pushNewest(number)
    }
  }

  private mutating func evictSmall() {
    while let number = small.popOldest() {
      if touches[number] > 1 {
        touches[number] = 0
        main.pushNewest(number)
        if main.count > capacity - smallMax { return evictMain() }
      } else {
        ghosts.pushNewest(number)
        if ghosts.count > capacity - smallMax { _ = ghosts.popOldest() }
        return
      }
    }
  }

  private mutating func evictMain() {
    while let number = main.popOldest() {
      guard touches[number] > 0 else { return }
      touches[number] -= 1
      main.pushNewest(number)
    }
  }
}

/// One queue with a hand that spares what was touched since it passed. Zhang et al., *SIEVE is Simpler than
/// LRU* (NSDI '24).
struct Sieve: ReplayPolicy {
  private var queue: RecencyList
  private var isTouched: [Bool]
  private let capacity: Int
  private var hand = -1

  init(footprint: Int, capacity: Int) {
    queue = RecencyList(footprint: footprint)
    isTouched = Array(repeating: false, count: footprint)
    self.capacity = capacity
  }

  func holds(_ number: Int) -> Bool { queue.contains(number) }

  mutating func touch(_ touch: ExtentTrace.Touch, index: Int, copies: inout [Int]) {
    let number = touch.number
    if queue.contains(number) {
      isTouched[number] = true
      return
    }
    copies.append(number)
    if queue.count == capacity { evict() }
    isTouched[number] = false
    queue.pushNewest(number)
  }

  private mutating func evict() {
    var number = hand >= 0 ? hand : Int(queue.oldest)
    while isTouched[number] {
      isTouched[number] = false
      let next = queue.next(newerThan: number)
      number = next >= 0 ? next : Int(queue.oldest)
    }
    hand = queue.next(newerThan: number)
    queue.remove(number)
  }
}
