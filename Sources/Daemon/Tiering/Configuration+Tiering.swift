import Forecasting
import Shadowing

extension Configuration.Tiering {
  /// What a round goes by.
  var round: TierRound.Settings { TierRound.Settings(freeShare: Double(freePercent) / 100) }

  /// From which score on an extent belongs on which tier; nil if that is contradictory.
  var thresholds: TierThresholds? {
    TierThresholds(bounds: [Float(tier0Percent) / 100, Float(tier1Percent) / 100], margin: Self.margin)
  }

  var intervalNanoseconds: UInt64 { UInt64(intervalSeconds) * 1_000_000_000 }

  /// By how much a score must pass a bound: one near it moves nothing.
  private static let margin: Float = 0.05
}
