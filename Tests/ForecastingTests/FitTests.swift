import Primitives
import Testing

@testable import Forecasting

@Suite struct FitTests {
  static let kinds: [SmoothingKind] = [
    .simple, .holt(damped: false), .holt(damped: true), .holtWinters(season: 6),
  ]

  private func noise(_ count: Int, seed: UInt64) -> [Double?] {
    var random = SeededGenerator(seed: seed)
    return (0..<count).map { _ in 100 + random.normal() }
  }

  @Test(arguments: kinds)
  func tooShortIsSaid(kind: SmoothingKind) throws {
    let least = kind.observationsMin
    let short = noise(least - 1, seed: 1) + [nil, .nan, nil]
    #expect(throws: ForecastShortage(observed: least - 1, needed: least)) {
      try SmoothingFit.fit(kind, to: short)
    }
    let enough = try SmoothingFit.fit(kind, to: noise(least, seed: 1))
    #expect(enough.forecast(ahead: 5).mean.isFinite)
  }

  @Test(arguments: kinds)
  func theSameSeriesGivesTheSameFit(kind: SmoothingKind) throws {
    let series = noise(60, seed: 3)
    #expect(try SmoothingFit.fit(kind, to: series) == SmoothingFit.fit(kind, to: series))
  }

  @Test(arguments: kinds)
  func aConstantSeries(kind: SmoothingKind) throws {
    let fitted = try SmoothingFit.fit(kind, to: [Double?](repeating: 42, count: 30))
    #expect(fitted.forecast(ahead: 10).interval() == 42...42)
  }

  @Test func aStraightLineGoesOn() throws {
    let line = (0..<40).map { $0 == 7 || $0 == 20 ? nil : Double?(3 * Double($0) + 5) }
    let fitted = try SmoothingFit.fit(.holt(damped: false), to: line)
    #expect((fitted.forecast(ahead: 10).mean - (3 * 49 + 5)).magnitude < 1e-6)
    #expect(fitted.forecast(ahead: 10).standardDeviation < 1e-6)
  }

  @Test func aSeasonGoesOn() throws {
    let season = [5.0, 0, -5, 2, -2, 0]
    let series = (0..<36).map { Double?(100 + 0.5 * Double($0) + season[$0 % 6]) }
    let fitted = try SmoothingFit.fit(.holtWinters(season: 6), to: series)
    for step in 1...18 {
      let value = 100 + 0.5 * Double(35 + step) + season[(35 + step) % 6]
      #expect((fitted.forecast(ahead: step).mean - value).magnitude < 0.05, "ahead \(step)")
    }
  }

  @Test func aStepOfTheSeasonThatWasNeverSeen() throws {
    let series = (0..<30).map { $0 % 6 == 2 ? nil : Double?(Double($0 % 6)) }
    let fitted = try SmoothingFit.fit(.holtWinters(season: 6), to: series)
    for forecast in fitted.forecasts.prefix(12) { #expect(forecast.mean.isFinite) }
  }

  @Test func onlyOneSeasonHasValues() throws {
    let series = (0..<12).map { Double?(Double($0 % 6)) } + [Double?](repeating: nil, count: 24)
    let gap = [Double?](repeating: nil, count: 12) + series
    let fitted = try SmoothingFit.fit(.holtWinters(season: 6), to: gap)
    #expect(fitted.forecast(ahead: 3).mean.isFinite)
  }
}
