import Forecasting
import Measurement
import Primitives

/// Forecasts of loads that were asked for, each with its model, which is chosen anew on schedule.
actor LoadForecasts {
  private struct Key: Hashable {
    var uuid: UUID128
    var metric: LoadMetric
    var step: LoadStep
    var horizon: Int
  }

  private struct Entry {
    var forecaster: LoadForecaster
    /// Counts up: the entry that was used longest ago gives way.
    var used: Int
  }

  /// Models that are remembered.
  private static let entriesMax = 64
  private var entries: [Key: Entry] = [:]
  private var uses = 0

  /// Forecasts a metric from its history.
  ///
  /// - Parameters:
  ///   - series: oldest first; nil where nothing was observed.
  ///   - end: the number of its last step.
  ///   - horizon: steps.
  /// - Returns: nil if the history is too short.
  func forecast(
    _ metric: LoadMetric, of uuid: UUID128, _ series: [Double?], by step: LoadStep, through end: Int,
    horizon: Int
  ) -> LoadForecaster? {
    let key = Key(uuid: uuid, metric: metric, step: step, horizon: horizon)
    var forecaster =
      entries[key]?.forecaster
      ?? LoadForecaster(
        horizon: horizon, stepsPerChoice: step.stepsPerChoice, longestSeason: step.longestSeason)
    do throws(ForecastShortage) {
      try forecaster.follow(series, through: end)
    } catch {
      return nil
    }
    uses += 1
    entries[key] = Entry(forecaster: forecaster, used: uses)
    if entries.count > Self.entriesMax, let oldest = entries.min(by: { $0.value.used < $1.value.used }) {
      entries[oldest.key] = nil
    }
    return forecaster
  }
}

extension LoadStep {
  /// The step with which a forecast is made: the history should be several times as long as the horizon.
  init(horizonSeconds: Int) {
    self = horizonSeconds <= 60 ? .second : horizonSeconds <= 4 * 3600 ? .minute : .hour
  }

  /// The step in which a window is shown: the shortest that is kept for so long.
  init(windowSeconds: Int) {
    self = LoadStep.allCases.first { $0.seconds * $0.kept >= windowSeconds } ?? .hour
  }

  /// A model is chosen anew each minute, hour or day.
  fileprivate var stepsPerChoice: Int { self == .hour ? 24 : 60 }

  /// A season may take a minute and a half, four hours or a week.
  fileprivate var longestSeason: Int {
    switch self {
    case .second: 90
    case .minute: 240
    case .hour: 168
    }
  }
}
