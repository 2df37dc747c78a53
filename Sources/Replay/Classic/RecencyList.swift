/// Extents by number in an order that can be changed anywhere in constant time.
struct RecencyList {
  private var newer: [Int32]
  private var older: [Int32]
  private var isIn: [Bool]
  private(set) var newest: Int32 = -1
  private(set) var oldest: Int32 = -1
  private(set) var count = 0

  init(footprint: Int) {
    newer = Array(repeating: -1, count: footprint)
    older = newer
    isIn = Array(repeating: false, count: footprint)
  }

  func contains(_ number: Int) -> Bool { isIn[number] }

  /// The one put in before this one; -1 at the end.
  func next(newerThan number: Int) -> Int { Int(newer[number]) }

  mutating func pushNewest(_ number: Int) {
    newer[number] = -1
    older[number] = newest
    if newest >= 0 { newer[Int(newest)] = Int32(number) } else { oldest = Int32(number) }
    newest = Int32(number)
    isIn[number] = true
    count += 1
  }

  mutating func remove(_ number: Int) {
    if newer[number] >= 0 { older[Int(newer[number])] = older[number] } else { newest = older[number] }
    if older[number] >= 0 { newer[Int(older[number])] = newer[number] } else { oldest = newer[number] }
    isIn[number] = false
    count -= 1
  }

  mutating func moveToNewest(_ number: Int) {
    remove(number)
    pushNewest(number)
  }

  /// Takes the oldest one out; nil if the list is empty.
  mutating func popOldest() -> Int? {
    guard oldest >= 0 else { return nil }
    let number = Int(oldest)
    remove(number)
    return number
  }
}
