/// Clairvoyant: what will be touched last of all leaves, and nothing is admitted that would be touched
/// later than that. Belady, *A study of replacement algorithms for a virtual-storage computer* (1966), with
/// bypass.
///
/// With `uses` above 1 it is frugal: an extent is admitted only if so many of its next touches come before
/// what it would displace is touched again. It fetches nothing ahead, so that a policy that does can be
/// better.
struct Belady: ReplayPolicy {
  /// For each touch the one of the same extent that comes next; `never` if none does.
  private let next: [Int]
  private let uses: Int
  private let capacity: Int
  private var heap = LazyHeap()
  private var nextOfHeld: [Int]
  private var count = 0

  private static let never = Int.max / 2
  private static let notHeld = -1

  init(_ trace: ExtentTrace, capacity: Int, uses: Int = 1) {
    var next = [Int](repeating: Self.never, count: trace.touches.count)
    var last = [Int](repeating: Self.never, count: trace.footprint)
    for index in trace.touches.indices.reversed() {
      next[index] = last[trace.touches[index].number]
      last[trace.touches[index].number] = index
    }
    self.next = next
    self.uses = uses
    self.capacity = capacity
    nextOfHeld = Array(repeating: Self.notHeld, count: trace.footprint)
  }

  func holds(_ number: Int) -> Bool { nextOfHeld[number] != Self.notHeld }

  mutating func touch(_ touch: ExtentTrace.Touch, index: Int, copies: inout [Int]) {
    let number = touch.number
    let isHeld = holds(number)
    if !isHeld {
      var wanted = index
      for _ in 0..<uses where wanted < next.count { wanted = next[wanted] }
      guard wanted < Self.never else { return }
      if count == capacity {
        guard let farthest = farthest(), nextOfHeld[farthest] > wanted else { return }
        nextOfHeld[farthest] = Self.notHeld
        count -= 1
      }
      count += 1
      copies.append(number)
    }
    nextOfHeld[number] = next[index]
    heap.push(-next[index], number)
  }

  /// The held extent that is touched last of all.
  private mutating func farthest() -> Int? {
    while let (key, number) = heap.first {
      if nextOfHeld[number] == -key { return number }
      heap.removeFirst()
    }
    return nil
  }
}
