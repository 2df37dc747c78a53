/// Expects what was there a season ago; without a season, what was there last.
///
/// The variance of an error h steps ahead is that of one step times the number of seasons that lie between
/// (Hyndman and Athanasopoulos, *Forecasting: Principles and Practice*, section 5.5).
struct NaiveForecaster: Sendable, Equatable {
  let season: Int
  /// The last season, oldest first.
  private var recent: [Double?]
  private var squares = 0.0
  private var errors = 0

  /// Runs through a series.
  ///
  /// - Parameter season: steps; 1 without a season.
  init(season: Int = 1, after series: [Double?]) {
    precondition(season >= 1, "a season has steps")
    self.season = season
    recent = [Double?](repeating: nil, count: season)
    for value in series { observe(value) }
  }

  mutating func observe(_ value: Double?) {
    let expected = recent.removeFirst()
    if let value, let expected {
      squares += (value - expected) * (value - expected)
      errors += 1
    }
    recent.append(value ?? expected)
  }

  func forecasts(_ count: Int) -> [Forecast] {
    let variance = errors > 0 ? squares / Double(errors) : 0
    return (0..<count).map { ahead in
      Forecast(
        mean: (recent[ahead % season] ?? 0),
        standardDeviation: (variance * Double(ahead / season + 1)).squareRoot())
    }
  }
}
