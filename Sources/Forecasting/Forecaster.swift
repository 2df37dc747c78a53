/// Forecasts a series as it comes in, with parameters that are fitted again from time to time.
///
/// Keeps the last `windowLength` values only, 16 bytes each.
public struct Forecaster: Sendable {
  /// The components.
  public let kind: SmoothingKind
  /// Values that parameters are fitted to.
  public let windowLength: Int
  /// Values from one fit to the next.
  public let refitInterval: Int

  private var window: [Double?] = []
  /// Where the oldest value is, once the window is full.
  private var oldest = 0
  private var sinceFit = 0
  private var smoother: Smoother?

  /// A forecaster that has seen nothing.
  ///
  /// - Parameter windowLength: at least the `observationsMin` of the kind.
  public init(_ kind: SmoothingKind, windowLength: Int, refitInterval: Int) {
    precondition(windowLength >= kind.observationsMin, "so few values can never be enough")
    precondition(refitInterval > 0, "a fit takes a value")
    self.kind = kind
    self.windowLength = windowLength
    self.refitInterval = refitInterval
  }

  /// Takes the next value; nil if there was none.
  public mutating func observe(_ value: Double?) {
    if window.count < windowLength {
      window.append(value)
    } else {
      window[oldest] = value
      oldest = (oldest + 1) % windowLength
    }
    smoother?.observe(value)
    sinceFit += 1
    if smoother == nil || sinceFit >= refitInterval { refit() }
  }

  private mutating func refit() {
    let series = Array(window[oldest...] + window[..<oldest])
    // Without enough values in the window the last fit goes on.
    if let fitted = try? SmoothingFit.fit(kind, to: series) {
      smoother = fitted
      sinceFit = 0
    }
  }

  /// What is expected next, step by step.
  ///
  /// - Throws: `ForecastShortage` as long as there was never enough to fit to.
  public func forecasts() throws(ForecastShortage) -> Smoother.Forecasts {
    guard let smoother else {
      throw ForecastShortage(observed: window.count { $0 != nil }, needed: kind.observationsMin)
    }
    return smoother.forecasts
  }
}
