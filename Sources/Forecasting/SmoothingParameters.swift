/// Which components a series is smoothed into.
public enum SmoothingKind: Sendable, Equatable {
  /// A level: simple exponential smoothing.
  case simple
  /// A level and a trend (Holt 1957); damped, the trend fades with the horizon (Gardner and McKenzie 1985).
  case holt(damped: Bool)
  /// A level, a trend and an additive season of that many steps (Winters 1960).
  case holtWinters(season: Int)

  /// Observations without which nothing is said.
  public var observationsMin: Int {
    switch self {
    case .simple: 3
    case .holt: 6
    case .holtWinters(let season): 2 * season
    }
  }
}

/// How fast each component follows what is observed: 0 never, 1 at once.
///
/// In the component form of Hyndman and Athanasopoulos, *Forecasting: Principles and Practice*, ch. 8 (and of
/// statsmodels): in its state-space form the trend's is `level · trend`.
public struct SmoothingParameters: Sendable, Equatable {
  /// α, of the level.
  public var level: Double
  /// β, of the trend; 0 keeps the trend that it began with.
  public var trend: Double
  /// φ, what is left of the trend after each step; 1: all of it.
  public var damping: Double
  /// γ, of the season.
  public var season: Double

  /// Parameters; the defaults leave trend and season as they begin.
  public init(level: Double, trend: Double = 0, damping: Double = 1, season: Double = 0) {
    self.level = level
    self.trend = trend
    self.damping = damping
    self.season = season
  }
}

/// The components that smoothing begins with, before the first observation.
public struct SmoothingStart: Sendable, Equatable {
  /// The level.
  public var level: Double
  /// What the level changes by in a step.
  public var trend: Double
  /// What each step of a season adds, from the first observation's on; empty without a season.
  public var seasons: [Double]

  /// Components; by default a level alone.
  public init(level: Double, trend: Double = 0, seasons: [Double] = []) {
    self.level = level
    self.trend = trend
    self.seasons = seasons
  }
}
