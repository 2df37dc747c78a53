/// A way in which a store fails.
public enum FailureMode: String, Sendable, Codable, CaseIterable {
  /// It answers, but later than it used to at the same load, or than its peers.
  case failSlow = "fail-slow"
  /// Operations fail.
  case errors
  /// Operations hang.
  case stall
  /// It is, or soon will be, full.
  case space
  /// Its connection is down or unsteady.
  case network
  /// Its device says that it is failing.
  case media
}

/// How badly a store does in one mode.
public struct ModeScore: Sendable, Equatable {
  /// The mode.
  public var mode: FailureMode
  /// 0 (nothing) to 100.
  public var score: Double
  /// Why, in plain words with figures; nil of a score below 1.
  public var reason: String?
}

/// How modes make one score.
public enum FailureScore {
  /// 100 · (1 − Π (1 − score / 100)), as if each were the chance that the store fails, by causes of their own
  /// ("noisy or"; Pearl, *Probabilistic Reasoning in Intelligent Systems*, 1988): one severe mode is enough,
  /// and several mild ones add up.
  public static func combined(_ scores: some Sequence<Double>) -> Double {
    100 * (1 - scores.reduce(1) { $0 * (1 - min(max($1, 0), 100) / 100) })
  }
}
