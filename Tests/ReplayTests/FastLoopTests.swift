import Forecasting
import Primitives
import Replay
import Shadowing
import Testing

/// What the fast loop promises, on traces of known nature.
@Suite struct FastLoopTests {
  private func work(_ trace: Trace, _ kind: PolicyKind = .gnomon, microseconds: UInt64 = 0) throws
    -> ReplayResult
  {
    let cut = try ExtentTrace(trace, extentBytes: 1 << 20)
    return cut.replay(
      kind, capacity: SyntheticTraces.tenth(cut), copyCost: 2, copyMicroseconds: microseconds)
  }

  enum Hopeless: CaseIterable {
    case uniform
    case scan
    case coldBursts
    case loop

    var trace: Trace {
      switch self {
      case .uniform: SyntheticTraces.uniform(extents: 5000, requests: 40_000)
      case .scan: SyntheticTraces.scan(extents: 20_000)
      case .coldBursts: SyntheticTraces.coldBursts(extents: 10_000, touches: 2)
      case .loop: SyntheticTraces.loop(extents: 2000, laps: 15)
      }
    }
  }

  /// Where nothing comes back soon enough, next to nothing is copied.
  @Test(arguments: Hopeless.allCases, [0, 100_000] as [UInt64])
  func itIsNoWorseThanNoTiering(workload: Hopeless, microseconds: UInt64) throws {
    #expect(try work(workload.trace, microseconds: microseconds).slowTierWork < 1010)
  }

  @Test func scansAndColdBurstsLeaveNoTrace() throws {
    #expect(try work(SyntheticTraces.scan(extents: 20_000)).copies == 0)
    #expect(try work(SyntheticTraces.coldBursts(extents: 10_000, touches: 2)).copies < 100)
  }

  /// A stream in pieces of 64 KiB costs two of 16 requests for copies, and no misses once it is known.
  @Test(arguments: [1, 3, 7])
  func streamsAreFetchedAhead(step: Int) throws {
    let result = try work(SyntheticTraces.stream(extents: 3000, step: step))
    #expect(result.copies == 3000)
    #expect(result.hitPercent > 99.9)
    #expect(result.slowTierWork < 126)
    let onDemand = try work(SyntheticTraces.stream(extents: 3000, step: step), .lru)
    #expect(onDemand.slowTierWork > 187)
  }

  /// A request takes 0.5 ms here, an extent 8 ms: copies that take 20 ms must begin some extents ahead.
  @Test func fetchingAheadAllowsForTheTimeOfACopy() throws {
    let result = try work(SyntheticTraces.stream(extents: 3000), microseconds: 20_000)
    #expect(result.hitPercent > 99)
    #expect(try work(SyntheticTraces.stream(extents: 3000), .lru, microseconds: 20_000).hitPercent < 1)
  }

  @Test func aHotSetIsFollowed() throws {
    let trace = SyntheticTraces.movingHotSet(extents: 4000, hot: 200, requests: 60_000, phases: 6)
    let result = try work(trace)
    let recency = try work(trace, .lru)
    #expect(result.hitPercent > 70)
    #expect(result.slowTierWork < recency.slowTierWork / 2)
    #expect(result.copies < recency.copies / 8)
  }

  @Test func theSameTraceGivesTheSameDecisions() throws {
    let trace = SyntheticTraces.movingHotSet(extents: 2000, hot: 100, requests: 20_000, phases: 3)
    #expect(try work(trace) == work(trace))
  }

  /// One seed, one result: changes of the policy are seen here, and are to be judged by docs/prediction.md.
  @Test func golden() throws {
    let trace = SyntheticTraces.movingHotSet(extents: 2000, hot: 100, requests: 20_000, phases: 3)
    let result = try work(trace)
    #expect([result.hits, result.copies] == [15_654, 425])
  }

  @Test func memoryIsBounded() {
    var loop = FastLoop(
      capacity: 100, extentCount: .max,
      settings: .init(extentBytes: 1 << 20, copyCost: 2, recordsMax: 3000))
    let bytes = loop.bytes
    var random = SeededGenerator(seed: 4)
    for index in 0..<60_000 {
      loop.beginRequest()
      let extent = UInt32(random.below(1 << 31))
      _ = loop.touch(
        ExtentAccess(
          extent: extent, start: 0, end: 4096, requestBytes: 4096, microseconds: UInt64(index) * 20),
        isLast: true)
    }
    #expect(loop.bytes == bytes)
    #expect(loop.tier.count <= 100)
  }

  /// A clock that stands still or goes back, extents at both ends of the volume, requests over many extents.
  @Test func oddInputIsTaken() {
    var loop = FastLoop(
      capacity: 4, extentCount: .max - 1, settings: .init(extentBytes: 65_536, copyCost: 1.1))
    var random = SeededGenerator(seed: 6)
    for _ in 0..<20_000 {
      loop.beginRequest()
      let start = UInt32(random.below(65_535))
      let extent = random.chance(2) ? UInt32(random.below(8)) : UInt32.max - 2 - UInt32(random.below(8))
      let decision = loop.touch(
        ExtentAccess(
          extent: extent, start: start, end: start + 1 + UInt32(random.below(Int(65_536 - start))),
          requestBytes: .max, extentCount: 513, isWrite: random.chance(2),
          microseconds: random.chance(9) ? .max >> 16 : UInt64(random.below(1000))),
        isLast: random.chance(2))
      #expect(decision.ahead.map { $0.extent < .max - 1 } ?? true)
    }
    #expect(loop.tier.count <= 4)
  }
}
