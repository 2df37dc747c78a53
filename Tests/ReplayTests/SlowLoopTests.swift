import Primitives
import Shadowing
import Testing

@testable import Replay

@Suite struct SlowLoopTests {
  private static let mebibyte: UInt64 = 1 << 20
  private static let capacity = 20

  /// Days on which 15 extents are in use from nine on, and 15 others from 18 on, for two hours each, among
  /// single requests to 170 more.
  private func officeDays(_ days: Int, seed: UInt64 = 1) -> Trace {
    var random = SeededGenerator(seed: seed)
    var requests: [Trace.Request] = []
    func add(_ extent: Int, _ minute: Int) {
      requests.append(
        .init(
          microseconds: UInt64(minute * 60 + random.below(60)) * 1_000_000,
          offset: UInt64(extent) * Self.mebibyte + UInt64(random.below(256)) * 4096, length: 4096))
    }
    for minute in 0..<days * 1440 {
      add(30 + random.below(170), minute)
      guard let first = [9: 0, 10: 0, 18: 15, 19: 15][minute / 60 % 24] else { continue }
      for extent in first..<first + 15 { add(extent, minute) }
    }
    requests.sort { $0.microseconds < $1.microseconds }
    return Trace(name: "office", requests: requests)
  }

  private func replay(_ trace: Trace, dueMovesMax: Int) throws -> ReplayResult {
    let trace = try ExtentTrace(trace, extentBytes: 1 << 20)
    let settings = TierRound.Settings(freeShare: 0, dueMovesMax: dueMovesMax)
    return Replay(trace: trace, copyCost: 2, copyMicroseconds: 0).run(
      "slow loop", SlowLoop(trace, capacity: Self.capacity, settings: settings))
  }

  /// What is used at the same hours of each day is there when it is wanted, and that costs no more copies.
  @Test func dailyLoadIsForeseen() throws {
    let trace = officeDays(6)
    let (with, without) = (try replay(trace, dueMovesMax: 2048), try replay(trace, dueMovesMax: 0))
    let misses = (with.requests - with.hits, without.requests - without.hits)
    #expect(Double(misses.0) < 0.9 * Double(misses.1), "\(misses)")
    #expect(with.copies <= without.copies + without.copies / 10, "\(with.copies), \(without.copies)")
    #expect(with.slowTierWork < without.slowTierWork)
    // Two days are no worse than without: nothing is known yet.
    let days = officeDays(2)
    #expect(try replay(days, dueMovesMax: 2048) == replay(days, dueMovesMax: 0))
  }

  /// Use at random hours, of which each day has as many: nothing is gained, and next to nothing lost.
  @Test(arguments: 1...2 as ClosedRange<UInt64>) func loadWithoutRhythmIsNoWorse(_ seed: UInt64) throws {
    var random = SeededGenerator(seed: seed)
    var requests: [Trace.Request] = []
    for hour in 0..<6 * 24 {
      let extents = (0..<6).map { _ in random.below(100) }
      for minute in 0..<60 {
        for extent in extents {
          requests.append(
            .init(
              microseconds: UInt64(hour * 60 + minute) * 60_000_000, offset: UInt64(extent) * Self.mebibyte,
              length: 4096))
        }
      }
    }
    let trace = Trace(name: "random hours", requests: requests)
    let (with, without) = (try replay(trace, dueMovesMax: 2048), try replay(trace, dueMovesMax: 0))
    #expect(
      with.slowTierWork <= without.slowTierWork * 1.02, "\(with.slowTierWork), \(without.slowTierWork)")
  }
}
