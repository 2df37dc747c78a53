import Primitives

/// Which slots of a store are in use.
///
/// A store's space is cut into **zones** of 64 MiB. A zone is free, or dedicated to one slot size (a power
/// of two from 64 KiB to 64 MiB) for as long as one of its slots is in use. So volumes of different extent
/// sizes share a store without a fixed partition, and space comes back in large pieces.
///
/// Slots are numbered in units of their own size from the store's data offset: slot `n` of `b` bytes begins
/// at byte `n × b`. Slots of different sizes therefore overlap in number, never in space.
///
/// Memory: one bit per slot and 16 bytes per zone (64 TiB of 1 MiB slots: 17 MiB). All operations take
/// constant time. Calls must not overlap; the owner holds a lock.
public struct SlotAllocator: ~Copyable, Sendable {
  /// Bytes of a zone.
  public static let zoneBytes: UInt64 = 64 << 20
  static let zoneShift: UInt64 = 26
  /// log2 of the smallest slot's bytes.
  static let slotShiftMin: UInt64 = 16
  static let sizeClassCount = 11

  /// Bytes that slots can be cut from.
  public let capacityBytes: UInt64
  /// Bytes of all slots in use.
  public private(set) var usedBytes: UInt64 = 0

  var zones: [SlotZone]
  /// Bitmaps of zones with more than 64 slots.
  var bitmaps = SlotBitmaps()
  private var freeZones: BitTree
  private var freeZoneBytes: UInt64
  private var classes: [SlotClass]

  /// An empty store of this many bytes, of which whole granules of 64 KiB are used.
  public init(capacityBytes: UInt64) {
    let granule: UInt64 = 1 << Self.slotShiftMin
    self.capacityBytes = capacityBytes / granule * granule
    let count = Int((self.capacityBytes + Self.zoneBytes - 1) >> Self.zoneShift)
    zones = [SlotZone](repeating: SlotZone(), count: count)
    freeZones = BitTree(filledTo: count)
    freeZoneBytes = self.capacityBytes
    classes = (0..<Self.sizeClassCount).map { _ in SlotClass() }
  }

  /// Bytes in free zones, and in free slots of zones that are partly used.
  public var freeBytes: UInt64 {
    classes.indices.reduce(freeZoneBytes) { $0 + classes[$1].freeSlots << Self.slotShift(ofClass: $1) }
  }

  /// Bytes that can still be allocated in slots of this size.
  public func freeBytes(slotBytes: UInt64) -> UInt64 {
    let sizeClass = Self.sizeClass(of: slotBytes)
    var bytes = freeZoneBytes
    if let last = zones.indices.last, zones[last].isFree {
      bytes -= self.bytes(ofZone: last) % slotBytes
    }
    return bytes + classes[sizeClass].freeSlots * slotBytes
  }

  /// Takes a free slot: the lowest one of the zone in use for this size, else of the lowest zone with room.
  ///
  /// - Returns: its number; nil if no slot of this size is left.
  public mutating func allocate(slotBytes: UInt64) -> UInt64? {
    let sizeClass = Self.sizeClass(of: slotBytes)
    guard let zone = zoneWithRoom(for: sizeClass) else { return nil }
    let index = takeFirstFree(in: zone, sizeClass)
    didTake(slotOf: zone, sizeClass)
    return UInt64(zone) << (Self.zoneShift - Self.slotShift(ofClass: sizeClass)) | UInt64(index)
  }

  /// Gives a slot back. Traps if it is not in use: somebody else may own its space by now.
  public mutating func release(slot: UInt64, slotBytes: UInt64) {
    let sizeClass = Self.sizeClass(of: slotBytes)
    let (zone, index) = Self.place(of: slot, sizeClass)
    precondition(zone < zones.count && zones[zone].sizeClass == sizeClass, "the slot is not in use")
    let wasUsed = zones[zone].clear(index, &bitmaps)
    precondition(wasUsed, "the slot is not in use")
    usedBytes -= slotBytes
    classes[sizeClass].freeSlots += 1
    if zones[zone].used == 0 {
      retire(zone, sizeClass)
    } else {
      classes[sizeClass].insertOpen(zone, zoneCount: zones.count)
    }
  }

