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

/// When a forecast meets a threshold: in steps from the last one observed or missed, from 1 on.
public struct Crossing: Sendable, Equatable {
  /// The first step at which the expected value is beyond the threshold; nil: not within the horizon.
  public var expected: Int?
  /// The first step at which the bound of the prediction interval is; never after `expected`.
  public var earliest: Int?
}

/// The side of a threshold that is beyond it.
public enum ThresholdSide: Sendable {
  /// At it or above.
  case above
  /// At it or below.
  case below
}

extension Sequence<Forecast> {
  /// Finds out when a series of forecasts meets a threshold, looking `horizon` steps ahead.
  public func crossing(
    _ side: ThresholdSide, of threshold: Double, within horizon: Int,
    deviations: Double = Forecast.deviationsOf95Percent
  ) -> Crossing {
    var crossing = Crossing()
    for (index, forecast) in prefix(horizon).enumerated() {
      let interval = forecast.interval(deviations: deviations)
      let bound = side == .above ? interval.upperBound : interval.lowerBound
      if crossing.earliest == nil, isBeyond(bound, side, threshold) { crossing.earliest = index + 1 }
      if isBeyond(forecast.mean, side, threshold) {
        crossing.expected = index + 1
        break
      }
    }
    return crossing
  }

  private func isBeyond(_ value: Double, _ side: ThresholdSide, _ threshold: Double) -> Bool {
    side == .above ? value >= threshold : value <= threshold
  }
}
