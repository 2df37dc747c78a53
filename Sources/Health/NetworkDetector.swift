import Glibc

/// Scores the connection of a remote store: 90 when it is down, a point more for each second, up to 100;
/// while it stands 100 · (1 − e^(−n / 4)) of n connections made anew, halved every ten minutes.
struct NetworkDetector: Sendable {
  private var downSeconds = 0.0
  private(set) var isDown = false
  private var reconnects = DecayingCount(halfLifeSeconds: 600)

  private static let downScore = 90.0
  private static let scale = 4.0

  mutating func observe(_ sample: StoreSample) {
    reconnects.advance(seconds: sample.boundedSeconds, adding: Double(sample.reconnects))
    isDown = sample.connection == .disconnected
    downSeconds = isDown ? downSeconds + sample.boundedSeconds : 0
  }

  /// 0…100.
  var score: Double {
    let unsteady = 100 * (1 - exp(-reconnects.value / Self.scale))
    return isDown ? max(unsteady, min(100, Self.downScore + downSeconds)) : unsteady
  }

  /// In plain words; nil if there is nothing to say.
  var reason: String? {
    if isDown { return "disconnected for \(Words.duration(seconds: downSeconds))" }
    guard score >= 1 else { return nil }
    let times = UInt64(max(1, reconnects.value.rounded()))
    return "reconnected \(Words.count(times, "time")) in the last minutes"
  }
}
