import Foundation
import Primitives
import Testing

@testable import Forecasting

/// Choosing a model for a load, and following it.
@Suite struct LoadModelTests {
  /// Noise between −1 and 1.
  private static func noise(_ count: Int, seed: UInt64) -> [Double] {
    var generator = SeededGenerator(seed: seed)
    return (0..<count).map { _ in Double.random(in: -1...1, using: &generator) }
  }

  /// A batch job every quarter of an hour, on a base load that wanders a little.
  static func periodic(minutes: Int, seed: UInt64) -> [Double?] {
    let noise = noise(minutes, seed: seed)
    return (0..<minutes).map { minute in (minute % 15 < 3 ? 900 : 200) + 20 * noise[minute] }
  }

  // MARK: The season

  @Test(arguments: [1, 2, 3] as [UInt64])
  func aPeriodIsFound(seed: UInt64) {
    #expect(SeasonFinder.season(of: Self.periodic(minutes: 600, seed: seed), longest: 240) == 15)
  }

  @Test func aDayIsFoundBeneathATrend() {
    let noise = Self.noise(240, seed: 4)
    let values = (0..<240).map { hour -> Double? in
      let wave: Double = 100 * sin(2 * .pi * Double(hour) / 24)
      let trend: Double = 3 * Double(hour)
      return hour % 17 == 5 ? nil : trend + wave + 10 * noise[hour]
    }
    #expect(SeasonFinder.season(of: values, longest: 168) == 24)
  }

  @Test(arguments: [5, 6, 7, 8, 9] as [UInt64])
  func noiseHasNoSeason(seed: UInt64) {
    #expect(SeasonFinder.season(of: Self.noise(400, seed: seed), longest: 120) == nil)
  }

  @Test func aSeasonIsSeenThreeTimesAtLeast() {
    let values = Self.periodic(minutes: 44, seed: 1)
    #expect(SeasonFinder.season(of: values, longest: 240) == nil)
    #expect(SeasonFinder.season(of: [], longest: 240) == nil)
    #expect(SeasonFinder.season(of: [Double?](repeating: 5, count: 100), longest: 240) == nil)
  }

  // MARK: The back-test

  @Test func errorsAreScaledByThoseOfTheLastValue() throws {
    // It steps by 2, and the last quarter begins where the rest has ended: the last value is 2 off one step
    // ahead, 4 two ahead.
    let line: [Double?] = (0..<40).map { 2 * Double($0) }
    #expect(try #require(BackTest(line, horizon: 1).error(of: .naive)) == 1)
    // From nine of ten places two steps, from the last one.
    let expected = (9.0 * (1 + 2) + 1) / 19
    #expect(abs(try #require(BackTest(line, horizon: 2).error(of: .naive)) - expected) < 1e-12)
    #expect(try #require(BackTest(line, horizon: 2).error(of: .smoothing(.holt(damped: false)))) < 1e-9)
  }

  @Test func withoutChangesThereIsNothingToScaleBy() throws {
    var values = [Double?](repeating: 5, count: 40)
    #expect(BackTest(values, horizon: 1).error(of: .naive) == 0)
    values[39] = 6
    #expect(BackTest(values, horizon: 1).error(of: .naive) == .infinity)
  }

  @Test func aModelThatNeedsMoreIsNotTried() {
    let values: [Double?] = (0..<16).map { Double($0 % 3) }
    #expect(BackTest(values, horizon: 4).error(of: .smoothing(.holtWinters(season: 8))) == nil)
    #expect(BackTest([1, 2, nil, nil], horizon: 1).error(of: .naive) == nil)
  }

  // MARK: The choice

  @Test(arguments: [1, 2, 3] as [UInt64])
  func aPeriodicLoadIsForecastBySeason(seed: UInt64) throws {
    let all = Self.periodic(minutes: 630, seed: seed)
    let choice = try ModelChoice(for: Array(all[..<600]), horizon: 30, longestSeason: 240)
    #expect(choice.model.kind.season == 15, "\(choice.model.kind)")
    #expect(choice.error < 0.3, "\(choice.trials)")
    let forecasts = choice.model.forecasts(30)
    for (minute, forecast) in forecasts.enumerated() {
      let value = try #require(all[600 + minute])
      #expect(abs(forecast.mean - value) < 60, "minute \(minute): \(forecast.mean) instead of \(value)")
      #expect(forecast.interval(deviations: 3).contains(value), "minute \(minute)")
    }
  }

  @Test func aDailyLoadIsForecastByTheDay() throws {
    // Ten days by the hour, time-compressed: busy in office hours, half as much on one of them.
    let noise = Self.noise(240, seed: 21)
    let values = (0..<240).map { hour -> Double? in
      let busy: Double = (9..<18).contains(hour % 24) ? 5000 : 800
      let share: Double = hour / 24 == 4 ? 0.8 : 1
      return busy * share + 100 * noise[hour]
    }
    let choice = try ModelChoice(for: values, horizon: 24, longestSeason: 168)
    #expect(choice.model.kind.season == 24, "\(choice.trials)")
    for (hour, forecast) in choice.model.forecasts(24).enumerated() {
      #expect(abs(forecast.mean - ((9..<18).contains(hour) ? 5000 : 800)) < 400, "hour \(hour)")
    }
  }

