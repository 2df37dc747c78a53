import Foundation
import Testing

@testable import Health

/// What is noisy but healthy moves nothing.
///
/// GNOMON_HEALTH_SEEDS=20 lives 20 weeks; without it a few days, since debug builds are slow.
@Suite struct HealthySeriesTests {
  static let seeds = ProcessInfo.processInfo.environment["GNOMON_HEALTH_SEEDS"].flatMap { UInt64($0) }

  @Test(arguments: 1...(seeds ?? 2))
  func nothingHappensInAWeek(seed: UInt64) {
    var pool = SyntheticPool(groups: [0, 0, 0], seed: seed)
    pool.stores[2].operationsPerSecond = 30
    let (duration, step) = Self.seeds == nil ? (86_400.0, 20.0) : (7 * 86_400.0, 10.0)
    var highest = 0.0
    pool.live(duration, step: step) { pool in
      for index in pool.stores.indices {
        highest = max(highest, pool.monitor.score(of: SyntheticPool.id(index)) ?? 0)
      }
      return false
    }
    #expect(pool.events.isEmpty, "\(pool.events)")
    if Self.seeds != nil { print("seed \(seed): highest score \(highest)") }
  }

  @Test(arguments: 1...(seeds ?? 1))
  func norInADayOfSeconds(seed: UInt64) {
    var pool = SyntheticPool(groups: [0, 1], seed: seed)
    pool.live(Self.seeds == nil ? 7200 : 86_400)
    #expect(pool.events.isEmpty, "\(pool.events)")
    #expect(pool.report(0).hasBaseline)
  }
}
