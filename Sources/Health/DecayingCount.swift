import Glibc

/// A count of what happened lately: each event counts half as much after every half-life.
struct DecayingCount: Sendable, Equatable {
  let halfLifeSeconds: Double
  private(set) var value = 0.0

  init(halfLifeSeconds: Double) {
    self.halfLifeSeconds = halfLifeSeconds
  }

  /// Lets `seconds` pass, then counts `amount` more. It stays below 10¹⁸, where nothing can tell one from
  /// two.
  mutating func advance(seconds: Double, adding amount: Double = 0) {
    value = min(value * Decay.factor(seconds: seconds, halfLifeSeconds: halfLifeSeconds) + amount, 1e18)
  }
}

/// Decay by halves.
enum Decay {
  /// What is left of 1 after `seconds`.
  static func factor(seconds: Double, halfLifeSeconds: Double) -> Double {
    exp2(-seconds / halfLifeSeconds)
  }
}
