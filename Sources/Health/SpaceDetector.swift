import Forecasting
import Glibc

/// Scores how full a store is: 0 up to 80 %, 40 at 95 %, 65 when it is full, and straight lines between; or
/// 35 · e^(−t / 3 h) if it will be full in t, if that is more.
///
/// So no store is evacuated for being full, and none is spared new data for what is only forecast.
struct SpaceDetector: Sendable {
  private(set) var use: SpaceUse?
  private var outlook = Outlook(isDamped: false)
  /// Seconds until it is full; nil: not in sight.
  private(set) var fullInSeconds: Double?

  private static let forecastScore = 35.0
  private static let forecastScaleSeconds = 10_800.0

  mutating func observe(_ sample: StoreSample) {
    use = sample.space
    let hasNews = outlook.observe(sample.space.map { Double($0.usedBytes) }, seconds: sample.boundedSeconds)
    guard let use, use.capacityBytes > 0 else {
      fullInSeconds = nil
      return
    }
    if hasNews { fullInSeconds = outlook.secondsUntil(Double(use.capacityBytes)) }
  }

  /// 0…100.
  var score: Double {
    guard let use else { return 0 }
    let filled = use.fraction
    let now =
      filled <= 0.8 ? 0 : filled <= 0.95 ? (filled - 0.8) / 0.15 * 40 : 40 + (filled - 0.95) / 0.05 * 25
    let soon = fullInSeconds.map { Self.forecastScore * exp(-$0 / Self.forecastScaleSeconds) } ?? 0
    return max(now, soon)
  }

  /// In plain words; nil if there is room.
  var reason: String? {
    guard let use, score >= 1 else { return nil }
    let filled = "\(Words.percent(use.fraction)) full"
    guard use.usedBytes < use.capacityBytes, let fullInSeconds else { return filled }
    return filled + ", full in about \(Words.duration(seconds: fullInSeconds))"
  }
}