  /// Takes a certain slot, while the map is loaded.
  ///
  /// - Returns: false if it is in use, lies beyond the end, or its zone is dedicated to another size. The
  ///   caller reports that as damage; nothing has changed.
  public mutating func markUsed(slot: UInt64, slotBytes: UInt64) -> Bool {
    let sizeClass = Self.sizeClass(of: slotBytes)
    let (zone, index) = Self.place(of: slot, sizeClass)
    guard zone < zones.count, index < slots(inZone: zone, sizeClass) else { return false }
    if zones[zone].isFree { dedicate(zone, to: sizeClass) }
    guard zones[zone].sizeClass == sizeClass, zones[zone].set(index, &bitmaps) else { return false }
    didTake(slotOf: zone, sizeClass)
    return true
  }

  // MARK: - Zones

  private func bytes(ofZone zone: Int) -> UInt64 {
    min(Self.zoneBytes, capacityBytes - UInt64(zone) << Self.zoneShift)
  }

  private func slots(inZone zone: Int, _ sizeClass: Int) -> Int {
    Int(bytes(ofZone: zone) >> Self.slotShift(ofClass: sizeClass))
  }

  /// The zone to allocate from; a free one is dedicated if no other has room.
  private mutating func zoneWithRoom(for sizeClass: Int) -> Int? {
    let current = classes[sizeClass].current
    if current >= 0, zones[current].sizeClass == sizeClass,
      zones[current].used < slots(inZone: current, sizeClass)
    {
      return current
    }
    if let open = classes[sizeClass].firstOpen {
      classes[sizeClass].current = open
      return open
    }
    // Only the store's last zone can be too short for a slot, and it is found last.
    guard let zone = freeZones.first, slots(inZone: zone, sizeClass) > 0 else { return nil }
    dedicate(zone, to: sizeClass)
    classes[sizeClass].current = zone
    return zone
  }

  private mutating func dedicate(_ zone: Int, to sizeClass: Int) {
    freeZones.remove(zone)
    freeZoneBytes -= bytes(ofZone: zone)
    let slots = slots(inZone: zone, sizeClass)
    zones[zone].dedicate(to: sizeClass, &bitmaps)
    classes[sizeClass].freeSlots += UInt64(slots)
    classes[sizeClass].insertOpen(zone, zoneCount: zones.count)
  }

  private mutating func retire(_ zone: Int, _ sizeClass: Int) {
    classes[sizeClass].freeSlots -= UInt64(slots(inZone: zone, sizeClass))
    classes[sizeClass].removeOpen(zone)
    zones[zone].retire(&bitmaps)
    freeZones.insert(zone)
    freeZoneBytes += bytes(ofZone: zone)
  }

  private mutating func takeFirstFree(in zone: Int, _ sizeClass: Int) -> Int {
    let index = zones[zone].firstFree(bitmaps)
    let wasFree = zones[zone].set(index, &bitmaps)
    precondition(wasFree && index < slots(inZone: zone, sizeClass))
    return index
  }

  /// Accounts for slots of zones that still have room.
  mutating func didTake(slots: Int, _ sizeClass: Int) {
    usedBytes += UInt64(slots) << Self.slotShift(ofClass: sizeClass)
    classes[sizeClass].freeSlots -= UInt64(slots)
  }

  private mutating func didTake(slotOf zone: Int, _ sizeClass: Int) {
    usedBytes += 1 << Self.slotShift(ofClass: sizeClass)
    classes[sizeClass].freeSlots -= 1
    if zones[zone].used == slots(inZone: zone, sizeClass) { classes[sizeClass].removeOpen(zone) }
  }

  // MARK: - Numbers

  static func sizeClass(of slotBytes: UInt64) -> Int {
    precondition(
      slotBytes.nonzeroBitCount == 1 && slotBytes >= ExtentSize.minimum && slotBytes <= ExtentSize.maximum,
      "not a slot size")
    return slotBytes.trailingZeroBitCount - Int(slotShiftMin)
  }

  static func slotShift(ofClass sizeClass: Int) -> UInt64 { slotShiftMin + UInt64(sizeClass) }

  static func place(of slot: UInt64, _ sizeClass: Int) -> (zone: Int, index: Int) {
    let shift = zoneShift - slotShift(ofClass: sizeClass)
    return (Int(truncatingIfNeeded: slot >> shift), Int(slot & ((1 << shift) - 1)))
  }
}
