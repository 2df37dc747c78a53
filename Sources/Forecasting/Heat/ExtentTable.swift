/// A hash table of fixed size from extents to small values.
///
/// Extents next to each other lie next to each other, eight to a group, so that a look at the neighbours
/// costs no further miss of the processor's cache. Collisions go to the next place (linear probing); a
/// removal moves back what was displaced, so there are no tombstones. Inlinable: the loops must be
/// specialized where they are used.
public struct ExtentTable<Value: BitwiseCopyable>: Sendable where Value: Sendable {
  /// The extent at each place, or `vacant`.
  @usableFromInline var extents: [UInt32]
  @usableFromInline var values: [Value]
  @usableFromInline let mask: Int
  /// Extents in the table.
  @inlinable public var count: Int { used }
  @usableFromInline var used = 0
  /// Extents at most: three quarters of the places.
  public let capacity: Int

  /// No extent has this number.
  @usableFromInline static var vacant: UInt32 { .max }
  @usableFromInline static var groupShift: Int { 3 }

  /// - Parameters:
  ///   - capacity: extents wanted; rounded up so that the places are a power of two.
  ///   - filler: what vacant places hold.
  public init(capacity: Int, filler: Value) {
    var places = 64
    while places * 3 / 4 < capacity { places *= 2 }
    mask = places - 1
    self.capacity = places * 3 / 4
    extents = Array(repeating: Self.vacant, count: places)
    values = Array(repeating: filler, count: places)
  }

  /// Bytes that the table takes, whatever is in it.
  public var bytes: Int { (mask + 1) * (MemoryLayout<Value>.stride + MemoryLayout<UInt32>.stride) }

  /// How many places there are, vacant ones too.
  public var placeCount: Int { mask + 1 }

  /// The value at a place.
  @inlinable public subscript(place: Int) -> Value {
    get { values[place] }
    _modify { yield &values[place] }
  }

  /// The extent at a place; nil if it is vacant.
  @inlinable public func extent(at place: Int) -> UInt32? {
    extents[place] == Self.vacant ? nil : extents[place]
  }

  /// Where the extent is; nil if it is not in the table. Adding and removing extents makes places invalid.
  @inlinable public func place(of extent: UInt32) -> Int? {
    var place = home(of: extent)
    while extents[place] != extent {
      if extents[place] == Self.vacant { return nil }
      place = (place + 1) & mask
    }
    return place
  }

  /// Adds an extent that is not in the table.
  ///
  /// - Returns: its place.
  @inlinable public mutating func add(_ extent: UInt32, _ value: Value) -> Int {
    precondition(extent != Self.vacant && used < capacity)
    var place = home(of: extent)
    while extents[place] != Self.vacant { place = (place + 1) & mask }
    extents[place] = extent
    values[place] = value
    used += 1
    return place
  }

  /// Removes what is at a place.
  @inlinable public mutating func remove(at removed: Int) {
    var hole = removed
    var next = (hole + 1) & mask
    while extents[next] != Self.vacant {
      // What lies behind the hole may fill it unless its home lies between the two.
      let distance = (next - home(of: extents[next])) & mask
      if distance >= (next - hole) & mask {
        extents[hole] = extents[next]
        values[hole] = values[next]
        hole = next
      }
      next = (next + 1) & mask
    }
    extents[hole] = Self.vacant
    used -= 1
  }

  @inlinable func home(of extent: UInt32) -> Int {
    let group = UInt64(extent >> UInt32(Self.groupShift)) &* 0x9e37_79b9_7f4a_7c15
    let low = Int(extent) & (1 << Self.groupShift - 1)
    return (Int(truncatingIfNeeded: group >> 32) << Self.groupShift | low) & mask
  }
}
