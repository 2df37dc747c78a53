import Glibc
import Primitives
import Redirection
import TestSupport
import Testing

/// Whole worlds from seeds: random requests, disks, faults and crashes, checked against the model.
///
/// `GNOMON_SEEDS=1000..<2000` runs others than usual.
@Suite struct PropertyTests {
  /// One to three redirectors, stores and volumes of random shape; small stores, so that they fill up.
  static func world(_ seed: UInt64) throws -> World {
    var generator = SeededGenerator(seed: seed &* 7919)
    let granule: UInt64 = 64 << 10
    let methods: [PrepareMethod] = [.zeroRange, .punchAndReserve, .writeZeros]
    let stores = (0...generator.below(3)).map { _ in
      WorldStore(
        capacityBytes: UInt64(4 + generator.below(12)) * granule, tier: generator.below(2),
        prepare: methods[generator.below(3)], dataOffset: UInt64(1 + generator.below(2)) * 4096)
    }
    let volumes = (0...generator.below(3)).map { _ in
      let extentBytes = granule << UInt64(generator.below(3))
      let cut = generator.chance(2) ? UInt64(generator.below(60)) * Model.cellBytes : 0
      return (extentBytes: extentBytes, sizeBytes: extentBytes * UInt64(2 + generator.below(5)) - cut)
    }
    let world = try World(
      seed: seed, stores: stores, volumes: volumes, redirectors: 1 + generator.below(3),
      bufferBytes: generator.chance(4) ? 1 << 20 : 4 << 20,
      waitingMax: generator.chance(3) ? 1 + generator.below(4) : MapChanges.waitingMax)
    world.weather = .random(&generator)
    return world
  }

  /// Lives one world to its end.
  @discardableResult
  static func live(_ seed: UInt64, requests: Int = 250) throws -> World {
    let world = try world(seed)
    let weather = world.weather
    let outstandingMax = 2 + world.generator.below(24)
    let crashOnceIn = world.generator.chance(2) ? 600 : 0
    var left = requests
    while left > 0 {
      if world.pending.count < outstandingMax, world.generator.chance(3) {
        left -= 1
        let later = world.generator.chance(4)
        if try world.tryStart(world.randomRequest(), payloadLater: later) == nil { world.note(0xf111) }
      }
      if world.generator.chance(400) {
        let number = world.generator.below(world.redirectors.count)
        world.redirectors[number].flushInBackground()
        world.needsTurn[number] = true
      }
      if world.generator.chance(crashOnceIn) { try world.crash() }
      let promises = world.promiseCount
      let isActive = try world.step()
      if crashOnceIn > 0, world.promiseCount > promises, world.generator.chance(12) { try world.crash() }
      if !isActive, world.pending.count >= outstandingMax { try world.settle() }
    }
    try world.settle()
    try world.verifyAtRest()
    world.weather = weather
    try world.crash()
    try world.verifyAtRest()
    return world
  }

  static var seeds: Range<UInt64> {
    guard let text = unsafe getenv("GNOMON_SEEDS").map({ unsafe String(cString: $0) }) else { return 1..<301 }
    let bounds = text.split(separator: "..<").compactMap { UInt64($0) }
    return bounds.count == 2 ? bounds[0]..<bounds[1] : 1..<301
  }

  @Test func worldsKeepTheirPromises() {
    CrashNote.install()
    var failures = 0
    var finished = 0
    for seed in Self.seeds where failures < 3 {
      unsafe CrashNote.seed = seed
      do {
        finished += try Self.live(seed).finishedCount
      } catch {
        failures += 1
        Issue.record("seed \(seed): \(error)")
      }
    }
    #expect(finished > 50 * Self.seeds.count || failures > 0)
  }

  @Test func theSameSeedIsTheSameWorld() throws {
    for seed in [3, 17, 40] as [UInt64] {
      #expect(try Self.live(seed, requests: 120).digest == Self.live(seed, requests: 120).digest)
    }
  }
}

/// Says on a trap which seed was running.
enum CrashNote {
  nonisolated(unsafe) static var seed: UInt64 = 0

  static func install() {
    for number in [SIGILL, SIGTRAP] {
      signal(number) { number in
        var digits: (UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8) = (0, 0, 0, 0, 0, 0, 10)
        var rest = unsafe CrashNote.seed
        unsafe withUnsafeMutableBytes(of: &digits) { bytes in
          for place in (0..<6).reversed() {
            unsafe bytes[place] = UInt8(48 + rest % 10)
            rest /= 10
          }
          unsafe _ = write(2, "seed ", 5)
          unsafe _ = write(2, bytes.baseAddress, 7)
        }
        signal(number, SIG_DFL)
        raise(number)
      }
    }
  }
}
