/// A way to forecast a load.
public enum LoadModelKind: Sendable, Equatable, CustomStringConvertible {
  /// As it was last.
  case naive
  /// As it was a season ago.
  case seasonalNaive(season: Int)
  /// By exponential smoothing.
  case smoothing(SmoothingKind)
  /// By the last values.
  case autoregression

  /// What it is called.
  public var description: String {
    switch self {
    case .naive: "naive"
    case .seasonalNaive: "seasonal naive"
    case .smoothing(.simple): "simple exponential smoothing"
    case .smoothing(.holt(damped: false)): "Holt"
    case .smoothing(.holt(damped: true)): "damped Holt"
    case .smoothing(.holtWinters): "Holt-Winters"
    case .autoregression: "autoregression"
    }
  }

  /// The season that it goes by, in steps; nil: none.
  public var season: Int? {
    switch self {
    case .seasonalNaive(let season), .smoothing(.holtWinters(let season)): season
    default: nil
    }
  }

  /// All that can be tried, simple ones first.
  public static func candidates(season: Int?) -> [LoadModelKind] {
    let plain: [LoadModelKind] = [
      .naive, .smoothing(.simple), .smoothing(.holt(damped: true)), .smoothing(.holt(damped: false)),
      .autoregression,
    ]
    guard let season else { return plain }
    return [.naive, .seasonalNaive(season: season)] + plain.dropFirst() + [
      .smoothing(.holtWinters(season: season))
    ]
  }
}

/// A model whose parameters were fitted, and which follows the series.
public struct LoadModel: Sendable, Equatable {
  private enum State: Equatable {
    case naive(NaiveForecaster)
    case smoothing(Smoother)
    case autoregression(AutoregressiveForecaster)
  }

  /// What it is.
  public let kind: LoadModelKind
  private var state: State

  /// Fits a model to a series and has it run through it.
  ///
  /// - Throws: `ForecastShortage` if the series is too short for it.
  public init(_ kind: LoadModelKind, fittedTo series: [Double?]) throws(ForecastShortage) {
    self.kind = kind
    switch kind {
    case .naive:
      state = .naive(NaiveForecaster(after: series))
    case .seasonalNaive(let season):
      let observed = series.count { $0 != nil }
      guard observed >= season else { throw ForecastShortage(observed: observed, needed: season) }
      state = .naive(NaiveForecaster(season: season, after: series))
    case .smoothing(let kind):
      state = .smoothing(try SmoothingFit.fit(kind, to: series))
    case .autoregression:
      state = .autoregression(AutoregressiveForecaster(try Autoregression.fit(to: series), after: series))
    }
  }

  /// Takes the next value; nil if there was none.
  public mutating func observe(_ value: Double?) {
    switch state {
    case .naive(var forecaster):
      forecaster.observe(value)
      state = .naive(forecaster)
    case .smoothing(var smoother):
      smoother.observe(value)
      state = .smoothing(smoother)
    case .autoregression(var forecaster):
      forecaster.observe(value)
      state = .autoregression(forecaster)
    }
  }

  /// What is expected of the next steps.
  public func forecasts(_ count: Int) -> [Forecast] {
    switch state {
    case .naive(let forecaster): forecaster.forecasts(count)
    case .smoothing(let smoother): Array(smoother.forecasts.prefix(count))
    case .autoregression(let forecaster): forecaster.forecasts(count)
    }
  }

  /// The order of an autoregression; nil of others.
  public var order: Int? {
    if case .autoregression(let forecaster) = state { forecaster.model.order } else { nil }
  }
}
