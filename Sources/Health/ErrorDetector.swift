import Glibc
import Measurement

/// Scores what a store refuses or fails to do: 100 · (1 − e^(−weight / 5)).
///
/// The weight is that of the errors of the last minutes (halved every minute) and a quarter of those of the
/// last hours (halved every hour): a read that failed counts 1, a write 2, a synchronization 10. A store that
/// may have lost writes scores 100 for good.
struct ErrorDetector: Sendable {
  private var recent = DecayingCount(halfLifeSeconds: 60)
  private var older = DecayingCount(halfLifeSeconds: 3600)
  private var failures = DecayingCount(halfLifeSeconds: 3600)
  private var hasLostWrites = false

  private static let scale = 5.0
  private static let olderShare = 0.25

  private static func weight(of operation: StoreOperation) -> Double {
    switch operation {
    case .read: 1
    case .write: 2
    case .synchronize: 10
    }
  }

  mutating func observe(_ sample: StoreSample) {
    hasLostWrites = hasLostWrites || sample.hasLostWrites
    var weight = 0.0
    var count = 0.0
    for operation in StoreOperation.allCases {
      let failed = Double(sample.counts[failed: operation])
      weight += failed * Self.weight(of: operation)
      count += failed
    }
    recent.advance(seconds: sample.boundedSeconds, adding: weight)
    older.advance(seconds: sample.boundedSeconds, adding: weight)
    failures.advance(seconds: sample.boundedSeconds, adding: count)
  }

  /// 0…100.
  var score: Double {
    if hasLostWrites { return 100 }
    return 100 * (1 - exp(-(recent.value + Self.olderShare * older.value) / Self.scale))
  }

  /// In plain words; nil without errors.
  var reason: String? {
    if hasLostWrites { return "a synchronization failed: writes may be lost" }
    guard score >= 1 else { return nil }
    return "\(Words.count(UInt64(max(1, failures.value.rounded())), "operation")) failed lately"
  }
}
