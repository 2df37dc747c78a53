/// Forecasts one metric of one load: chooses a model, has it follow what is observed, and chooses again on
/// schedule.
public struct LoadForecaster: Sendable {
  /// Steps from one choice to the next.
  public let stepsPerChoice: Int
  /// Steps that are forecast.
  public let horizon: Int
  /// Up to there a season is looked for, in steps.
  public let longestSeason: Int
  /// The choice that counts; nil before the first.
  public private(set) var choice: ModelChoice?
  /// What the latest value should have been; nil without one.
  public private(set) var latest: (value: Double, expected: Forecast)?

  private var model: LoadModel?
  /// The step that the model has seen last, and the one of the choice.
  private var lastStep = 0
  private var chosenAt = 0

  /// Standard deviations beyond which a value is unusual: 99 % of a normal distribution lie within.
  public static let unusualDeviations = 2.575829303548901

  /// A forecaster that has seen nothing.
  public init(horizon: Int, stepsPerChoice: Int, longestSeason: Int) {
    precondition(horizon > 0 && stepsPerChoice > 0, "a forecast of nothing")
    self.horizon = horizon
    self.stepsPerChoice = stepsPerChoice
    self.longestSeason = longestSeason
  }

  /// Takes what was observed since the last time.
  ///
  /// - Parameters:
  ///   - series: all that is known, oldest first; nil where nothing was observed.
  ///   - lastStep: the number of its last value.
  /// - Throws: `ForecastShortage` if the series is too short.
  public mutating func follow(_ series: [Double?], through lastStep: Int) throws(ForecastShortage) {
    let isDue = model == nil || lastStep < self.lastStep || lastStep - chosenAt >= stepsPerChoice
    if isDue {
      // All but the last value, so that it can be compared with what would have been expected.
      let choice = try ModelChoice(
        for: Array(series.dropLast()), horizon: horizon, longestSeason: longestSeason)
      self.choice = choice
      model = choice.model
      chosenAt = lastStep
      self.lastStep = lastStep - 1
    }
    for value in series.suffix(lastStep - self.lastStep) { observe(value) }
    self.lastStep = lastStep
  }

  private mutating func observe(_ value: Double?) {
    latest = nil
    if let value, let expected = model?.forecasts(1).first { latest = (value, expected) }
    model?.observe(value)
  }

  /// Whether the latest value lies outside of what was to be expected, with an error of 1 in 100.
  public var isUnusual: Bool {
    latest.map { !$0.expected.interval(deviations: Self.unusualDeviations).contains($0.value) } ?? false
  }

  /// What is expected of the next steps; empty before the first choice.
  public var forecasts: [Forecast] { model?.forecasts(horizon) ?? [] }
}
