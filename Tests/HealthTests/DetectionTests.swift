import Foundation
import Primitives
import Testing

@testable import Health

/// What is wrong is found, within a stated time. GNOMON_HEALTH_SEEDS prints the figures of as many pools.
@Suite struct DetectionTests {
  static let seedCount =
    ProcessInfo.processInfo.environment["GNOMON_HEALTH_SEEDS"].flatMap { UInt64($0) } ?? 1
  static let seeds = 1...seedCount

  /// Half an hour of health before anything happens.
  private func pool(groups: [Int] = [0, 1], seed: UInt64) -> SyntheticPool {
    var pool = SyntheticPool(groups: groups, seed: seed)
    pool.live(1800, step: 2)
    #expect(pool.events.isEmpty)
    return pool
  }

  private func seconds(
    _ pool: inout SyntheticPool, within limit: Double, until: (SyntheticPool) -> Bool
  ) -> Double? {
    let start = pool.seconds
    pool.live(limit, until: until)
    return until(pool) ? pool.seconds - start : nil
  }

  private func say(_ what: String, _ seed: UInt64, _ figure: Double?) {
    if Self.seedCount > 2 { print("\(what), seed \(seed): \(figure.map { "\($0)" } ?? "never")") }
  }

  @Test(arguments: seeds, [false, true])
  func tenTimesSlowerIsFoundInSeconds(seed: UInt64, isClosedLoop: Bool) throws {
    var pool = pool(seed: seed)
    pool.stores[0].slowness = 10
    pool.stores[0].isClosedLoop = isClosedLoop
    let found = seconds(&pool, within: 60) { $0.score(0) >= 70 }
    say("ten times slower\(isClosedLoop ? ", closed loop" : "")", seed, found)
    #expect(try #require(found) <= 20)
    let moved = seconds(&pool, within: 120) { $0.report(0).state != .serving }
    #expect(moved != nil)
    #expect(pool.report(1).score < 40)
    let reason = try #require(pool.report(0).modes.first?.reason)
    #expect(reason.contains("usual at this load: at most"), "\(reason)")
  }

  @Test(arguments: seeds)
  func aHangIsFoundAtOnce(seed: UInt64) throws {
    var pool = pool(seed: seed)
    pool.stores[0].isHung = true
    let found = seconds(&pool, within: 10) { $0.score(0) >= 90 }
    say("hang", seed, found)
    #expect(try #require(found) <= 2)
    #expect(pool.report(0).state == .satOut)
    #expect(pool.report(0).modes.first?.mode == .stall)
    #expect(pool.events.map(\.store) == [StoreID(rawValue: 0)])
  }

  /// Latencies that double in seven hours.
  @Test(arguments: seeds)
  func slowDriftIsFoundInHours(seed: UInt64) throws {
    var pool = pool(seed: seed)
    pool.live(86_400, step: 10)
    #expect(pool.events.isEmpty)
    var hours = 0.0
    var found: Double?
    while hours < 24, found == nil {
      pool.live(900, step: 5)
      hours += 0.25
      pool.stores[0].slowness *= 1.025
      if pool.report(0).score >= 70 { found = hours }
    }
    say("drift of a tenth an hour (hours)", seed, found)
    #expect(try #require(found) <= 20)
    #expect(pool.report(1).score < 40)
  }

  /// A store that was always slow has no history that says so; its peers do.
  @Test(arguments: seeds)
  func aStoreThatIsSlowFromBirthIsFoundByItsPeers(seed: UInt64) throws {
    var pool = SyntheticPool(groups: [0, 0, 0, 0], seed: seed)
    pool.stores[3].slowness = 20
    // Long enough for its peers to have had the loads that it has.
    pool.live(86_400, step: 10)
    #expect(pool.report(3).score >= 40)
    #expect(pool.report(3).state == .noNewPlacements)
    #expect(try #require(pool.report(3).reasons.first).contains("stores of its kind"))
    for healthy in 0..<3 { #expect(pool.report(healthy).state == .serving) }
  }

  @Test(arguments: seeds)
  func whatSlowsEveryStoreMovesNothing(seed: UInt64) {
    var pool = pool(groups: [0, 0, 0], seed: seed)
    for index in pool.stores.indices { pool.stores[index].slowness = 10 }
    pool.live(900)
    #expect(pool.events.isEmpty, "\(pool.events)")
    for index in pool.stores.indices {
      #expect(pool.report(index).score >= 70)
      #expect(pool.report(index).holdingBack == .commonCause)
    }
  }

  /// Good and bad by turns, for a day.
  @Test(arguments: seeds, [60.0, 600])
  func flappingDoesNotOscillate(seed: UInt64, period: Double) {
    var pool = pool(seed: seed)
    var isSlow = false
    for _ in 0..<Int(86_400 / period) {
      isSlow.toggle()
      pool.stores[0].slowness = isSlow ? 30 : 1
      pool.live(period, step: 10)
    }
    say("changes in a day of flapping every \(period) s", seed, Double(pool.events.count))
    #expect(pool.events.count <= 20, "\(pool.events.count)")
    #expect(pool.events.count >= 1)
  }
}
