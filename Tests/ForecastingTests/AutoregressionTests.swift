import Foundation
import Testing

@testable import Forecasting

/// Compares with what statsmodels makes of the same series; `make golden-forecasts` writes the file.
@Suite struct AutoregressionTests {
  struct Golden: Decodable {
    var cases: [Case]
  }

  struct Case: Decodable, CustomStringConvertible, Sendable {
    var name: String
    var values: [Double]
    /// Of each order, fitted to the same values.
    var criteria: [Double]
    var order: Int
    /// The constant, then those of one step before, and so on.
    var weights: [Double]
    var variance: Double
    var forecasts: [Double]
    var variances: [Double]

    var description: String { name }
  }

  static let cases: [Case] = {
    let file = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .appending(path: "golden/autoregression.json")
    guard let data = try? Data(contentsOf: file) else { return [] }
    return (try? JSONDecoder().decode(Golden.self, from: data))?.cases ?? []
  }()

  static func isNear(_ left: Double, _ right: Double) -> Bool {
    (left - right).magnitude <= 1e-9 * max(1, right.magnitude)
  }

  @Test func theFileIsThere() {
    #expect(Self.cases.count == 5)
  }

  @Test(arguments: cases)
  func fitsTheSame(golden: Case) throws {
    let model = try Autoregression.fit(to: golden.values)
    #expect(model.order == golden.order)
    for (own, theirs) in zip([model.intercept] + model.coefficients, golden.weights) {
      #expect(Self.isNear(own, theirs), "\(own) instead of \(theirs)")
    }
    #expect(Self.isNear(model.variance, golden.variance))
  }

  @Test(arguments: cases)
  func judgesOrdersTheSame(golden: Case) throws {
    for (order, criterion) in golden.criteria.enumerated() {
      let model = try #require(
        Autoregression.fit(order: order, to: golden.values, skipping: golden.criteria.count - 1))
      #expect(Self.isNear(model.correctedAkaike, criterion), "order \(order)")
    }
  }

  @Test(arguments: cases)
  func forecastsTheSame(golden: Case) throws {
    let forecaster = AutoregressiveForecaster(try Autoregression.fit(to: golden.values), after: golden.values)
    for (ahead, forecast) in forecaster.forecasts(golden.forecasts.count).enumerated() {
      #expect(Self.isNear(forecast.mean, golden.forecasts[ahead]), "ahead \(ahead + 1)")
      let variance = forecast.standardDeviation * forecast.standardDeviation
      #expect(Self.isNear(variance, golden.variances[ahead]), "variance ahead \(ahead + 1)")
    }
  }

  @Test func whatIsMissingIsLeftOut() throws {
    // y(t) = 1 + 0.5·y(t − 1), without any error, and disturbed now and then where nobody looked.
    var values: [Double?] = []
    var value = 40.0
    for step in 0..<60 {
      value = 1 + 0.5 * value
      let isHidden = step % 10 == 9
      if isHidden { value = Double(step) }
      values.append(isHidden ? nil : value)
    }
    let model = try #require(Autoregression.fit(order: 1, to: values))
    // The step after a hidden one would spoil the fit.
    #expect((model.coefficients[0] - 0.5).magnitude < 1e-6 && (model.intercept - 1).magnitude < 1e-6)
  }

  @Test func aConstantHasNoWeights() throws {
    let model = try Autoregression.fit(to: [Double?](repeating: 7, count: 40))
    #expect(model.order == 0 && model.intercept == 7 && model.variance == 0)
  }

  @Test func tooLittleIsSaid() {
    #expect(throws: ForecastShortage(observed: 3, needed: 6)) { try Autoregression.fit(to: [1, 2, 3]) }
    #expect(throws: ForecastShortage.self) { try Autoregression.fit(to: []) }
  }
}
