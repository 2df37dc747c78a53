import Primitives
import Redirection
import Shadowing
import Testing

@testable import Daemon

private let volume = VolumeID(rawValue: 1)

private func copy(_ extent: UInt64) -> Move {
  Move(.replicate, volume: volume, extent: extent, to: StoreID(rawValue: 0), reason: "it is read")
}

private func candidate(_ number: UInt8, tier: Int, isVolatile: Bool = false) -> StoreCandidate {
  StoreCandidate(
    id: StoreID(rawValue: number), name: "s\(number)", tier: tier, freeBytes: 1, capacityBytes: 1,
    isVolatile: isVolatile)
}

@Suite struct PredictionPlanTests {
  @Test func oldestCopyGivesWayToTheNewest() {
    let plan = PredictionPlan()
    for extent in 0..<UInt64(PredictionPlan.copiesMax) { #expect(plan.offer(copy: copy(extent)) == nil) }
    #expect(!plan.hasRoom)
    #expect(plan.offer(copy: copy(99)) == copy(0))
  }

  @Test func dropsGoFirstAndNothingIsLost() {
    let plan = PredictionPlan()
    for extent in 0..<UInt64(6) { _ = plan.offer(copy: copy(extent)) }
    let drop = Move(.drop, volume: volume, extent: 77, to: StoreID(rawValue: 0), reason: "")
    plan.offer(drop: drop)
    var moves: [Move] = []
    var isLooking = true
    while isLooking {
      let planned = plan.next()
      moves += planned.moves
      isLooking = planned.isLooking
    }
    #expect(moves == [drop] + (0..<6).map(copy))
  }

  @Test func onlyWhatHasNotBegunIsTakenBack() {
    let plan = PredictionPlan()
    _ = plan.offer(copy: copy(3))
    _ = plan.offer(copy: copy(4))
    #expect(plan.withdraw(4, of: volume))
    #expect(!plan.withdraw(4, of: volume))
    #expect(!plan.withdraw(3, of: VolumeID(rawValue: 2)))
    #expect(plan.next().moves == [copy(3)])
    #expect(!plan.withdraw(3, of: volume))
    plan.ended(copy(3), .done, bytes: 5)
    #expect(plan.takeEnded().map(\.bytes) == [5])
    #expect(plan.takeEnded().isEmpty)
  }
}

@Suite struct DecisionLogTests {
  private func decision(_ extent: UInt64) -> Decision {
    Decision(
      volume: volume, extent: extent, action: .shadow, cause: .displaced, store: nil, expectedRequests: nil,
      seconds: 0)
  }

  @Test func latestComeFirstAndOldestAreForgotten() {
    var log = DecisionLog()
    for extent in 0..<UInt64(DecisionLog.countMax + 10) { #expect(log.add(decision(extent)) == Int(extent)) }
    let latest = log.latest(3).map(\.extent)
    let last = UInt64(DecisionLog.countMax + 9)
    #expect(latest == [last, last - 1, last - 2])
    #expect(log.latest(10) { $0.extent == 5 }.isEmpty)
    #expect(log.latest(10) { $0.extent == 10 }.count == 1)
    #expect(log.latest(.max).count == DecisionLog.countMax)
  }

  @Test func outcomeGoesToItsDecision() {
    var log = DecisionLog()
    for extent in 0..<UInt64(DecisionLog.countMax + 1) { _ = log.add(decision(extent)) }
    // Forgotten, and its place taken by the last one.
    log.update(0) { $0.reads = 1 }
    log.update(DecisionLog.countMax + 1) { $0.reads = 2 }
    #expect(log.latest(.max).allSatisfy { $0.reads == nil })
    log.update(7) { $0.reads = 3 }
    #expect(log.latest(1) { $0.reads == 3 }.first?.extent == 7)
  }

  @Test func emptyLogHasNone() {
    #expect(DecisionLog().latest(5).isEmpty)
  }
}

@Suite struct HintTableTests {
  @Test func hintHoldsFromItsBeginningToItsEnd() throws {
    var table = HintTable()
    let hint = try table.add(volume, 0..<4096, from: 1060, for: 30, at: 1000)
    #expect(table.active(at: 1059).isEmpty)
    #expect(table.active(at: 1060) == [hint] && table.active(at: 1089) == [hint])
    #expect(table.active(at: 1090).isEmpty)
    table.expire(at: 1089)
    #expect(table.hints == [hint])
    table.expire(at: 1090)
    #expect(table.hints.isEmpty)
  }

