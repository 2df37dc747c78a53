import Glibc

/// What the next value is made of, if it is a weighted sum of the last ones:
///
///     y(t) = c + a₁·y(t − 1) + … + aₚ·y(t − p) + error
///
/// The weights are those with the least sum of squared errors (conditional on the first p values); the order
/// p is the one with the least Akaike criterion, corrected for short series (Hurvich and Tsai, *Regression
/// and time series model selection in small samples*, 1989), all orders being compared on the same values.
public struct Autoregression: Sendable, Equatable {
  /// c.
  public let intercept: Double
  /// a₁ … aₚ; empty: the mean is all there is.
  public let coefficients: [Double]
  /// The mean of the squared errors.
  public let variance: Double
  /// n · (ln(2π · variance) + 1) + 2k + 2k(k + 1) / (n − k − 1), of n values and k = p + 2 parameters.
  public let correctedAkaike: Double

  /// p.
  public var order: Int { coefficients.count }

  /// Orders that are tried.
  public static let orderMax = 12
  /// Values for each parameter, below which an order is not tried.
  private static let valuesPerParameter = 3

  /// The best order for a series, fitted to all of it.
  ///
  /// - Parameter series: nil where nothing was observed; what would need such a value is left out.
  /// - Throws: `ForecastShortage` if there are too few values in a row.
  public static func fit(
    to series: [Double?], orderMax: Int = orderMax
  ) throws(ForecastShortage) -> Autoregression {
    let observed = series.count { $0 != nil }
    let highest = min(orderMax, observed / valuesPerParameter - 2)
    var best: Autoregression?
    if highest >= 0 {
      let rows = LaggedRows(series, lags: highest)
      for order in 0...highest {
        guard let model = rows.solve(order: order), model.correctedAkaike.isFinite || order == 0 else {
          continue
        }
        if model.correctedAkaike < best?.correctedAkaike ?? .infinity { best = model }
      }
    }
    guard let best, let model = fit(order: best.order, to: series) else {
      throw ForecastShortage(observed: observed, needed: 2 * valuesPerParameter)
    }
    return model
  }

  /// A given order; nil if there are too few values in a row, or they do not differ enough to tell.
  public static func fit(order: Int, to series: [Double?], skipping first: Int = 0) -> Autoregression? {
    LaggedRows(series, lags: max(order, first)).solve(order: order)
  }

  fileprivate init(intercept: Double, coefficients: [Double], squares: Double, count: Int) {
    self.intercept = intercept
    self.coefficients = coefficients
    variance = max(0, squares) / Double(count)
    let (n, k) = (Double(count), Double(coefficients.count + 2))
    correctedAkaike = n * (log(2 * .pi * variance) + 1) + 2 * k + 2 * k * (k + 1) / (n - k - 1)
  }
}

/// The sums that all orders are fitted from: of products of the value and its predecessors, about their
/// means.
private struct LaggedRows {
  private let count: Int
  /// Of the value, then of that of one step before, and so on.
  private let means: [Double]
  private let products: [[Double]]

  init(_ series: [Double?], lags: Int) {
    var rows: [[Double]] = []
    for end in series.indices.dropFirst(lags) {
      let row = (0...lags).compactMap { series[end - $0] }
      if row.count == lags + 1 { rows.append(row) }
    }
    count = rows.count
    let divisor = Double(max(1, rows.count))
    let means = (0...lags).map { column in rows.reduce(0) { $0 + $1[column] } / divisor }
    var products = [[Double]](repeating: [Double](repeating: 0, count: lags + 1), count: lags + 1)
    for row in rows {
      for left in 0...lags {
        let value = row[left] - means[left]
        for right in left...lags { products[left][right] += value * (row[right] - means[right]) }
      }
    }
    for left in 0...lags { for right in 0..<left { products[left][right] = products[right][left] } }
    self.means = means
    self.products = products
  }

  /// nil without enough rows, or if the predecessors are as good as linearly dependent.
  func solve(order: Int) -> Autoregression? {
    guard count > order + 3 else { return nil }
    let lags = order == 0 ? [] : Array(1...order)
    guard
      let weights = Self.solve(
        lags.map { row in lags.map { products[row][$0] } }, lags.map { products[0][$0] })
    else { return nil }
    let explained = zip(weights, lags).reduce(0) { $0 + $1.0 * products[0][$1.1] }
    let intercept = means[0] - zip(weights, lags).reduce(0) { $0 + $1.0 * means[$1.1] }
    return Autoregression(
      intercept: intercept, coefficients: weights, squares: products[0][0] - explained, count: count)
  }

  /// Solves a symmetric positive definite system by Cholesky's decomposition; nil if it is none.
  private static func solve(_ matrix: [[Double]], _ right: [Double]) -> [Double]? {
    let size = right.count
    var lower = matrix
    for row in 0..<size {
      for column in 0...row {
        var sum = matrix[row][column]
        for k in 0..<column { sum -= lower[row][k] * lower[column][k] }
        if row == column {
          // What rounding leaves of nothing.
          guard sum > matrix[row][row] * 1e-12 else { return nil }
          lower[row][row] = sum.squareRoot()
        } else {
          lower[row][column] = sum / lower[column][column]
        }
      }
    }
    var solution = right
    for row in 0..<size {
      for k in 0..<row { solution[row] -= lower[row][k] * solution[k] }
      solution[row] /= lower[row][row]
    }
    for row in (0..<size).reversed() {
      for k in row + 1..<max(size, row + 1) { solution[row] -= lower[k][row] * solution[k] }
      solution[row] /= lower[row][row]
    }
    return solution
  }
}

/// An autoregression that follows a series.
struct AutoregressiveForecaster: Sendable, Equatable {
  let model: Autoregression
  /// The last p values, newest first; what was not observed is as it was expected.
  private var recent: [Double]

  /// Runs through a series.
  init(_ model: Autoregression, after series: [Double?]) {
    self.model = model
    let observed = series.compactMap { $0 }
    let mean = observed.isEmpty ? 0 : observed.reduce(0, +) / Double(observed.count)
    recent = [Double](repeating: mean, count: model.order)
    for value in series { observe(value) }
  }

  private func expected(after values: [Double]) -> Double {
    zip(model.coefficients, values).reduce(model.intercept) { $0 + $1.0 * $1.1 }
  }

  mutating func observe(_ value: Double?) {
    guard model.order > 0 else { return }
    recent.insert(value ?? expected(after: recent), at: 0)
    recent.removeLast()
  }

  /// The variance of an error h steps ahead is σ² · (1 + ψ₁² + … + ψ(h − 1)²), ψ being what is left of an
  /// error (Box, Jenkins and Reinsel, *Time Series Analysis*, section 5.2).
  func forecasts(_ count: Int) -> [Forecast] {
    var values = recent
    var left = [1.0] + [Double](repeating: 0, count: max(0, model.order - 1))
    var factor = 0.0
    return (0..<count).map { _ in
      let mean = expected(after: values)
      factor += left[0] * left[0]
      if model.order > 0 {
        values.insert(mean, at: 0)
        values.removeLast()
        left.insert(zip(model.coefficients, left).reduce(0) { $0 + $1.0 * $1.1 }, at: 0)
        left.removeLast()
      } else {
        factor = 1
      }
      return Forecast(mean: mean, standardDeviation: (model.variance * factor).squareRoot())
    }
  }
}
