import Primitives
import Testing

@testable import Forecasting

@Suite struct SmootherTests {
  static let parameters: [SmoothingParameters] = [
    SmoothingParameters(level: 0.4), SmoothingParameters(level: 0.4, trend: 0.2),
    SmoothingParameters(level: 0.4, trend: 0.2, damping: 0.9),
    SmoothingParameters(level: 0.4, trend: 0.2, season: 0.3),
  ]

  @Test(arguments: parameters)
  func aConstantSeriesStaysConstant(parameters: SmoothingParameters) {
    var smoother = Smoother(parameters, from: SmoothingStart(level: 7))
    for _ in 0..<50 { #expect(smoother.observe(7) == 0) }
    let forecast = smoother.forecast(ahead: 100)
    #expect(forecast == Forecast(mean: 7, standardDeviation: 0))
    #expect(forecast.interval() == 7...7)
  }

  @Test func aMissedStepMovesOnAsExpected() {
    var start = SmoothingStart(level: 10, trend: 2)
    start.seasons = [1, -1, 0]
    var seen = Smoother(SmoothingParameters(level: 0.5, trend: 0.5, damping: 0.8, season: 0.5), from: start)
    for value in [13.0, 12, 15, 18, 14] { seen.observe(value) }
    var missing = seen
    let ahead = seen.forecasts.prefix(6).map { $0 }
    for gap in [Double?.none, .nan, .infinity, 1e101] {
      #expect(missing.observe(gap) == nil)
      let left = 6 - missing.missed
      for (forecast, before) in zip(missing.forecasts.prefix(left), ahead.dropFirst(missing.missed)) {
        #expect((forecast.mean - before.mean).magnitude < 1e-12)
        #expect((forecast.standardDeviation - before.standardDeviation).magnitude < 1e-12)
      }
    }
    #expect(missing.missed == 4)
    missing.observe(20)
    #expect(missing.missed == 0)
  }

  @Test func anErrorAfterAGapCountsForWhatItIs() {
    var smoother = Smoother(SmoothingParameters(level: 1), from: SmoothingStart(level: 0))
    smoother.observe(1)
    for _ in 0..<3 { smoother.observe(nil) }
    // After three missed steps a random walk is off by four times the variance of one step.
    smoother.observe(3)
    #expect(smoother.meanSquaredError == (1.0 + 4.0 / 4) / 2)
  }

  @Test func aGapWithoutEndIsBounded() {
    var smoother = Smoother(Self.parameters[3], from: SmoothingStart(level: 5, trend: 1, seasons: [0, 1]))
    for _ in 0..<100_000 { smoother.observe(nil) }
    #expect(smoother.missed == 1024)
    #expect(smoother.forecast(ahead: 1).mean.isFinite)
  }

  /// The intervals of a series that follows the model hold what they say.
  @Test(arguments: parameters)
  func intervalsHoldNinetyFivePercent(parameters: SmoothingParameters) {
    var random = SeededGenerator(seed: 11)
    var (inside, all) = (0, 0)
    for _ in 0..<400 {
      let start = SmoothingStart(level: 10, trend: 0.5, seasons: parameters.season > 0 ? [3, 0, -3, 0] : [])
      var truth = Smoother(parameters, from: start)
      var smoother = truth
      for _ in 0..<60 {
        let value = truth.expected + random.normal()
        truth.observe(value)
        smoother.observe(value)
      }
      for forecast in smoother.forecasts.prefix(12) {
        let value = truth.expected + random.normal()
        truth.observe(value)
        all += 1
        if forecast.interval().contains(value) { inside += 1 }
      }
    }
    let share = Double(inside) / Double(all)
    #expect((0.92...0.97).contains(share), "\(share)")
  }

  @Test func olderErrorsFade() {
    var smoother = Smoother(SmoothingParameters(level: 0), from: SmoothingStart(level: 0))
    for _ in 0..<1000 { smoother.observe(10) }
    #expect(smoother.meanSquaredError == 100)
    for _ in 0..<2560 { smoother.observe(0) }
    #expect(smoother.meanSquaredError < 0.01)
  }
}

extension SeededGenerator {
  /// From the standard normal distribution, as the sum of twelve uniform numbers.
  mutating func normal() -> Double {
    (0..<12).reduce(-6.0) { sum, _ in sum + Double.random(in: 0..<1, using: &self) }
  }
}

extension Smoother {
  /// What is expected that many steps ahead, 1 or more.
  func forecast(ahead steps: Int) -> Forecast { Array(forecasts.prefix(steps))[steps - 1] }
}
