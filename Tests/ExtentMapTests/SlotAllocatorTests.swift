import Primitives
import Testing

@testable import ExtentMap

private let mebibyte: UInt64 = 1 << 20

struct SlotAllocatorTests {
  @Test func slotsOfOneSizeAreHandedOutInOrder() {
    let allocator = Allocator(capacityBytes: 128 * mebibyte)
    for expected in 0..<128 as Range<UInt64> {
      #expect(allocator.allocate(slotBytes: mebibyte) == expected)
    }
    #expect(allocator.allocate(slotBytes: mebibyte) == nil)
    #expect(allocator.usedBytes == allocator.capacityBytes)
    #expect(allocator.freeBytes == 0)
  }

  @Test func aZoneServesOneSizeUntilItIsEmpty() {
    let allocator = Allocator(capacityBytes: 64 * mebibyte)
    let slot = allocator.allocate(slotBytes: mebibyte)
    #expect(allocator.allocate(slotBytes: 2 * mebibyte) == nil)
    #expect(allocator.freeBytes(slotBytes: 2 * mebibyte) == 0)
    #expect(allocator.freeBytes(slotBytes: mebibyte) == 63 * mebibyte)
    allocator.release(slot: slot!, slotBytes: mebibyte)
    #expect(allocator.allocate(slotBytes: 2 * mebibyte) == 0)
  }

  @Test func theLastZoneMayBeShort() {
    let allocator = Allocator(capacityBytes: 65 * mebibyte + 70_000)
    #expect(allocator.capacityBytes == 65 * mebibyte + 65_536)
    #expect(allocator.freeBytes(slotBytes: 2 * mebibyte) == 64 * mebibyte)
    for _ in 0..<32 { #expect(allocator.allocate(slotBytes: 2 * mebibyte) != nil) }
    #expect(allocator.allocate(slotBytes: 2 * mebibyte) == nil)
    #expect(allocator.allocate(slotBytes: mebibyte) == 64)
    #expect(allocator.allocate(slotBytes: mebibyte) == nil)
    #expect(!allocator.markUsed(slot: 65, slotBytes: mebibyte))
  }

  @Test func markingRefusesWhatCanNotBe() {
    let allocator = Allocator(capacityBytes: 192 * mebibyte)
    #expect(allocator.markUsed(slot: 70, slotBytes: mebibyte))
    #expect(!allocator.markUsed(slot: 70, slotBytes: mebibyte))
    #expect(!allocator.markUsed(slot: 192, slotBytes: mebibyte))
    #expect(!allocator.markUsed(slot: (1 << 37) - 2, slotBytes: 64 << 10))
    #expect(!allocator.markUsed(slot: 1, slotBytes: 64 * mebibyte))
    #expect(allocator.markUsed(slot: 2, slotBytes: 64 * mebibyte))
    #expect(allocator.usedBytes == 65 * mebibyte)
  }

  @Test func entriesOfOneStoreAreMarkedInBulk() {
    let allocator = Allocator(capacityBytes: 64 * mebibyte)
    let (here, elsewhere) = (StoreID(rawValue: 3), StoreID(rawValue: 4))
    let entries = [
      MapEntry.unmapped, MapEntry(store: here, slot: 5), MapEntry(store: elsewhere, slot: 6),
      MapEntry(store: here, slot: 5), MapEntry(store: here, slot: 64), MapEntry(store: here, slot: 63),
    ].map(\.rawValue)
    var conflicts: [Int] = []
    let taken = unsafe entries.withUnsafeBufferPointer { words in
      unsafe allocator.value.markUsed(entries: words, store: here, slotBytes: mebibyte) {
        conflicts.append($0)
      }
    }
    #expect(taken == 2)
    #expect(conflicts == [3, 4])
    #expect(allocator.usedBytes == 2 * mebibyte)
  }

  @Test(arguments: [64 << 10, 1 << 20, 64 << 20] as [UInt64])
  func aZoneThatFillsUpWhileLoadingIsTakenFromNoMore(slotBytes: UInt64) {
    let allocator = Allocator(capacityBytes: 192 * mebibyte)
    let (store, slots) = (StoreID(rawValue: 3), 64 * mebibyte / slotBytes)
    let entries = (0..<slots).map { MapEntry(store: store, slot: $0).rawValue }
    let taken = unsafe entries.withUnsafeBufferPointer { words in
      unsafe allocator.value.markUsed(entries: words, store: store, slotBytes: slotBytes) { _ in }
    }
    #expect(taken == Int(slots))
    #expect(allocator.value.allocate(slotBytes: slotBytes) == slots)
  }

  @Test func anEmptyStoreHasNoSlots() {
    let allocator = Allocator(capacityBytes: 0)
    #expect(allocator.allocate(slotBytes: 64 << 10) == nil)
    #expect(allocator.freeBytes == 0)
  }

  @Test func releasingAFreeSlotTraps() async {
    await #expect(processExitsWith: .failure) {
      let allocator = Allocator(capacityBytes: 64 << 20)
      _ = allocator.allocate(slotBytes: 1 << 20)
      allocator.release(slot: 1, slotBytes: 1 << 20)
    }
  }

