import Testing

@testable import Forecasting

@Suite struct IntervalTests {
  @Test func whatIsNoNumberSaysNothing() {
    let exploded = Forecast(mean: .infinity, standardDeviation: .infinity)
    #expect(exploded.interval().contains(0) && exploded.interval().contains(1e300))
    #expect(Forecast(mean: .nan, standardDeviation: 1).interval().contains(0))
    #expect(!Forecast(mean: 5, standardDeviation: 1).interval().contains(0))
  }
}

@Suite struct CrossingTests {
  private func forecasts(_ means: [Double], deviation: Double) -> [Forecast] {
    means.map { Forecast(mean: $0, standardDeviation: deviation) }
  }

  @Test func theBoundCrossesBeforeTheMean() {
    let rising = forecasts([1, 2, 3, 4, 5, 6], deviation: 1)
    #expect(rising.crossing(.above, of: 5, within: 6, deviations: 2) == Crossing(expected: 5, earliest: 3))
    #expect(rising.crossing(.above, of: 5, within: 4, deviations: 2) == Crossing(expected: nil, earliest: 3))
    #expect(rising.crossing(.above, of: 50, within: 6) == Crossing(expected: nil, earliest: nil))
  }

  @Test func downwards() {
    let falling = forecasts([6, 5, 4, 3], deviation: 0.5)
    #expect(falling.crossing(.below, of: 4, within: 4, deviations: 2) == Crossing(expected: 3, earliest: 2))
    #expect(falling.crossing(.above, of: 6, within: 4) == Crossing(expected: 1, earliest: 1))
  }

  @Test func aLineFillsUpWhenItShould() throws {
    var forecaster = Forecaster(.holt(damped: false), windowLength: 60, refitInterval: 10)
    for minute in 0..<30 { forecaster.observe(Double(minute)) }
    let crossing = try forecaster.forecasts().crossing(.above, of: 100, within: 1000)
    #expect(crossing.expected == 71)
    #expect(crossing.earliest == 71)
    #expect(try forecaster.forecasts().crossing(.above, of: 100, within: 70).expected == nil)
  }

  @Test func nothingIsForecastFromNothing() {
    var forecaster = Forecaster(.holt(damped: false), windowLength: 60, refitInterval: 10)
    for _ in 0..<5 { forecaster.observe(1) }
    forecaster.observe(nil)
    #expect(throws: ForecastShortage(observed: 5, needed: 6)) { try forecaster.forecasts() }
    #expect(forecaster.meanSquaredError == nil)
    forecaster.observe(1)
    #expect(forecaster.meanSquaredError == 0)
  }

  @Test func theWindowMovesOn() throws {
    var forecaster = Forecaster(.simple, windowLength: 20, refitInterval: 1)
    for _ in 0..<50 { forecaster.observe(0) }
    for step in 0..<20 { forecaster.observe(step % 2 == 0 ? 90 : 110) }
    // Nothing of the zeros is left in the fit: the error is that of the last twenty values.
    var alone = Forecaster(.simple, windowLength: 20, refitInterval: 1)
    for step in 0..<20 { alone.observe(step % 2 == 0 ? 90 : 110) }
    #expect(forecaster.meanSquaredError == alone.meanSquaredError)
  }

  @Test func theLastFitGoesOnThroughAGap() throws {
    var forecaster = Forecaster(.holt(damped: false), windowLength: 10, refitInterval: 1)
    for step in 0..<10 { forecaster.observe(Double(step)) }
    for _ in 0..<30 { forecaster.observe(nil) }
    let next = try forecaster.forecasts().prefix(1).map(\.mean)
    #expect(next.count == 1 && (next[0] - 40).magnitude < 1e-6)
  }
}
