/// Finds the length of a series' season by its autocorrelation.
public enum SeasonFinder {
  /// A correlation with itself one season ago from which there is said to be one.
  private static let correlationMin = 0.3
  /// How much of the highest correlation a shorter season needs: its multiples correlate as well.
  private static let shareOfHighest = 0.9

  /// The season of a series: the shortest lag whose autocorrelation is a peak nearly as high as the highest;
  /// nil if nothing repeats.
  ///
  /// The straight line through the series is taken off first.
  ///
  /// - Parameters:
  ///   - series: nil where nothing was observed.
  ///   - longest: a season can be; of each at least three are needed.
  public static func season(of series: [Double?], longest: Int) -> Int? {
    let values = detrended(series)
    let lagMax = min(longest, series.count / 3)
    guard lagMax >= 2 else { return nil }
    let correlations = (0...lagMax + 1).map { correlation(of: values, lag: $0) }
    let peaks = (2...lagMax).filter { lag in
      correlations[lag] >= correlationMin && correlations[lag] > correlations[lag - 1]
        && correlations[lag] >= correlations[lag + 1]
    }
    guard let highest = peaks.map({ correlations[$0] }).max() else { return nil }
    return peaks.first { correlations[$0] >= highest * shareOfHighest }
  }

  /// The correlation of what was observed at both ends, so that longer lags are not at a disadvantage.
  private static func correlation(of values: [Double?], lag: Int) -> Double {
    var (products, earlier, later) = (0.0, 0.0, 0.0)
    for index in values.indices.dropFirst(lag) {
      guard let one = values[index - lag], let other = values[index] else { continue }
      products += one * other
      earlier += one * one
      later += other * other
    }
    let scale = (earlier * later).squareRoot()
    return scale > 0 ? products / scale : 0
  }

  private static func detrended(_ series: [Double?]) -> [Double?] {
    var (count, steps, sum, products, squares) = (0.0, 0.0, 0.0, 0.0, 0.0)
    for (index, value) in series.enumerated() {
      guard let value else { continue }
      let step = Double(index)
      count += 1
      steps += step
      sum += value
      products += step * value
      squares += step * step
    }
    guard count > 1 else { return series }
    let spread = squares - steps * steps / count
    let slope = spread > 0 ? (products - steps * sum / count) / spread : 0
    let start = (sum - slope * steps) / count
    return series.enumerated().map { index, value in value.map { $0 - start - slope * Double(index) } }
  }
}