  @Test(arguments: 1...12 as ClosedRange<UInt64>)
  func itAgreesWithANaiveModel(seed: UInt64) {
    var random = SplitMix(state: seed)
    let zones = [1, 2, 5, 70].randomElement(using: &random)!
    let tail = UInt64.random(in: 0..<1024, using: &random) << 16
    let capacity = UInt64(zones) * SlotAllocator.zoneBytes + tail
    let allocator = Allocator(capacityBytes: capacity)
    var model = NaiveAllocator(capacityBytes: capacity)
    let sizes = (0..<3).map { _ in UInt64(1) << UInt64.random(in: 16...26, using: &random) }
    var mostlyFrees = false
    for step in 0..<6000 {
      if step % 500 == 0 { mostlyFrees.toggle() }
      let size = sizes.randomElement(using: &random)!
      let limit = mostlyFrees ? 8 : 3
      switch Int.random(in: 0..<10, using: &random) {
      case 0:
        let slot = UInt64.random(in: 0...(capacity / size + 2), using: &random)
        let expected = model.mark(slot, size)
        #expect(allocator.markUsed(slot: slot, slotBytes: size) == expected, "seed \(seed) step \(step)")
      case 1..<limit:
        guard let (slot, size) = model.anyUsed(&random) else { continue }
        allocator.release(slot: slot, slotBytes: size)
        model.release(slot, size)
      default:
        if let slot = allocator.allocate(slotBytes: size) {
          let wasFree = model.mark(slot, size)
          #expect(wasFree, "seed \(seed) step \(step): slot \(slot) of \(size) is not free")
        } else {
          #expect(model.freeBytes(size) == 0, "seed \(seed) step \(step): full although there is room")
        }
      }
      #expect(allocator.usedBytes == model.usedBytes)
      if step % 50 == 0 {
        for size in sizes { #expect(allocator.freeBytes(slotBytes: size) == model.freeBytes(size)) }
      }
    }
    while let (slot, size) = model.anyUsed(&random) {
      allocator.release(slot: slot, slotBytes: size)
      model.release(slot, size)
    }
    #expect(allocator.freeBytes == allocator.capacityBytes)
    #expect(allocator.usedBytes == 0)
  }
}

struct BitTreeTests {
  @Test(arguments: [1, 63, 64, 65, 4096, 4097, 300_000])
  func itFindsTheLeastMember(limit: Int) {
    var random = SplitMix(state: UInt64(limit))
    var tree = BitTree(limit: limit)
    var members: Set<Int> = []
    #expect(tree.first == nil)
    for _ in 0..<2000 {
      let member = Int.random(in: 0..<limit, using: &random)
      if Bool.random(using: &random) {
        tree.insert(member)
        members.insert(member)
      } else {
        tree.remove(member)
        members.remove(member)
      }
      #expect(tree.contains(member) == members.contains(member))
    }
    #expect(tree.first == members.min())
    var full = BitTree(filledTo: limit)
    for member in 0..<min(limit, 5000) {
      let first = full.first
      #expect(first == member)
      full.remove(member)
    }
  }
}

/// `#expect` can not hold a value that is not copyable; it can hold an object with one.
private final class Allocator {
  var value: SlotAllocator

