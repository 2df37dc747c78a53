/// What can be forecast of a load.
public enum ForecastMetric: String, Codable, Sendable, CaseIterable {
  /// Reads and writes a second.
  case iops
  /// Bytes read and written a second.
  case throughput
  /// The mean latency of reads and writes, in nanoseconds.
  case latency
}

/// What is to be forecast.
public struct ForecastRequest: Sendable, Equatable {
  /// The metric.
  public var metric: ForecastMetric
  /// How far ahead.
  public var horizonSeconds: UInt64

  /// As far ahead as can be asked for: a week.
  public static let horizonSecondsMax: UInt64 = 7 * 86_400

  /// By default the reads and writes a second of the next half hour.
  public init(metric: ForecastMetric = .iops, horizonSeconds: UInt64 = 1800) {
    self.metric = metric
    self.horizonSeconds = horizonSeconds
  }
}

/// A forecast of a load: the answer to `GET /v1/volumes/{name}/forecast`.
public struct ForecastInfo: Codable, Sendable, Equatable {
  /// A value that was observed.
  public struct Point: Codable, Sendable, Equatable {
    /// When its step began: seconds since 1970.
    public var time: UInt64
    /// Its value, in the metric's unit.
    public var value: Double

    /// Takes both as they are.
    public init(time: UInt64, value: Double) {
      self.time = time
      self.value = value
    }
  }

  /// A value that is expected.
  public struct Expected: Codable, Sendable, Equatable {
    /// When its step begins: seconds since 1970.
    public var time: UInt64
    /// Its value, in the metric's unit.
    public var value: Double
    /// 95 of 100 are expected to lie from here on,
    public var low: Double
    /// and up to here.
    public var high: Double

    /// Takes all as they are.
    public init(time: UInt64, value: Double, low: Double, high: Double) {
      self.time = time
      self.value = value
      self.low = low
      self.high = high
    }
  }

  /// A model that was tried on the history.
  public struct Trial: Codable, Sendable, Equatable {
    /// What it is called.
    public var model: String
    /// Its mean absolute scaled error: below 1 it is better than the last value is for the next step. Nil:
    /// it errs where nothing had ever changed, and there is nothing to scale by.
    public var error: Double?
    /// The season that it goes by.
    public var seasonSeconds: UInt64?

    /// Takes all as they are.
    public init(model: String, error: Double?, seasonSeconds: UInt64?) {
      self.model = model
      self.error = error
      self.seasonSeconds = seasonSeconds
    }
  }

  /// The volume or store.
  public var name: String
  /// Which of both it is.
  public var kind: LoadKind
  /// What is forecast.
  public var metric: ForecastMetric
  /// The length of a step: 1, 60 or 3600 seconds.
  public var stepSeconds: UInt64
  /// What was observed, oldest first; gaps are left out.
  public var history: [Point]
  /// Steps that were observed.
  public var observed: Int
  /// Steps without which nothing is forecast.
  public var needed: Int
  /// The model that was chosen; nil if the history is too short.
  public var model: Trial?
  /// All that were tried, best first.
  public var trials: [Trial] = []
  /// What is expected; empty if the history is too short.
  public var forecasts: [Expected] = []
  /// Whether the last value is outside of what was to be expected (99 of 100 values are not).
  public var unusual = false

  /// A forecast of nothing yet.
  public init(
    _ subject: LoadSubject, metric: ForecastMetric, stepSeconds: UInt64, history: [Point], observed: Int,
    needed: Int
  ) {
    name = subject.name
    kind = subject.kind
    self.metric = metric
    self.stepSeconds = stepSeconds
    self.history = history
    self.observed = observed
    self.needed = needed
  }
}
