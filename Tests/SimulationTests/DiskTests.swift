import Primitives
import Testing

@testable import Simulation

/// What the simulated disks lose and keep.
@Suite struct DiskTests {
  private static func fill(_ value: UInt8) -> UnsafeMutableRawPointer {
    let memory = UnsafeMutableRawPointer.allocate(byteCount: 8192, alignment: 4096)
    unsafe memory.initializeMemory(as: UInt8.self, repeating: value, count: 8192)
    return unsafe memory
  }

  private static func bytes(of store: SimulatedStore) -> [UInt8] {
    let memory = unsafe fill(0)
    defer { unsafe memory.deallocate() }
    unsafe store.read(0, 8192, into: memory)
    return unsafe [memory.load(as: UInt8.self), memory.load(fromByteOffset: 4096, as: UInt8.self)]
  }

  @Test func aBlockIsKeptOnlyIfItWasSynchronizedOrLucky() {
    let data = unsafe Self.fill(7)
    defer { unsafe data.deallocate() }
    let store = SimulatedStore(count: 8192)
    unsafe store.write(0, 4096, from: data)
    store.synchronize(upTo: store.synchronizationPoint) { _ in false }
    unsafe store.write(4096, 4096, from: data)
    #expect(Self.bytes(of: store) == [7, 7])
    store.crash { _ in false }
    #expect(Self.bytes(of: store) == [7, SimulatedStore.garbage])
    unsafe store.write(4096, 4096, from: data)
    store.crash { _ in true }
    #expect(Self.bytes(of: store) == [7, 7])
  }

  @Test func aSynchronizationCoversWhatWasWrittenBeforeItBegan() {
    let data = unsafe Self.fill(7)
    defer { unsafe data.deallocate() }
    let store = SimulatedStore(count: 8192)
    unsafe store.write(0, 4096, from: data)
    let point = store.synchronizationPoint
    unsafe store.write(4096, 4096, from: data)
    store.synchronize(upTo: point) { _ in false }
    store.crash { _ in false }
    #expect(Self.bytes(of: store) == [7, SimulatedStore.garbage])
  }

  @Test func whatWritebackLostStillReadsButDoesNotLast() {
    let data = unsafe Self.fill(7)
    defer { unsafe data.deallocate() }
    let store = SimulatedStore(count: 8192)
    unsafe store.write(0, 8192, from: data)
    store.loseWriteback { $0 == 0 }
    store.synchronize(upTo: store.synchronizationPoint) { _ in false }
    #expect(Self.bytes(of: store) == [7, 7])
    store.crash { _ in true }
    #expect(Self.bytes(of: store) == [SimulatedStore.garbage, 7])
  }

  private static func write(_ disk: SimulatedDisk, _ file: SimulatedDisk.File, _ bytes: [UInt8]) -> Bool {
    unsafe bytes.withUnsafeBytes { unsafe disk.write(file, 0, $0) } == nil
  }

  @Test func filesAreTornBySectors() throws {
    var kept: Set<[UInt8]> = []
    for seed in 1...200 as ClosedRange<UInt64> {
      let disk = SimulatedDisk(seed: seed)
      let file = try #require(disk.open("/a", creating: true))
      #expect(Self.write(disk, file, [UInt8](repeating: 1, count: 1024)) && disk.synchronize(file) == nil)
      #expect(Self.write(disk, file, [UInt8](repeating: 2, count: 1024)))
      disk.turnOff()
      #expect(!Self.write(disk, file, [3]))
      disk.crash()
      #expect(file.live.count == 1024)
      let sectors = [Array(file.live[..<512]), Array(file.live[512...])]
      #expect(sectors.allSatisfy { $0 == [UInt8](repeating: $0[0], count: 512) })
      kept.insert(sectors.map { $0[0] })
    }
    #expect(kept == [[1, 1], [1, 2], [2, 1], [2, 2]])
  }

  @Test func powerGoesAtTheAccessThatWasChosen() throws {
    let disk = SimulatedDisk(seed: 1)
    let file = try #require(disk.open("/a", creating: true))
    disk.accessesLeft = 1
    #expect(Self.write(disk, file, [1]) && !disk.isOff)
    #expect(disk.synchronize(file) != nil && disk.isOff)
    #expect(disk.open("/a", creating: false) == nil)
    disk.crash()
    #expect(!disk.isOff && disk.synchronize(file) == nil)
  }

  @Test func eventsHappenInOrderOfTimeThenOfScheduling() throws {
    var queue = EventQueue()
    var generator = SeededGenerator(seed: 1)
    for _ in 0..<500 { queue.schedule(after: UInt64(generator.below(40)), "test", 0) {} }
    var last: (UInt64, UInt64) = (0, 0)
    var count = 0
    while let event = queue.popFirst() {
      #expect((event.time, event.order) > last && queue.now == event.time)
      last = (event.time, event.order)
      count += 1
    }
    #expect(count == 500 && queue.isEmpty)
  }
}
