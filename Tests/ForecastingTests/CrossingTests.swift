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
  @Test func aThresholdIsReachedAtItOrAbove() {
    let rising = [1, 2, 3, 4].map { Forecast(mean: $0, standardDeviation: 1) }
    #expect(rising.firstStep(reaching: 3, within: 4) == 3)
    #expect(rising.firstStep(reaching: 0, within: 4) == 1)
    #expect(rising.firstStep(reaching: 3, within: 2) == nil)
    #expect(rising.firstStep(reaching: 5, within: 10) == nil)
  }

  @Test func aLineFillsUpWhenItShould() throws {
    var forecaster = Forecaster(.holt(damped: false), windowLength: 60, refitInterval: 10)
    for minute in 0..<30 { forecaster.observe(Double(minute)) }
    #expect(try forecaster.forecasts().firstStep(reaching: 100, within: 1000) == 71)
    #expect(try forecaster.forecasts().firstStep(reaching: 100, within: 70) == nil)
  }

  @Test func nothingIsForecastFromNothing() throws {
    var forecaster = Forecaster(.holt(damped: false), windowLength: 60, refitInterval: 10)
    for _ in 0..<5 { forecaster.observe(1) }
    forecaster.observe(nil)
    #expect(throws: ForecastShortage(observed: 5, needed: 6)) { try forecaster.forecasts() }
    forecaster.observe(1)
    #expect(try Array(forecaster.forecasts().prefix(1)) == [Forecast(mean: 1, standardDeviation: 0)])
  }

  @Test func theWindowMovesOn() throws {
    var forecaster = Forecaster(.simple, windowLength: 20, refitInterval: 1)
    for _ in 0..<50 { forecaster.observe(0) }
    for step in 0..<20 { forecaster.observe(step % 2 == 0 ? 90 : 110) }
    // Nothing of the zeros is left in the fit: the error is that of the last twenty values.
    var alone = Forecaster(.simple, windowLength: 20, refitInterval: 1)
    for step in 0..<20 { alone.observe(step % 2 == 0 ? 90 : 110) }
    #expect(try Array(forecaster.forecasts().prefix(3)) == Array(alone.forecasts().prefix(3)))
  }

  @Test func theLastFitGoesOnThroughAGap() throws {
    var forecaster = Forecaster(.holt(damped: false), windowLength: 10, refitInterval: 1)
    for step in 0..<10 { forecaster.observe(Double(step)) }
    for _ in 0..<30 { forecaster.observe(nil) }
    let next = try forecaster.forecasts().prefix(1).map(\.mean)
    #expect(next.count == 1 && (next[0] - 40).magnitude < 1e-6)
  }
}
