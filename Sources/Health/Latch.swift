import Glibc

/// Whether a score counts as beyond a threshold: with a margin, and only if it stays.
struct Latch: Sendable, Equatable {
  private(set) var isSet = false
  private var beyondSeconds = 0.0
  private var belowSeconds = 0.0
  /// It was set for a reason that ends all at once, and clears sooner.
  private var clearsSoon = false
  /// Times that it was set, in the last hours.
  private var timesSet = DecayingCount(halfLifeSeconds: 21_600)

  private static let doublingsMax = 6.0

  /// What a latch is about.
  struct Terms {
    var threshold: Double
    var margin: Double
    /// At the threshold or above for so long, on balance of the time above and the time below.
    var setAfterSeconds: Double
    /// Below threshold and margin for so long, without interruption.
    var clearAfterSeconds: Double
    /// Likewise if it was set while the store was dead.
    var clearAfterDeathSeconds: Double
  }

  /// Lets time pass with a score.
  ///
  /// - Parameters:
  ///   - isDead: nothing comes from the store: what is set by this clears sooner.
  ///   - atOnce: a score beyond the threshold is not waited for.
  ///   - mayClear: false while nothing that the score says can be trusted.
  mutating func advance(
    score: Double, seconds: Double, _ terms: Terms, isDead: Bool, atOnce: Bool, mayClear: Bool
  ) {
    timesSet.advance(seconds: seconds)
    if isSet {
      let isBelow = score < terms.threshold - terms.margin
      belowSeconds = isBelow && mayClear ? belowSeconds + seconds : 0
      if belowSeconds >= clearAfter(terms) { clear() }
    } else if score >= terms.threshold {
      beyondSeconds += seconds
      clearsSoon = isDead
      if beyondSeconds >= terms.setAfterSeconds || atOnce { set() }
    } else {
      beyondSeconds = max(0, beyondSeconds - seconds)
    }
  }

  /// The first time clears after the time itself, each further one of the last hours after twice as long.
  private func clearAfter(_ terms: Terms) -> Double {
    let again = min(max(0, (timesSet.value - 1).rounded()), Self.doublingsMax)
    return (clearsSoon ? terms.clearAfterDeathSeconds : terms.clearAfterSeconds) * exp2(again)
  }

  private mutating func set() {
    isSet = true
    belowSeconds = 0
    timesSet.advance(seconds: 0, adding: 1)
  }

  private mutating func clear() {
    isSet = false
    beyondSeconds = 0
  }
}
