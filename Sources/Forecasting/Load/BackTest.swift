/// How well a model would have forecast the end of a series from its beginning.
///
/// The model is fitted to the first three quarters. From there on it follows the series, and from each of up
/// to `originsMax` places, at equal distances, it forecasts the horizon. The error is the *mean absolute
/// scaled error*: the mean of the absolute errors, divided by that of forecasting each value of the first
/// part by the one before it (Hyndman and Koehler, *Another look at measures of forecast accuracy*, 2006).
/// Below 1 a forecast over the whole horizon is better than one by the last value over one step.
public struct BackTest: Sendable, Equatable {
  /// Places that are forecast from.
  private static let originsMax = 24

  private let series: [Double?]
  private let horizon: Int
  private let trainingCount: Int
  /// What the errors are divided by.
  private let scale: Double

  /// - Parameter horizon: steps; no more are looked at than the part that is forecast has.
  public init(_ series: [Double?], horizon: Int) {
    self.series = series
    trainingCount = series.count - series.count / 4
    self.horizon = max(1, min(horizon, series.count - trainingCount))
    var (sum, count) = (0.0, 0)
    for index in 1..<max(1, trainingCount) {
      guard let one = series[index - 1], let other = series[index] else { continue }
      sum += (other - one).magnitude
      count += 1
    }
    scale = count > 0 ? sum / Double(count) : 0
  }

  /// The mean absolute scaled error of a model; infinite if it errs where nothing has ever changed.
  ///
  /// - Returns: nil if the first part is too short for it, or nothing was observed in the other.
  public func error(of kind: LoadModelKind) -> Double? {
    guard var model = try? LoadModel(kind, fittedTo: Array(series[..<trainingCount])) else { return nil }
    let stride = max(1, (series.count - trainingCount) / Self.originsMax)
    var (sum, count) = (0.0, 0)
    for origin in trainingCount..<series.count {
      if (origin - trainingCount) % stride == 0 {
        let forecasts = model.forecasts(min(horizon, series.count - origin))
        for (ahead, forecast) in forecasts.enumerated() {
          guard let value = series[origin + ahead] else { continue }
          sum += (value - forecast.mean).magnitude
          count += 1
        }
      }
      model.observe(series[origin])
    }
    guard count > 0 else { return nil }
    if scale == 0 { return sum == 0 ? 0 : .infinity }
    let error = sum / Double(count) / scale
    return error.isFinite ? error : nil
  }
}
