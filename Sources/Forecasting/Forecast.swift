/// What is expected at one step ahead.
public struct Forecast: Sendable, Equatable {
  /// The expected value.
  public var mean: Double
  /// The standard deviation of the error of `mean`.
  public var standardDeviation: Double

  /// Standard deviations to either side that hold 95 % of a normal distribution.
  public static let deviationsOf95Percent = 1.959963984540054

  /// A prediction interval, if errors are normal: by default of 95 %. Everything, if a model has exploded and
  /// its forecasts are no numbers any more.
  public func interval(deviations: Double = deviationsOf95Percent) -> ClosedRange<Double> {
    let reach = standardDeviation * deviations
    let (low, high) = (mean - reach, mean + reach)
    return low <= high ? low...high : -.infinity ... .infinity
  }
}

extension Sequence<Forecast> {
  /// The first step, counted from 1, at which a threshold is expected to be reached from below; nil: not
  /// within `horizon` steps.
  public func firstStep(reaching threshold: Double, within horizon: Int) -> Int? {
    for (index, forecast) in prefix(horizon).enumerated() where forecast.mean >= threshold {
      return index + 1
    }
    return nil
  }
}
