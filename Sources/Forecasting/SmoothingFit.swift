/// Nothing is forecast from so little.
public struct ForecastShortage: Error, Equatable, Sendable {
  /// Values that were observed.
  public let observed: Int
  /// Values that are needed.
  public let needed: Int
}

/// Finds the smoother that would have forecast a series best, one step at a time.
public enum SmoothingFit {
  /// Fits a smoother to a series and has it run through it.
  ///
  /// The parameters are those with the least sum of squared one-step errors that a search over a fixed grid
  /// and then ever smaller steps around its best point finds: the same for the same series, in a bounded
  /// time, and not always the very best.
  ///
  /// - Parameter series: nil where nothing was observed.
  /// - Throws: `ForecastShortage` if too few values were observed for this kind.
  public static func fit(
    _ kind: SmoothingKind, to series: [Double?]
  ) throws(ForecastShortage) -> Smoother {
    fit(kind, from: try start(kind, of: series), to: series)
  }

  /// Fits a smoother that begins with given components.
  static func fit(_ kind: SmoothingKind, from start: SmoothingStart, to series: [Double?]) -> Smoother {
    var best = Candidate(parameters: grid(kind)[0], squares: .infinity)
    for parameters in grid(kind) where isAllowed(parameters) {
      best.improve(parameters, from: start, series)
    }
    var stride = 0.1
    while stride > 0.004 {
      let center = best
      for keyPath in directions(kind) {
        for change in [-stride, stride] {
          var parameters = center.parameters
          parameters[keyPath: keyPath] += change
          if isAllowed(parameters) { best.improve(parameters, from: start, series) }
        }
      }
      if best.parameters == center.parameters { stride /= 2 }
    }
    return run(best.parameters, from: start, series)
  }

  /// What smoothing of a series begins with: the mean of its first values; with a trend the straight line
  /// through its first ten (least squares); with a season the means of its first two seasons, their
  /// difference, and how far each step lies from the line through them (Hyndman et al. 2008, section 2.6.1).
  public static func start(
    _ kind: SmoothingKind, of series: [Double?]
  ) throws(ForecastShortage) -> SmoothingStart {
    let observed = series.enumerated().compactMap { index, value -> Point? in
      guard let value, value.magnitude < Smoother.magnitudeMax else { return nil }
      return Point(step: Double(index + 1), value: value)
    }
    guard observed.count >= kind.observationsMin else {
      throw ForecastShortage(observed: observed.count, needed: kind.observationsMin)
    }
    switch kind {
    case .simple:
      return SmoothingStart(level: mean(observed.prefix(3).map(\.value)))
    case .holt:
      return line(through: observed.prefix(10))
    case .holtWinters(let season):
      return seasonal(season, observed)
    }
  }

  /// A value, and how many steps behind the start it was observed.
  private struct Point {
    var step: Double
    var value: Double
  }

  private static func seasonal(_ season: Int, _ observed: [Point]) -> SmoothingStart {
    let first = observed.filter { $0.step <= Double(season) }
    let second = observed.filter { $0.step > Double(season) && $0.step <= Double(2 * season) }
    guard !first.isEmpty, !second.isEmpty else { return SmoothingStart(level: mean(observed.map(\.value))) }
    let level = mean(first.map(\.value))
    let trend = (mean(second.map(\.value)) - level) / Double(season)
    // The mean of a season is its level half-way through it.
    var start = SmoothingStart(level: level - trend * Double(season + 1) / 2, trend: trend)
    start.seasons = (0..<season).map { index in
      let offsets = (first + second).filter { (Int($0.step) - 1) % season == index }
        .map { $0.value - start.level - trend * $0.step }
      return offsets.isEmpty ? 0 : mean(offsets)
    }
    return start
  }

  private static func line(through points: ArraySlice<Point>) -> SmoothingStart {
    let center = Point(step: mean(points.map(\.step)), value: mean(points.map(\.value)))
    var products = 0.0
    var squares = 0.0
    for point in points {
      products += (point.step - center.step) * (point.value - center.value)
      squares += (point.step - center.step) * (point.step - center.step)
    }
    let slope = squares > 0 ? products / squares : 0
    return SmoothingStart(level: center.value - slope * center.step, trend: slope)
  }

  private static func mean(_ values: [Double]) -> Double {
    values.isEmpty ? 0 : values.reduce(0, +) / Double(values.count)
  }

  private struct Candidate {
    var parameters: SmoothingParameters
    var squares: Double

    mutating func improve(_ other: SmoothingParameters, from start: SmoothingStart, _ series: [Double?]) {
      var smoother = Smoother(other, from: start)
      var sum = 0.0
      for value in series {
        if let error = smoother.observe(value) { sum += error * error }
        if sum >= squares { return }
      }
      self = Candidate(parameters: other, squares: sum)
    }
  }

  private static func run(
    _ parameters: SmoothingParameters, from start: SmoothingStart, _ series: [Double?]
  ) -> Smoother {
    var smoother = Smoother(parameters, from: start)
    for value in series { smoother.observe(value) }
    return smoother
  }

  private static func directions(_ kind: SmoothingKind) -> [WritableKeyPath<SmoothingParameters, Double>] {
    switch kind {
    case .simple: [\.level]
    case .holt(damped: false): [\.level, \.trend]
    case .holt(damped: true): [\.level, \.trend, \.damping]
    case .holtWinters: [\.level, \.trend, \.season]
    }
  }

  private static func grid(_ kind: SmoothingKind) -> [SmoothingParameters] {
    let levels = [0.1, 0.3, 0.6, 0.9]
    let slower = [0.05, 0.2, 0.5]
    var grid = levels.map { SmoothingParameters(level: $0) }
    if kind == .simple { return grid }
    grid = grid.flatMap { one in slower.map { with(one, \.trend, $0) } }
    switch kind {
    case .simple, .holt(damped: false): return grid
    case .holt(damped: true): return grid.flatMap { one in [0.98, 0.9].map { with(one, \.damping, $0) } }
    case .holtWinters: return grid.flatMap { one in slower.map { with(one, \.season, $0) } }
    }
  }

  private static func with(
    _ parameters: SmoothingParameters, _ keyPath: WritableKeyPath<SmoothingParameters, Double>,
    _ value: Double
  ) -> SmoothingParameters {
    var changed = parameters
    changed[keyPath: keyPath] = value
    return changed
  }

  /// A damping below 0.8 would forget a trend within a few steps, and without one trend and level would do.
  private static func isAllowed(_ parameters: SmoothingParameters) -> Bool {
    (0.001...0.999).contains(parameters.level) && (0...0.999).contains(parameters.trend)
      && (0.8...1).contains(parameters.damping)
      && (0...max(0, 1 - parameters.level) + 1e-9).contains(parameters.season)
  }
}
