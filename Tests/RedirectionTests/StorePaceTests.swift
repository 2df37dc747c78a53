import Primitives
import Testing

@testable import Redirection

private let millisecond: UInt64 = 1_000_000
private let second: UInt64 = 1_000_000_000

/// Which store is read follows from how it answers, and a store is neither left for long because of the
/// machine's noise nor asked again and again while it hangs.
@Suite struct StorePaceTests {
  /// A store that has answered `count` reads, one after the other.
  private static func used(
    _ pace: StorePace = StorePace(.read), taking nanoseconds: UInt64 = 100_000, times count: Int = 2000,
    at now: inout UInt64
  ) -> StorePace {
    var pace = pace
    for _ in 0..<count {
      pace.began()
      now += nanoseconds
      pace.ended(after: nanoseconds, at: now)
    }
    return pace
  }

  /// One read that takes longer than the deadline.
  private static func late(_ pace: inout StorePace, by nanoseconds: UInt64, at now: inout UInt64) {
    pace.began()
    pace.missedDeadline(at: now + pace.deadline)
    now += nanoseconds
    pace.endedOverdue(after: nanoseconds, at: now)
  }

  @Test func oneLateAnswerIsForgottenSoon() {
    var now = second
    var pace = Self.used(at: &now)
    Self.late(&pace, by: 3 * millisecond, at: &now)
    #expect(pace.isSuspect(at: now + 11 * millisecond))
    #expect(!pace.isSuspect(at: now + 12 * millisecond))
    // So are many of them, if the store is in time between them.
    for _ in 0..<20 {
      pace = Self.used(pace, at: &now)
      Self.late(&pace, by: 3 * millisecond, at: &now)
    }
    #expect(!pace.isSuspect(at: now + 24 * millisecond))
  }

  /// A disk that was late by five milliseconds is still better than one that always takes twenty.
  @Test func whoWasLateIsExpectedToTakeAsLongAgain() {
    var now = second
    var pace = Self.used(at: &now)
    Self.late(&pace, by: 5 * millisecond, at: &now)
    #expect(pace.expected(at: now) == 5 * millisecond)
    Self.late(&pace, by: 3 * millisecond, at: &now)
    #expect(pace.expected(at: now) == 5 * millisecond)
    while pace.isSuspect(at: now) { now += millisecond }
    #expect(pace.expected(at: now) <= 100_000)
  }

  @Test func whoIsLateAgainAndAgainIsLeftAloneForLonger() {
    var now = second
    var pace = Self.used(at: &now)
    var away: [UInt64] = []
    for _ in 0..<9 {
      Self.late(&pace, by: 200 * millisecond, at: &now)
      let ended = now
      while pace.isSuspect(at: now) { now += millisecond }
      away.append((now - ended) / millisecond)
    }
    #expect(away == [800, 1600, 3200, 6400, 12800, 25600, 32000, 32000, 32000])
  }

  @Test func aStoreThatHangsIsNotTriedAgain() {
    var now = second
    var pace = Self.used(at: &now)
    pace.began()
    pace.missedDeadline(at: now)
    #expect(pace.isSuspect(at: now + 3600 * second))
    now += 40 * second
    pace.endedOverdue(after: 40 * second, at: now)
    #expect(pace.isSuspect(at: now + 31 * second) && !pace.isSuspect(at: now + 32 * second))
  }

  @Test func anOldAverageFadesSoThatTheStoreIsTriedAgain() {
    var now = second
    var pace = Self.used(taking: 400_000, at: &now)
    #expect((390_000...400_000).contains(pace.expected(at: now)))
    let faded = pace.expected(at: now + second)
    #expect((195_000...210_000).contains(faded))
    #expect(pace.expected(at: now + 99 * second) < 4_500)
    // What it answers then counts as much as all before; a store that is busy does not fade.
    now += second
    pace.began()
    #expect(pace.expected(at: now + 3600 * second) > 700_000)
    now += 100_000
    pace.ended(after: 100_000, at: now)
    #expect((140_000...160_000).contains(pace.expected(at: now)))
  }

  @Test func smallWritesAreNotGrantedWhatLargeOnesTake() {
    var pace = StorePace(.write)
    var now = second
    let shares = StorePace.shares(ofBytes: 1 << 20)
    #expect(shares == 16 && StorePace.shares(ofBytes: 4096) == 1 && StorePace.shares(ofBytes: 65_537) == 2)
    for _ in 0..<100 {
      pace.began()
      now += 80 * millisecond
      pace.ended(after: 80 * millisecond, at: now, shares: shares)
    }
    #expect(pace.deadline(shares: 1) == 40 * millisecond)
    #expect((300 * millisecond...700 * millisecond).contains(pace.deadline(shares: shares)))
  }

  @Test func aStoreThatIsNotKnownIsTriedByOneRead() {
    var pace = StorePace(.read)
    #expect(pace.expected(at: second) == 0)
    pace.began()
    #expect(pace.expected(at: second) == .max)
    pace.ended(after: 5 * millisecond, at: second)
    #expect(pace.expected(at: second) == 5 * millisecond)
  }
}