  init(capacityBytes: UInt64) {
    value = SlotAllocator(capacityBytes: capacityBytes)
  }

  var capacityBytes: UInt64 { value.capacityBytes }
  var usedBytes: UInt64 { value.usedBytes }
  var freeBytes: UInt64 { value.freeBytes }
  func freeBytes(slotBytes: UInt64) -> UInt64 { value.freeBytes(slotBytes: slotBytes) }
  func allocate(slotBytes: UInt64) -> UInt64? { value.allocate(slotBytes: slotBytes) }
  func release(slot: UInt64, slotBytes: UInt64) { value.release(slot: slot, slotBytes: slotBytes) }
  func markUsed(slot: UInt64, slotBytes: UInt64) -> Bool { value.markUsed(slot: slot, slotBytes: slotBytes) }
}

/// The same rules, as plainly as possible: a dictionary of slots per zone.
private struct NaiveAllocator {
  let capacityBytes: UInt64
  var zones: [UInt64: (slotBytes: UInt64, slots: Set<UInt64>)] = [:]
  var used: [(slot: UInt64, slotBytes: UInt64)] = []

  var usedBytes: UInt64 { zones.values.reduce(0) { $0 + UInt64($1.slots.count) * $1.slotBytes } }

  init(capacityBytes: UInt64) {
    self.capacityBytes = capacityBytes
  }

  func zone(_ slot: UInt64, _ slotBytes: UInt64) -> UInt64 { slot * slotBytes / SlotAllocator.zoneBytes }

  mutating func mark(_ slot: UInt64, _ slotBytes: UInt64) -> Bool {
    let zone = zone(slot, slotBytes)
    guard (slot + 1) * slotBytes <= capacityBytes else { return false }
    var state = zones[zone] ?? (slotBytes, [])
    guard state.slotBytes == slotBytes, state.slots.insert(slot).inserted else { return false }
    zones[zone] = state
    used.append((slot, slotBytes))
    return true
  }

  mutating func release(_ slot: UInt64, _ slotBytes: UInt64) {
    let zone = zone(slot, slotBytes)
    zones[zone]!.slots.remove(slot)
    if zones[zone]!.slots.isEmpty { zones[zone] = nil }
    used.removeAll { $0.slot == slot && $0.slotBytes == slotBytes }
  }

  func freeBytes(_ slotBytes: UInt64) -> UInt64 {
    var free: UInt64 = 0
    for zone in 0...(capacityBytes / SlotAllocator.zoneBytes) {
      let start = zone * SlotAllocator.zoneBytes
      guard start < capacityBytes else { break }
      let slots = min(SlotAllocator.zoneBytes, capacityBytes - start) / slotBytes
      switch zones[zone] {
      case nil: free += slots * slotBytes
      case let state? where state.slotBytes == slotBytes:
        free += (slots - UInt64(state.slots.count)) * slotBytes
      default: break
      }
    }
    return free
  }

  func anyUsed(_ random: inout SplitMix) -> (UInt64, UInt64)? {
    used.randomElement(using: &random).map { ($0.slot, $0.slotBytes) }
  }
}

/// A reproducible source of random numbers.
struct SplitMix: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var value = state
    value = (value ^ (value >> 30)) &* 0xbf58_476d_1ce4_e5b9
    value = (value ^ (value >> 27)) &* 0x94d0_49bb_1331_11eb
    return value ^ (value >> 31)
  }
}
