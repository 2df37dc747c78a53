import Primitives
import Testing

@testable import Forecasting

@Suite struct VolatilityTests {
  @Test func theScoreIsARank() {
    var scale = VolatilityScale()
    #expect(scale.score(5) == 0)
    for extent in 0..<1000 { scale.add(Float(1 << (extent / 100))) }
    for rank in 0..<10 {
      #expect((scale.score(Float(1 << rank)) - (Float(rank) + 0.5) / 10).magnitude < 1e-5)
    }
    #expect(scale.score(0) == 0)
    #expect(scale.score(1e-20) == 0)
    #expect(scale.score(.greatestFiniteMagnitude) == 1)
  }

  @Test func theScoreNeverFallsWithWhatIsExpected() {
    var random = SeededGenerator(seed: 9)
    var scale = VolatilityScale()
    var values = (0..<500).map { _ in Float(random.below(1_000_000)) / Float(1 + random.below(1000)) }
    for value in values { scale.add(value) }
    values.sort()
    for (lower, higher) in zip(values, values.dropFirst()) {
      #expect(scale.score(lower) <= scale.score(higher))
    }
  }

  @Test func tiersFollowTheScoreWithHysteresis() {
    let thresholds = TierThresholds.standard
    #expect([0.9, 0.8, 0.79, 0.4, 0.39].map { thresholds.tier(score: $0, current: nil) } == [0, 0, 1, 1, 2])
    // A score near a bound moves nothing, from either side.
    for score in [0.76, 0.8, 0.84] as [Float] {
      #expect(thresholds.tier(score: score, current: 0) == 0)
      #expect(thresholds.tier(score: score, current: 1) == 1)
    }
    #expect(thresholds.tier(score: 0.86, current: 1) == 0)
    #expect(thresholds.tier(score: 0.74, current: 0) == 1)
    #expect(thresholds.tier(score: 0.1, current: 0) == 2)
    #expect(thresholds.tier(score: 0.99, current: 2) == 0)
  }

  @Test func contradictoryThresholdsAreRefused() {
    #expect(TierThresholds(bounds: [0.4, 0.8], margin: 0.05) == nil)
    #expect(TierThresholds(bounds: [0.8, 0.75], margin: 0.05) == nil)
    #expect(TierThresholds(bounds: [1.2], margin: 0) == nil)
    #expect(TierThresholds(bounds: [0.5], margin: -0.1) == nil)
    #expect(TierThresholds(bounds: [], margin: 0)?.tier(score: 1, current: nil) == 0)
  }
}

@Suite struct HeatForecasterTests {
  private static let extentBytes: UInt32 = 1 << 20

  private func forecaster() -> HeatForecaster {
    HeatForecaster(extentBytes: Self.extentBytes, copyCost: 2, residency: 400, recordsMax: 5000)
  }

  private func access(_ extent: UInt32, _ bytes: UInt32, at microseconds: UInt64) -> ExtentAccess {
    ExtentAccess(extent: extent, start: 0, end: bytes, requestBytes: bytes, microseconds: microseconds)
  }

  /// Before anything is learned: what is worth a copy is what requests of that size can pay for.
  @Test func theRuleGoesByTheSizeOfRequests() {
    let payoffs = [4096, 65_536, 262_144, 1 << 20].map { bytes -> Float in
      var forecaster = forecaster()
      forecaster.beginRequest()
      return forecaster.touch(access(3, UInt32(bytes), at: 0))
    }
    #expect(payoffs[0] > 0.9)
    #expect(payoffs[1] > 0.9)
    #expect(payoffs[3] < 0.3)
    #expect(payoffs[2] > payoffs[3])
  }

  /// Extents that come back and extents that do not are told apart by what both have done.
  @Test func itLearnsWhatComesBack() {
    var forecaster = forecaster()
    var random = SeededGenerator(seed: 1)
    var hot: Float = 0
    var cold: Float = 0
    var next: UInt32 = 1000
    for request in 0..<20_000 {
      forecaster.beginRequest()
      let isHot = random.chance(2)
      if !isHot { next += 3 }
      let extent = isHot ? UInt32(random.below(20)) : next
      let payoff = forecaster.touch(access(extent, 4096, at: UInt64(request) * 1000))
      guard request > 10_000 else { continue }
      if isHot { hot = hot == 0 ? payoff : min(hot, payoff) } else { cold = max(cold, payoff) }
    }
    #expect(hot > 0.7)
    #expect(cold < 0.3)
  }
}
