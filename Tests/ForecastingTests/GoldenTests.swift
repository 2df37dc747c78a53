import Foundation
import Testing

@testable import Forecasting

/// Compares with what statsmodels makes of the same series; `make golden-forecasts` writes the file.
@Suite struct GoldenTests {
  struct Golden: Decodable {
    var cases: [Case]
  }

  struct Case: Decodable, CustomStringConvertible, Sendable {
    var name: String
    var season: Int
    var isDamped: Bool
    var hasTrend: Bool
    var level: Double
    var trend: Double
    var damping: Double
    var gamma: Double
    var startLevel: Double
    var startTrend: Double
    var startSeasons: [Double]
    var values: [Double]
    var expected: [Double]
    var forecasts: [Double?]
    var varianceFactors: [Double]
    var squaredErrors: Double
    var leastSquaredErrors: Double

    var description: String { name }

    var kind: SmoothingKind {
      season > 0 ? .holtWinters(season: season) : hasTrend ? .holt(damped: isDamped) : .simple
    }

    var parameters: SmoothingParameters {
      SmoothingParameters(level: level, trend: trend, damping: damping, season: gamma)
    }

    var start: SmoothingStart {
      SmoothingStart(level: startLevel, trend: startTrend, seasons: startSeasons)
    }
  }

  static let cases: [Case] = {
    let file = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .appending(path: "golden/smoothing.json")
    guard let data = try? Data(contentsOf: file) else { return [] }
    return (try? JSONDecoder().decode(Golden.self, from: data))?.cases ?? []
  }()

  static func isNear(_ left: Double, _ right: Double) -> Bool {
    (left - right).magnitude <= 1e-9 * max(1, right.magnitude)
  }

  @Test func theFileIsThere() {
    #expect(Self.cases.count == 6)
  }

  @Test(arguments: cases)
  func smoothsTheSame(golden: Case) {
    var smoother = Smoother(golden.parameters, from: golden.start)
    var squares = 0.0
    for (index, value) in golden.values.enumerated() {
      #expect(Self.isNear(smoother.expected, golden.expected[index]), "step \(index)")
      let error = smoother.observe(value) ?? .nan
      squares += error * error
    }
    #expect(Self.isNear(squares, golden.squaredErrors))
    #expect(Self.isNear(smoother.meanSquaredError, squares / Double(golden.values.count)))
    for (index, forecast) in smoother.forecasts.prefix(golden.forecasts.count).enumerated() {
      // Where there is nothing to compare with, the file has null.
      if let mean = golden.forecasts[index] {
        #expect(Self.isNear(forecast.mean, mean), "ahead \(index + 1)")
      }
      #expect(smoother.forecast(ahead: index + 1) == forecast)
      let variance = forecast.standardDeviation * forecast.standardDeviation
      #expect(
        Self.isNear(variance / smoother.meanSquaredError, golden.varianceFactors[index]),
        "variance ahead \(index + 1)")
    }
  }

  @Test(arguments: cases)
  func fitsHardlyWorse(golden: Case) {
    let fitted = SmoothingFit.fit(golden.kind, from: golden.start, to: golden.values)
    let squares = fitted.meanSquaredError * Double(golden.values.count)
    #expect(squares <= golden.leastSquaredErrors * 1.01, "\(squares), least \(golden.leastSquaredErrors)")
  }
}
