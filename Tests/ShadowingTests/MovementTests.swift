import Testing

@testable import Shadowing

private let second: UInt64 = 1_000_000_000
private let mebibyte: UInt64 = 1 << 20

@Suite struct MovementBudgetTests {
  /// What a mover that waits as it is told moves in some seconds.
  private func moved(_ budget: inout MovementBudget, from start: UInt64, seconds: UInt64) -> UInt64 {
    var (now, bytes) = (start, UInt64(0))
    while now < start + seconds * second {
      bytes += mebibyte
      now += budget.spend(mebibyte, at: now) + 1000
    }
    return bytes
  }

  @Test func noMoreThanTheRateIsMoved() {
    var budget = MovementBudget(bytesPerSecond: 100 * mebibyte)
    let bytes = moved(&budget, from: 5, seconds: 10)
    #expect((995...1015).contains(bytes / mebibyte), "\(bytes / mebibyte) MiB in 10 s")
    budget.set(bytesPerSecond: 10 * mebibyte)
    let slow = moved(&budget, from: 20 * second, seconds: 10)
    #expect((98...104).contains(slow / mebibyte), "\(slow / mebibyte) MiB in 10 s")
  }

  /// What was not spent in an hour is not spent in a minute.
  @Test func littleIsSavedUp() {
    var budget = MovementBudget(bytesPerSecond: 100 * mebibyte)
    _ = budget.spend(mebibyte, at: second)
    var burst: UInt64 = 0
    while budget.spend(mebibyte, at: 3600 * second) == 0 { burst += 1 }
    #expect((8...10).contains(burst))
  }

  private func observe(_ budget: inout MovementBudget, _ slowdown: Double?, times: Int, isMoving: Bool = true)
  {
    for _ in 0..<times { budget.observe(slowdown: slowdown, seconds: 0.1, isMoving: isMoving) }
  }

  @Test func theRateFallsWhileMovesMakeClientsWait() {
    var budget = MovementBudget(bytesPerSecond: 160 * mebibyte)
    #expect(budget.share == 1 && !budget.isShared)
    observe(&budget, 1.5, times: 3)
    #expect(abs(budget.share - 1.0 / 3) < 1e-9 && budget.isShared)
    // In between it has found its level.
    observe(&budget, 1.2, times: 10)
    #expect(abs(budget.share - 1.0 / 3) < 1e-9)
    observe(&budget, 1, times: 8)
    #expect(abs(budget.share - 1) < 1e-9)
    observe(&budget, 100, times: 100)
    #expect(budget.share == MovementBudget.leastShare)
    let bytes = moved(&budget, from: second, seconds: 10)
    #expect((98...120).contains(bytes / mebibyte), "\(bytes / mebibyte) MiB in 10 s")
    observe(&budget, .nan, times: 1)
    #expect(budget.share == MovementBudget.leastShare)
  }

  @Test func movesBeginCarefullyBesideClientsAndFastWithoutThem() {
    var budget = MovementBudget(bytesPerSecond: 160 * mebibyte)
    observe(&budget, 1, times: 1, isMoving: false)
    #expect(budget.share == MovementBudget.firstShare && budget.isShared)
    observe(&budget, nil, times: 1)
    #expect(budget.share == 1 && !budget.isShared)
  }
}

@Suite struct MovementRateTests {
  @Test func itIsOfTheLastTenSeconds() {
    var rate = MovementRate()
    #expect(rate.bytesPerSecond(at: 0) == 0)
    rate = MovementRate()
    rate.add(50, at: 100 * second)
    #expect(rate.bytesPerSecond(at: 100 * second + 1) == 50)
    rate.add(150, at: 101 * second)
    #expect(rate.bytesPerSecond(at: 101 * second) == 100)
    for number in 0..<40 as Range<UInt64> { rate.add(10, at: (102 + number) * second) }
    #expect(rate.bytesPerSecond(at: 141 * second) == 10)
    #expect(rate.bytesPerSecond(at: 146 * second) == 5)
    #expect(rate.bytesPerSecond(at: 500 * second) == 0)
    // A clock that stands still, or is read by another thread, does no harm.
    rate.add(10, at: 499 * second)
    #expect(rate.bytesPerSecond(at: 499 * second) == 1)
  }
}
