import ExtentMap
import Glibc
import NBDWire
import Platform
import Primitives
import Simulation
import Testing

@testable import Redirection

private let extent = World.extentBytes
private let block = World.blockBytes

/// What is bounded, and what happens at the bound.
@Suite struct BoundsTests {
  @Test func withoutBuffersNothingBeginsAndNothingChanges() throws {
    let world = try World(
      seed: 1, stores: [WorldStore(capacityBytes: 1 << 20)], volumes: [(extent, 8 * extent)],
      bufferBytes: 256 << 10)
    #expect(try world.perform(.write, 0, 4 * extent) == nil)
    world.hold(.read)
    for number in 0..<4 as Range<UInt64> { try world.begin(.read, number * extent, extent) }
    let redirector = world.redirectors[0]
    let free = redirector.slab.freeCount
    #expect(redirector.arena.freePages == 0)
    let request = Request(
      view: world.volumes[0].map.view, offset: 1024, length: 1024, flags: [], cookie: 0, owner: 0,
      volumeBytes: 8 * extent)
    #expect(!redirector.read(request) && redirector.makeWrite(request) == nil)
    #expect(!redirector.clear(.zero, request))
    #expect(redirector.slab.freeCount == free && redirector.reserved == 0)
    // What needs no buffer goes on.
    try world.begin(.trim, 4 * extent, extent)
    world.letGo()
    try world.verifyAtRest()
  }

  @Test func entriesForPiecesAreKeptUntilThePayloadComes() throws {
    let world = try World(
      seed: 1, stores: [WorldStore(capacityBytes: 1 << 20)], volumes: [(extent, 600 * extent)],
      bufferBytes: 96 << 20)
    let redirector = world.redirectors[0]
    let long = Request(
      view: world.volumes[0].map.view, offset: 1024, length: 32 << 20, flags: [], cookie: 1, owner: 0,
      volumeBytes: 600 * extent)
    #expect(redirector.pieces(of: long) == Redirector.piecesMax)
    let first = try #require(redirector.makeWrite(long))
    #expect(redirector.makeWrite(long) == nil)
    #expect(!redirector.read(long))
    var answers: [UInt32] = []
    while let answer = redirector.makeAnswer(long, error: nil) { answers.append(answer) }
    #expect(answers.count == 1023 - 1 - Redirector.piecesMax)
    #expect(!redirector.flush(long) && !redirector.clear(.trim, long) && redirector.controlFlush(long) == nil)
    // The promised entries are there, whatever others took.
    redirector.startWrite(first)
    #expect(redirector.reserved == 0)
    for answer in answers { redirector.release(answer) }
    world.wake(0)
    var ends = 0
    world.onFinished = { _, _ in ends += 1 }
    while try world.step() {}
    #expect(ends == 1 && redirector.isIdle && redirector.arena.isIdle)
    let second = try #require(redirector.makeWrite(long))
    redirector.abandonWrite(second)
    #expect(redirector.isIdle && redirector.arena.isIdle)
  }

  @Test func aTrimOfManyExtentsTakesTurns() throws {
    let world = try World(
      seed: 1, stores: [WorldStore(capacityBytes: 1 << 20)], volumes: [(extent, 5000 * extent)])
    #expect(try world.perform(.write, 4999 * extent, extent) == nil)
    try world.begin(.trim, 0, 5000 * extent)
    #expect(world.redirectors[0].isRetryDue)
    #expect(world.volumes[0].map.view.entry(4999).isMapped)
    try world.verifyAtRest()
    #expect(!world.volumes[0].map.view.entry(4999).isMapped)
  }

  @Test func aLateCompletionTraps() async {
    await #expect(processExitsWith: .failure) {
      let world = try World.small()
      _ = try world.perform(.write, 0, World.extentBytes)
      world.hold(.read)
      try world.begin(.read, 0, 4096)
      try world.exhaust()
      let token = world.jobs[0].directive.token
      world.letGo()
      try world.settle()
      world.redirectors[0].complete(token, 4096)
    }
  }

  @Test func aFlushThatEndsTwiceTraps() async {
    await #expect(processExitsWith: .failure) {
      let world = try World.small()
      _ = try world.perform(.flush)
      world.redirectors[0].deliver(Token.make(1, 0), errno: 0)
    }
  }

  @Test func bytesOfAnyAlignmentAreKept() throws {
    for seed in 1...8 as ClosedRange<UInt64> { try Self.writeBytes(seed) }
  }

  /// Random byte ranges against a plain array, one request at a time.
  private static func writeBytes(_ seed: UInt64) throws {
    let size = 3 * Int(extent) - 1000
    let world = try World(
      seed: seed, stores: [WorldStore(capacityBytes: 1 << 20)], volumes: [(extent, UInt64(size))])
    let redirector = world.redirectors[0]
    var expected = [UInt8](repeating: 0, count: size)
    for round in 0..<120 {
      let offset = world.generator.below(size)
      let length = min(1 + world.generator.below(world.generator.chance(3) ? 70_000 : 5000), size - offset)
      let request = Request(
        view: world.volumes[0].map.view, offset: UInt64(offset), length: UInt64(length), flags: [],
        cookie: 0, owner: 0, volumeBytes: UInt64(size))
      var isRight = false
      world.onFinished = { redirector, index in
        let op = unsafe redirector.operation(index)
        isRight = unsafe op.pointee.error == nil
        guard unsafe op.pointee.kind == .read else { return }
        unsafe expected.withUnsafeBytes { bytes in
          isRight = unsafe memcmp(bytes.baseAddress! + offset, op.pointee.payload!, length) == 0
        }
      }
      switch world.generator.below(3) {
      case 0: #expect(redirector.read(request))
      case 1:
        let fill = UInt8(truncatingIfNeeded: 1 + round % 255)
        let index = try #require(redirector.makeWrite(request))
        unsafe _ = memset(redirector.operation(index).pointee.payload!, Int32(fill), length)
        redirector.startWrite(index)
        expected.replaceSubrange(offset..<offset + length, with: repeatElement(fill, count: length))
      default:
        #expect(redirector.clear(.zero, request))
        expected.replaceSubrange(offset..<offset + length, with: repeatElement(0, count: length))
      }
      world.wake(0)
      while try world.step() {}
      #expect(isRight, "seed \(seed), round \(round), \(offset)+\(length)")
    }
    #expect(redirector.isIdle && redirector.arena.isIdle)
  }
}
