public import Primitives

/// When a store is expected to meet a threshold, if it goes on as it does; nil: not within what can be seen.
public struct HealthWarnings: Sendable, Equatable {
  /// Seconds until it is full.
  public var fullInSeconds: Double?
  /// Seconds until it is slow enough to be evacuated.
  public var slowInSeconds: Double?
  /// Seconds until it fails often enough to be evacuated.
  public var failingInSeconds: Double?
}

/// The health of one store, for people and programs.
public struct HealthReport: Sendable, Equatable {
  /// The store.
  public var store: StoreID
  /// The failure score: 0 (healthy) to 100 (critical).
  public var score: Double
  /// What the store is to do.
  public var state: HealthState
  /// When that began, on the clock that was handed in; 0 if it was always so.
  public var sinceNanoseconds: UInt64
  /// Why it does not do less, where the score alone would have it so.
  public var holdingBack: HoldingBack?
  /// The modes that score at least 1, worst first.
  public var modes: [ModeScore]
  /// When thresholds will be met.
  public var warnings: HealthWarnings
  /// There is a history of latencies to compare with.
  public var hasBaseline: Bool

  /// What the score is made of, worst first, in plain words.
  public var reasons: [String] { modes.compactMap(\.reason) }
}
