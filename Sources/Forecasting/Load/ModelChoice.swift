/// The model that would have forecast a series best, and how it compares.
public struct ModelChoice: Sendable, Equatable {
  /// A model that was tried.
  public struct Trial: Sendable, Equatable {
    /// The model.
    public let kind: LoadModelKind
    /// Its mean absolute scaled error in the back-test.
    public let error: Double
  }

  /// The model, fitted to all of the series.
  public let model: LoadModel
  /// All that could be tried, best first.
  public let trials: [Trial]
  /// The error of the chosen one; infinite if none could be tried.
  public let error: Double

  /// Observations without which nothing is said: three for the fit, one to forecast, and some to tell by.
  public static let observationsMin = 12
  /// A model must be better by so much than a simpler one.
  private static let advantage = 0.98

  /// Chooses among all models. If none can be tried, because nothing was observed where forecasts would be
  /// compared with it, the series is expected to go on as it was last.
  ///
  /// - Parameters:
  ///   - series: nil where nothing was observed.
  ///   - horizon: steps that are to be forecast.
  ///   - longestSeason: steps; a season is looked for up to there.
  /// - Throws: `ForecastShortage` if the series is too short.
  public init(
    for series: [Double?], horizon: Int, longestSeason: Int
  ) throws(ForecastShortage) {
    let observed = series.count { $0 != nil }
    guard observed >= Self.observationsMin else {
      throw ForecastShortage(observed: observed, needed: Self.observationsMin)
    }
    let test = BackTest(series, horizon: horizon)
    let season = SeasonFinder.season(of: series, longest: longestSeason)
    var trials: [Trial] = []
    var best: Trial?
    for kind in LoadModelKind.candidates(season: season) {
      guard let error = test.error(of: kind) else { continue }
      let trial = Trial(kind: kind, error: error)
      trials.append(trial)
      if best.map({ error < $0.error * Self.advantage }) ?? true { best = trial }
    }
    model = try LoadModel(best?.kind ?? .naive, fittedTo: series)
    error = best?.error ?? .infinity
    self.trials = trials.sorted { $0.error < $1.error }
  }
}
