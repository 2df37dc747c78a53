/// Interim.
public struct SlotAllocator: Sendable {
  public let capacityBytes: UInt64
  var nextByte: UInt64 = 0
  public init(capacityBytes: UInt64) { self.capacityBytes = capacityBytes }
  public var usedBytes: UInt64 { nextByte }
  public var freeBytes: UInt64 { capacityBytes - nextByte }
  public mutating func allocate(slotBytes: UInt64) -> UInt64? {
    let slot = (nextByte + slotBytes - 1) / slotBytes
    guard (slot + 1) * slotBytes <= capacityBytes else { return nil }
    nextByte = (slot + 1) * slotBytes
    return slot
  }
  public mutating func release(slot: UInt64, slotBytes: UInt64) {}
}
