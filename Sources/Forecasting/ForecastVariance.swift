/// How much more the error of a forecast varies than that of a forecast of one step:
///
///     Var(h) / σ² = 1 + Σ cⱼ²  for j = 1 … h − 1
///     cⱼ = α + α·β·(φ + φ² + … + φʲ) + γ if j is a multiple of the season
///
/// Hyndman, Koehler, Ord and Snyder, *Forecasting with Exponential Smoothing* (2008), table 6.1 (class 1); cⱼ
/// is what is left in the forecast of an error j steps ago.
struct ForecastVariance {
  private let parameters: SmoothingParameters
  private let season: Int
  private var step = 0
  private var damping = 1.0
  private var dampedSteps = 0.0
  /// Var(h) / σ² of the step that was come to; of the first one at the start.
  private(set) var factor = 1.0

  init(_ parameters: SmoothingParameters, season: Int) {
    self.parameters = parameters
    self.season = season
  }

  /// Goes on to the next step.
  mutating func advance() {
    step += 1
    damping *= parameters.damping
    dampedSteps += damping
    var left = parameters.level * (1 + parameters.trend * dampedSteps)
    if season > 0, step % season == 0 { left += parameters.season }
    factor += left * left
  }
}
