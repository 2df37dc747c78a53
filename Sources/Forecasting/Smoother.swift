/// Exponential smoothing of a series: simple, Holt's, damped, or Holt-Winters with an additive season.
///
/// With the error e of what was expected for a step, `level + φ·trend + season`:
///
///     level  ← level + φ·trend + α·e
///     trend  ← β·(new level − level) + (1 − β)·φ·trend
///     season ← season + γ·e
///
/// Hyndman, Koehler, Ord and Snyder, *Forecasting with Exponential Smoothing: The State Space Approach*
/// (2008), ch. 2: the models ETS(A,N,N), (A,A,N), (A,Ad,N) and (A,A,A).
public struct Smoother: Sendable, Equatable {
  /// How fast the components follow.
  public let parameters: SmoothingParameters
  /// The smoothed value, without season.
  public private(set) var level: Double
  /// What the level changes by in a step.
  public private(set) var trend: Double
  /// Steps missed since the last observation, as far as they are counted: `missedMax`.
  public private(set) var missed = 0
  /// The mean of the squares of the one-step errors: of all, and from `errorsMax` on of about the last so
  /// many.
  public private(set) var meanSquaredError = 0.0

  private var seasons: [Double]
  /// Of the next step.
  private var seasonIndex = 0
  private var errorCount = 0

  /// Observations that the error of forecasts is estimated from.
  private static let errorsMax = 256
  /// A forecast after so many missed steps is as vague as one after more.
  private static let missedMax = 1024
  /// Beyond this a value is no measurement, and its square no number: it counts as missing.
  public static let magnitudeMax = 1e100

  /// A smoother before its first observation.
  public init(_ parameters: SmoothingParameters, from start: SmoothingStart) {
    self.parameters = parameters
    level = start.level
    trend = start.trend
    seasons = start.seasons
  }

  /// What the next step is expected to be.
  public var expected: Double {
    level + parameters.damping * trend + season(ahead: 1)
  }

  /// Takes the next step's value.
  ///
  /// - Parameter value: nil, or what is no finite number below `magnitudeMax`: nothing was observed. The
  ///   components then move on as they were expected to.
  /// - Returns: the value less what was expected; nil without one.
  @discardableResult
  public mutating func observe(_ value: Double?) -> Double? {
    defer { if !seasons.isEmpty { seasonIndex = (seasonIndex + 1) % seasons.count } }
    let next = level + parameters.damping * trend
    guard let value, value.magnitude < Self.magnitudeMax else {
      level = next
      trend *= parameters.damping
      missed = min(missed + 1, Self.missedMax)
      return nil
    }
    let error = value - expected
    note(error)
    let last = level
    level = next + parameters.level * error
    trend = parameters.trend * (level - last) + (1 - parameters.trend) * parameters.damping * trend
    if !seasons.isEmpty { seasons[seasonIndex] += parameters.season * error }
    missed = 0
    return error
  }

  /// An error after missed steps is expected to be larger; it is scaled to that of one step.
  private mutating func note(_ error: Double) {
    let scaled = missed == 0 ? error * error : error * error / varianceFactor(atStep: missed + 1)
    errorCount = min(errorCount + 1, Self.errorsMax)
    meanSquaredError += (scaled - meanSquaredError) / Double(errorCount)
  }

  private func varianceFactor(atStep step: Int) -> Double {
    var variance = ForecastVariance(parameters, season: seasons.count)
    for _ in 1..<step { variance.advance() }
    return variance.factor
  }

  private func season(ahead steps: Int) -> Double {
    seasons.isEmpty ? 0 : seasons[(seasonIndex + steps - 1) % seasons.count]
  }
}

extension Smoother {
  /// What is expected at the next step, the one after it, and so on without end.
  public var forecasts: Forecasts { Forecasts(self) }

  /// Forecasts of a smoother, step by step.
  public struct Forecasts: Sequence, IteratorProtocol, Sendable {
    private let smoother: Smoother
    private var variance: ForecastVariance
    private var step = 0
    /// φ + φ² + … + φʰ.
    private var dampedSteps = 0.0
    private var damping = 1.0

    init(_ smoother: Smoother) {
      self.smoother = smoother
      variance = ForecastVariance(smoother.parameters, season: smoother.seasons.count)
      for _ in 0..<smoother.missed { variance.advance() }
    }

    /// The next step's.
    public mutating func next() -> Forecast? {
      if step > 0 { variance.advance() }
      step += 1
      damping *= smoother.parameters.damping
      dampedSteps += damping
      let mean = smoother.level + dampedSteps * smoother.trend + smoother.season(ahead: step)
      return Forecast(
        mean: mean, standardDeviation: (smoother.meanSquaredError * variance.factor).squareRoot())
    }
  }
}
