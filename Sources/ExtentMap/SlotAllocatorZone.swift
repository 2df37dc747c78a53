/// One zone of a store: which size it is dedicated to, and which of its slots are in use. 16 bytes.
struct SlotZone: Sendable {
  /// Up to 64 slots: the bitmap itself, 1 = in use. More: where the bitmap begins in `SlotBitmaps`.
  private var bits: UInt64 = 0
  /// Slots in use.
  private(set) var used: Int {
    get { Int(usedCount) }
    set { usedCount = UInt16(newValue) }
  }
  private var usedCount: UInt16 = 0
  /// 1 + the size class; 0 = free.
  private var classPlusOne: UInt8 = 0

  var isFree: Bool { classPlusOne == 0 }

  /// −1 if the zone is free.
  var sizeClass: Int { Int(classPlusOne) - 1 }

  /// Words of the bitmap that lie in `SlotBitmaps`; 0 if it fits `bits`.
  private var wordCount: Int { SlotBitmaps.words(ofClass: sizeClass) }

  mutating func dedicate(to sizeClass: Int, _ bitmaps: inout SlotBitmaps) {
    assert(isFree)
    classPlusOne = UInt8(sizeClass + 1)
    let words = SlotBitmaps.words(ofClass: sizeClass)
    bits = words == 0 ? 0 : UInt64(bitmaps.take(sizeClass))
    usedCount = 0
  }

  mutating func retire(_ bitmaps: inout SlotBitmaps) {
    assert(usedCount == 0)
    if wordCount > 0 { bitmaps.giveBack(Int(bits), sizeClass) }
    classPlusOne = 0
    bits = 0
  }

  /// Marks a slot as used; false if it was already.
  mutating func set(_ index: Int, _ bitmaps: inout SlotBitmaps) -> Bool {
    let mask: UInt64 = 1 << UInt64(index & 63)
    if wordCount == 0 {
      guard bits & mask == 0 else { return false }
      bits |= mask
    } else {
      let word = Int(bits) + index >> 6
      guard bitmaps.storage[word] & mask == 0 else { return false }
      bitmaps.storage[word] |= mask
    }
    usedCount += 1
    return true
  }

  /// Marks a slot as free; false if it was already.
  mutating func clear(_ index: Int, _ bitmaps: inout SlotBitmaps) -> Bool {
    let mask: UInt64 = 1 << UInt64(index & 63)
    if wordCount == 0 {
      guard bits & mask != 0 else { return false }
      bits &= ~mask
    } else {
      let word = Int(bits) + index >> 6
      guard bitmaps.storage[word] & mask != 0 else { return false }
      bitmaps.storage[word] &= ~mask
    }
    usedCount -= 1
    return true
  }

  /// The lowest slot that is not in use; there must be one.
  func firstFree(_ bitmaps: borrowing SlotBitmaps) -> Int {
    if wordCount == 0 { return (~bits).trailingZeroBitCount }
    for word in 0..<wordCount {
      let inverse = ~bitmaps.storage[Int(bits) + word]
      if inverse != 0 { return word << 6 | inverse.trailingZeroBitCount }
    }
    preconditionFailure("the zone is full")
  }
}

/// Bitmaps of zones with more than 64 slots: 2, 4, 8 or 16 words each, in one array.
struct SlotBitmaps: Sendable {
  var storage: [UInt64] = []
  /// Bitmaps that were given back, all zero, by size class.
  private var spare: [[UInt32]] = [[], [], [], []]

  /// Words of a zone's bitmap; 0 if it fits one word, which the zone has itself.
  static func words(ofClass sizeClass: Int) -> Int { sizeClass < 4 ? 16 >> sizeClass : 0 }

  mutating func take(_ sizeClass: Int) -> Int {
    if let place = spare[sizeClass].popLast() { return Int(place) }
    let place = storage.count
    storage.append(contentsOf: repeatElement(0, count: Self.words(ofClass: sizeClass)))
    return place
  }

  mutating func giveBack(_ place: Int, _ sizeClass: Int) {
    spare[sizeClass].append(UInt32(place))
  }
}

/// What is known of all zones of one slot size.
struct SlotClass: Sendable {
  /// The zone that a slot was last taken from; −1 if there is none. It may serve another size by now.
  var current = -1
  /// Free slots in zones of this size.
  var freeSlots: UInt64 = 0
  /// Zones of this size with a free slot. Made when the size is first used.
  private var open: BitTree?

  var firstOpen: Int? { open?.first }

  mutating func insertOpen(_ zone: Int, zoneCount: Int) {
    if open == nil { open = BitTree(limit: zoneCount) }
    open!.insert(zone)
  }

  mutating func removeOpen(_ zone: Int) {
    open?.remove(zone)
  }
}
