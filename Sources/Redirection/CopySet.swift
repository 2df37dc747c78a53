import ExtentMap
import Primitives

/// Up to four copies of an extent, each on a store of its own: what an operation works on, or has tried.
struct CopySet {
  private var first = MapEntry.unmapped
  private var second = MapEntry.unmapped
  private var third = MapEntry.unmapped
  private var fourth = MapEntry.unmapped
  private(set) var count = 0

  /// Copies that an extent can have.
  static let countMax = 1 + ShadowLine.shadowsMax

  subscript(index: Int) -> MapEntry {
    switch index {
    case 0: first
    case 1: second
    case 2: third
    default: fourth
    }
  }

  /// Adds the address of a copy.
  mutating func insert(_ address: MapEntry) {
    switch count {
    case 0: first = address
    case 1: second = address
    case 2: third = address
    default: fourth = address
    }
    count += 1
    precondition(count <= Self.countMax)
  }

  func contains(_ address: MapEntry) -> Bool {
    for index in 0..<count where self[index] == address { return true }
    return false
  }

  func contains(in store: StoreID) -> Bool {
    for index in 0..<count where self[index].store == store { return true }
    return false
  }

  /// Takes the copy that lies in a store out.
  mutating func remove(in store: StoreID) {
    let all = self
    self = CopySet()
    for index in 0..<all.count where all[index].store != store { insert(all[index]) }
  }
}