  @Test func pastAndFarFutureAreRefused() throws {
    var table = HintTable()
    for (start, duration) in [
      (Int64(999), Int64(10)), (1000, 0), (1000, -5), (1000, HintTable.secondsMax + 1),
      (1001 + HintTable.secondsMax, 10), (.max, 10), (1000, .max),
    ] {
      let error = #expect(throws: GnomonError.self) {
        try table.add(volume, 0..<1, from: start, for: duration, at: 1000)
      }
      #expect(error?.code == .invalid)
    }
    #expect(try table.add(volume, 0..<1, from: nil, for: 10, at: 1000).seconds == 1000..<1010)
  }

  @Test func thereIsABound() throws {
    var table = HintTable()
    for _ in 0..<HintTable.countMax { _ = try table.add(volume, 0..<1, from: nil, for: 10, at: 1000) }
    let error = #expect(throws: GnomonError.self) {
      try table.add(volume, 0..<1, from: nil, for: 10, at: 1000)
    }
    #expect(error?.code == .conflict)
    #expect(table.remove(7) && !table.remove(7))
    #expect(try table.add(volume, 0..<1, from: nil, for: 10, at: 1000).number == HintTable.countMax + 1)
    // Those that are over make room by themselves.
    #expect(try table.add(volume, 0..<1, from: nil, for: 10, at: 2000).number == HintTable.countMax + 2)
  }
}

@Suite struct PrefetchQueueTests {
  @Test func extentsComeInTheirOrderAndOnce() {
    var queue = PrefetchQueue()
    queue.add(volume, 3..<6, reason: "a", sinceMicroseconds: 1)
    queue.add(volume, 4..<6, reason: "b", sinceMicroseconds: 2)
    queue.add(volume, 5..<7, reason: "c", sinceMicroseconds: 3)
    queue.add(volume, 9..<9, reason: "d", sinceMicroseconds: 4)
    var found: [UInt64] = []
    while let item = queue.next() { found.append(item.extent) }
    #expect(found == [3, 4, 5, 5, 6])
  }

  @Test func thereIsABound() {
    var queue = PrefetchQueue()
    for number in 0..<UInt64(PrefetchQueue.rangesMax + 5) {
      queue.add(volume, number * 2..<number * 2 + 1, reason: "", sinceMicroseconds: 0)
    }
    var count = 0
    while queue.next() != nil { count += 1 }
    #expect(count == PrefetchQueue.rangesMax)
  }
}

@Suite struct FastStoresTests {
  @Test func lowestTierIsTheFastOne() {
    let fast = FastStores([candidate(0, tier: 3), candidate(1, tier: 1), candidate(2, tier: 1)])
    #expect(fast.tier == 1 && fast.stores == [StoreID(rawValue: 1), StoreID(rawValue: 2)])
    #expect(fast.contains(StoreID(rawValue: 2)) && !fast.contains(StoreID(rawValue: 0)))
  }

  @Test func oneTierAloneIsNone() {
    #expect(FastStores([candidate(0, tier: 2), candidate(1, tier: 2)]).tier == nil)
    #expect(FastStores([]).tier == nil)
  }

  @Test func volatileStoresDoNotCount() {
    #expect(FastStores([candidate(0, tier: 0, isVolatile: true), candidate(1, tier: 2)]).tier == nil)
  }
}
