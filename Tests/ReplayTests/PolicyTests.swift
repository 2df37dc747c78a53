import Primitives
import Testing

@testable import Replay

/// The policies that Gnomon is compared with, on sequences small enough to follow by hand.
@Suite struct PolicyTests {
  private func hits(_ kind: PolicyKind, _ extents: [Int], capacity: Int) throws -> (hits: Int, copies: Int) {
    let trace = Trace(
      name: "small",
      requests: extents.enumerated().map { index, extent in
        .init(microseconds: UInt64(index), offset: UInt64(extent) << 20, length: 4096)
      })
    let result = try ExtentTrace(trace, extentBytes: 1 << 20).replay(kind, capacity: capacity, copyCost: 2)
    return (result.hits, result.copies)
  }

  @Test(arguments: [
    (PolicyKind.none, 0, 0), (.lru, 4, 8), (.sieve, 4, 8), (.secondHit, 4, 1), (.belady, 6, 2),
  ])
  func aSmallSequence(kind: PolicyKind, expected: Int, copies: Int) throws {
    let result = try hits(kind, [1, 2, 1, 3, 1, 4, 1, 5, 2, 1, 3, 1], capacity: 2)
    #expect(result.hits == expected)
    #expect(result.copies == copies)
  }

  /// A loop one longer than the tier: least recently used never hits, the clairvoyant nearly always.
  @Test func aLoopDefeatsRecency() throws {
    let loop = (0..<100).flatMap { _ in 0..<5 }
    #expect(try hits(.lru, loop, capacity: 4).hits == 0)
    #expect(try hits(.belady, loop, capacity: 4).hits > 350)
  }

  /// One scan between touches of a hot set: what resists scans keeps it.
  @Test(arguments: [PolicyKind.arc, .s3fifo, .sieve, .lfu, .smq, .secondHit])
  func scansDoNotFlushTheHotSet(kind: PolicyKind) throws {
    var extents: [Int] = []
    for round in 0..<20 {
      for _ in 0..<6 { extents += 0..<4 }
      extents += (0..<12).map { 100 + round * 12 + $0 }
    }
    let best = try hits(kind, extents, capacity: 8).hits
    #expect(best > (try hits(.lru, extents, capacity: 8).hits))
  }

  /// A hot set among random touches: each of them knows it better than recency does.
  @Test(arguments: [PolicyKind.twoQueues, .arc, .s3fifo, .sieve, .lfu, .secondHit])
  func frequencyCountsAmongRandomTouches(kind: PolicyKind) throws {
    let trace = SyntheticTraces.movingHotSet(extents: 400, hot: 30, requests: 8000, phases: 4)
    let cut = try ExtentTrace(trace, extentBytes: 1 << 20)
    let recency = cut.replay(.lru, capacity: 40, copyCost: 2)
    #expect(cut.replay(kind, capacity: 40, copyCost: 2).hits > recency.hits)
  }

  @Test func noPolicyThatCopiesOnDemandHitsMoreThanTheClairvoyant() throws {
    let trace = SyntheticTraces.movingHotSet(extents: 400, hot: 30, requests: 8000, phases: 4)
    let cut = try ExtentTrace(trace, extentBytes: 1 << 20)
    let bound = cut.replay(.belady, capacity: 40, copyCost: 2)
    for kind in PolicyKind.allCases where ![.gnomon, .slowLoop, .epochs].contains(kind) {
      let result = cut.replay(kind, capacity: 40, copyCost: 2)
      #expect(result.hits <= bound.hits, "\(kind)")
    }
  }

  /// The copy of what is remembered needs room, and the one that leaves for it is remembered in its place.
  @Test func twoQueuesKnowsTheOneThatComesBackJustInTime() throws {
    #expect(try hits(.twoQueues, [1, 2, 3, 4, 5, 6, 1, 7, 8, 9, 10, 1], capacity: 4).hits == 1)
  }

  @Test func epochsPlanEveryFiveMinutes() throws {
    let requests = (0..<60).map { minute in
      Trace.Request(microseconds: UInt64(minute) * 60_000_000, offset: 0, length: 4096)
    }
    let cut = try ExtentTrace(Trace(name: "slow", requests: requests), extentBytes: 1 << 20)
    let result = cut.replay(.epochs, capacity: 1, copyCost: 2)
    #expect(result.hits == 54)
    #expect(result.copies == 1)
  }
}
