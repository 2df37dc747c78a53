import Forecasting

/// Watches one figure of a store, and says when it will meet a threshold.
///
/// Means of a minute feed Holt's method, which looks three hours ahead; means of an hour feed Holt-Winters
/// with a season of a day, which knows something after two days and looks a week ahead. 8 KiB.
struct Outlook: Sendable {
  private var minutes: Forecaster
  private var hours = Forecaster(.holtWinters(season: 24), windowLength: 336, refitInterval: 6)
  private var minute = MeanOver(seconds: 60)
  private var hour = MeanOver(seconds: 3600)

  private static let minutesAhead = 180
  private static let hoursAhead = 168

  /// - Parameter isDamped: trends of this figure do not go on for long.
  init(isDamped: Bool) {
    minutes = Forecaster(.holt(damped: isDamped), windowLength: 180, refitInterval: 30)
  }

  /// Takes the figure of an interval; nil if there is none.
  ///
  /// - Returns: whether a minute is full, and there is something new to ask for.
  mutating func observe(_ value: Double?, seconds: Double) -> Bool {
    for mean in hour.add(value, seconds: seconds) { hours.observe(mean) }
    let means = minute.add(value, seconds: seconds)
    for mean in means { minutes.observe(mean) }
    return !means.isEmpty
  }

  /// Seconds until the figure is expected to be at a threshold or above; nil: not within what can be seen.
  func secondsUntil(_ threshold: Double) -> Double? {
    if let forecasts = try? minutes.forecasts(),
      let steps = forecasts.firstStep(reaching: threshold, within: Self.minutesAhead)
    {
      return Double(steps) * 60
    }
    guard let forecasts = try? hours.forecasts(),
      let steps = forecasts.firstStep(reaching: threshold, within: Self.hoursAhead)
    else { return nil }
    return Double(steps) * 3600
  }
}

/// Makes means over equal times of values that come at any intervals.
private struct MeanOver: Sendable {
  let seconds: Double
  private var sum = 0.0
  private var weight = 0.0
  private var elapsed = 0.0

  init(seconds: Double) {
    self.seconds = seconds
  }

  /// Takes a value that held for a time; the means that are complete by it, nil for a time without values.
  mutating func add(_ value: Double?, seconds: Double) -> [Double?] {
    elapsed += seconds
    if let value {
      sum += value * seconds
      weight += seconds
    }
    guard elapsed >= self.seconds else { return [] }
    // An interval that is longer than the time stands for each of the times that it covers.
    let count = Int(elapsed / self.seconds)
    let mean = weight > 0 ? sum / weight : nil
    elapsed -= Double(count) * self.seconds
    sum = 0
    weight = 0
    return [Double?](repeating: mean, count: count)
  }
}