  @Test func aRandomWalkIsForecastNaively() throws {
    var level = 1000.0
    let values: [Double?] = Self.noise(300, seed: 31).map { step in
      level += 30 * step
      return level
    }
    let choice = try ModelChoice(for: values, horizon: 10, longestSeason: 60)
    let naive = try #require(choice.trials.first { $0.kind == .naive })
    // Nothing can be much better, and what is hardly better is not chosen.
    #expect(choice.model.kind == .naive || choice.error < naive.error * 0.98)
    #expect(choice.trials == choice.trials.sorted { $0.error < $1.error })
  }

  @Test func aTrendIsFollowed() throws {
    let noise = Self.noise(120, seed: 41)
    let values: [Double?] = (0..<120).map { 100 + 8 * Double($0) + 5 * noise[$0] }
    let forecasts = try ModelChoice(for: values, horizon: 20, longestSeason: 60).model.forecasts(20)
    #expect(abs(forecasts[19].mean - (100 + 8 * 139)) < 40, "\(forecasts[19])")
  }

  @Test func tooLittleIsSaid() {
    let values: [Double?] = (0..<20).map { $0 < 11 ? Double($0) : nil }
    #expect(throws: ForecastShortage(observed: 11, needed: 12)) {
      try ModelChoice(for: values, horizon: 5, longestSeason: 60)
    }
  }

  /// Nothing was observed in the last quarter, by which models are judged.
  @Test func whatCanNotBeTriedIsForecastNaively() throws {
    let values: [Double?] = (0..<40).map { $0 < 20 ? Double($0) : nil }
    let choice = try ModelChoice(for: values, horizon: 5, longestSeason: 60)
    #expect(choice.model.kind == .naive && choice.trials.isEmpty && choice.error == .infinity)
    #expect(choice.model.forecasts(2).map(\.mean) == [19, 19])
  }

  @Test func gapsAreNoEnd() throws {
    var values = Self.periodic(minutes: 600, seed: 7)
    for gap in 300..<320 { values[gap] = nil }
    values[599] = nil
    #expect(try ModelChoice(for: values, horizon: 30, longestSeason: 240).model.kind.season == 15)
  }

  // MARK: Intervals

  @Test func seasonsApartAddUp() throws {
    let model = try LoadModel(.seasonalNaive(season: 2), fittedTo: [1, 5, 2, 7, 1, 5])
    let forecasts = model.forecasts(5)
    #expect(forecasts.map(\.mean) == [1, 5, 1, 5, 1])
    // The four errors are 1, 2, −1 and −2.
    let variances = forecasts.map { ($0.standardDeviation * $0.standardDeviation * 10).rounded() }
    #expect(variances == [25, 25, 50, 50, 75])
  }

  // MARK: Following

  @Test func itChoosesAgainOnSchedule() throws {
    let values = Self.periodic(minutes: 400, seed: 8)
    var forecaster = LoadForecaster(horizon: 30, stepsPerChoice: 60, longestSeason: 240)
    try forecaster.follow(Array(values[..<300]), through: 1299)
    let first = try #require(forecaster.choice)
    try forecaster.follow(Array(values[..<359]), through: 1358)
    #expect(forecaster.choice == first)
    // It has moved on nevertheless: minute 359 is one of the quiet ones before the next batch job.
    #expect(abs(try #require(forecaster.forecasts.first).mean - 200) < 60)
    #expect(abs(forecaster.forecasts[1].mean - 900) < 60)
    try forecaster.follow(Array(values[..<360]), through: 1359)
    #expect(forecaster.choice != first)
  }

  @Test func aClockThatWasSetBackBeginsAnew() throws {
    var forecaster = LoadForecaster(horizon: 5, stepsPerChoice: 60, longestSeason: 60)
    try forecaster.follow(Self.periodic(minutes: 100, seed: 9), through: 5000)
    let values = Self.periodic(minutes: 100, seed: 10)
    try forecaster.follow(values, through: 100)
    #expect(forecaster.latest?.value == values[99])
  }

  @Test func whatIsUnusualIsSaid() throws {
    var values = Self.periodic(minutes: 300, seed: 11)
    var forecaster = LoadForecaster(horizon: 30, stepsPerChoice: 60, longestSeason: 240)
    try forecaster.follow(values, through: 299)
    #expect(!forecaster.isUnusual)
    // The batch job comes when it always does: no news.
    values.append(910)
    try forecaster.follow(values, through: 300)
    #expect(!forecaster.isUnusual)
    values += [900, 905, 900]
    try forecaster.follow(values, through: 303)
    #expect(forecaster.isUnusual, "it should have ended")
    values.append(nil)
    try forecaster.follow(values, through: 304)
    #expect(!forecaster.isUnusual)
  }
}
