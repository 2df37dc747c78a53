import Forecasting

/// Extents by a key, the smallest first; keys that changed are looked at again when they come up.
struct LazyHeap {
  private var items: [(key: Int, number: Int)] = []

  mutating func push(_ key: Int, _ number: Int) {
    items.append((key, number))
    var child = items.count - 1
    while child > 0, items[child].key < items[(child - 1) / 2].key {
      items.swapAt(child, (child - 1) / 2)
      child = (child - 1) / 2
    }
  }

  var first: (key: Int, number: Int)? { items.first }

  mutating func removeFirst() {
    items.swapAt(0, items.count - 1)
    items.removeLast()
    var parent = 0
    while true {
      var least = 2 * parent + 1
      guard least < items.count else { return }
      if least + 1 < items.count, items[least + 1].key < items[least].key { least += 1 }
      guard items[least].key < items[parent].key else { return }
      items.swapAt(parent, least)
      parent = least
    }
  }
}

/// Least frequently used, with a floor that rises with each eviction so that old fame fades: LFU with dynamic
/// aging (Arlitt et al., *Evaluating Content Management Techniques for Web Proxy Caches*, 2000).
struct LFU: ReplayPolicy {
  private var heap = LazyHeap()
  private var keys: [Int]
  private var isIn: [Bool]
  private var count = 0
  private let capacity: Int
  private var floor = 0

  init(footprint: Int, capacity: Int) {
    keys = Array(repeating: 0, count: footprint)
    isIn = Array(repeating: false, count: footprint)
    self.capacity = capacity
  }

  func holds(_ number: Int) -> Bool { isIn[number] }

  mutating func touch(_ touch: ExtentTrace.Touch, index: Int, copies: inout [Int]) {
    let number = touch.number
    if isIn[number] {
      keys[number] += 1
      return
    }
    copies.append(number)
    if count == capacity { evict() }
    keys[number] = floor + 1
    isIn[number] = true
    count += 1
    heap.push(keys[number], number)
  }

  private mutating func evict() {
    while let (key, number) = heap.first {
      heap.removeFirst()
      if keys[number] == key {
        isIn[number] = false
        count -= 1
        floor = key
        return
      }
      heap.push(keys[number], number)
    }
  }
}

/// Tiering by epochs, as arrays of disks do it: every five minutes what was touched most by fading counts
/// is put on the tier.
struct Epochs: ReplayPolicy {
  private var heat: [Double]
  private var isIn: [Bool]
  private let capacity: Int
  private var nextEpoch = Self.epochMicroseconds

  private static let epochMicroseconds: UInt64 = 300_000_000
  /// What is left of a count after an epoch.
  private static let fading = 0.5

  init(footprint: Int, capacity: Int) {
    heat = Array(repeating: 0, count: footprint)
    isIn = Array(repeating: false, count: footprint)
    self.capacity = capacity
  }

  func holds(_ number: Int) -> Bool { isIn[number] }

  mutating func touch(_ touch: ExtentTrace.Touch, index: Int, copies: inout [Int]) {
    if touch.access.microseconds >= nextEpoch {
      plan(&copies)
      let passed = (touch.access.microseconds - nextEpoch) / Self.epochMicroseconds + 1
      nextEpoch += passed * Self.epochMicroseconds
      for number in heat.indices { heat[number] *= Self.power(Self.fading, Int(min(passed, 64))) }
    }
    heat[touch.number] += 1
  }

  private mutating func plan(_ copies: inout [Int]) {
    let hot = heat.indices.filter { heat[$0] > 0 }
      .sorted { (heat[$0], $1) > (heat[$1], $0) }.prefix(capacity)
    var isWanted = [Bool](repeating: false, count: heat.count)
    for number in hot {
      isWanted[number] = true
      if !isIn[number] { copies.append(number) }
    }
    isIn = isWanted
  }

  private static func power(_ base: Double, _ exponent: Int) -> Double {
    (0..<exponent).reduce(1) { product, _ in product * base }
  }
}
