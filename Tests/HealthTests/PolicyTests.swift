import Primitives
import Testing

@testable import Health

@Suite struct PolicyTests {
  /// A policy with scores that a test sets, a second at a time.
  private struct Bench {
    var policy = HealthPolicy()
    var findings: [HealthPolicy.Finding]
    var satOutMax = 1
    var changes: [(second: UInt64, change: HealthPolicy.Change)] = []
    private var second: UInt64 = 0

    init(groups: [Int]) {
      findings = groups.enumerated().map { index, group in
        HealthPolicy.Finding(
          store: StoreID(rawValue: UInt8(index)), group: group, sharedScore: 0, ownScore: 0, isDead: false,
          redundancy: StoreRedundancy(onlyCopies: 0))
      }
    }

    mutating func pass(_ seconds: Int) {
      for _ in 0..<seconds {
        second += 1
        for change in policy.decide(findings, at: second * 1_000_000_000, satOutMax: satOutMax) {
          changes.append((second, change))
        }
      }
    }

    func state(_ index: Int) -> HealthState { policy.standing(of: findings[index].store).state }
    func holdingBack(_ index: Int) -> HoldingBack? {
      policy.standing(of: findings[index].store).holdingBack
    }
  }

  @Test(arguments: [
    (39.9, HealthState.serving), (40, .noNewPlacements), (69.9, .noNewPlacements), (70, .evacuating),
    (89.9, .evacuating), (90, .satOut), (100, .satOut),
  ])
  func thresholdsActAfterTheirTime(score: Double, state: HealthState) {
    var bench = Bench(groups: [0])
    bench.findings[0].ownScore = score
    bench.pass(10)
    #expect(bench.state(0) == .serving)
    bench.pass(90)
    #expect(bench.state(0) == state)
  }

  @Test func aNoisyMinuteMovesNothing() {
    var bench = Bench(groups: [0])
    for _ in 0..<100 {
      bench.findings[0].ownScore = 80
      bench.pass(60)
      bench.findings[0].ownScore = 30
      bench.pass(65)
    }
    #expect(bench.changes.isEmpty)
  }

  @Test func aDeadStoreIsNotWaitedFor() {
    var bench = Bench(groups: [0, 1])
    bench.pass(5)
    bench.findings[0].sharedScore = 92
    bench.findings[0].isDead = true
    bench.pass(1)
    #expect(bench.state(0) == .satOut)
    #expect(bench.policy.standing(of: StoreID(rawValue: 0)).sinceNanoseconds == 6_000_000_000)
  }

  @Test func comingBackTakesMarginAndTime() {
    var bench = Bench(groups: [0])
    bench.findings[0].ownScore = 75
    bench.pass(100)
    #expect(bench.state(0) == .evacuating)
    bench.findings[0].ownScore = 61
    bench.pass(2000)
    #expect(bench.state(0) == .evacuating)
    bench.findings[0].ownScore = 59
    bench.pass(299)
    #expect(bench.state(0) == .evacuating)
    bench.pass(1)
    #expect(bench.state(0) == .noNewPlacements)
    bench.findings[0].ownScore = 29
    bench.pass(299)
    bench.findings[0].ownScore = 31
    bench.pass(1)
    bench.findings[0].ownScore = 29
    bench.pass(299)
    #expect(bench.state(0) == .noNewPlacements)
    bench.pass(1)
    #expect(bench.state(0) == .serving)
  }

  @Test func aStoreReturnsThroughResync() {
    var bench = Bench(groups: [0, 1])
    bench.findings[0].sharedScore = 95
    bench.findings[0].isDead = true
    bench.pass(2)
    bench.findings[0].isDead = false
    bench.findings[0].sharedScore = 0
    bench.findings[0].redundancy.staleCopies = 7
    bench.pass(9)
    #expect(bench.state(0) == .satOut)
    bench.pass(1)
    #expect(bench.state(0) == .returning)
    bench.pass(1000)
    #expect(bench.state(0) == .returning)
    bench.findings[0].redundancy.staleCopies = 0
    bench.pass(1)
    #expect(bench.state(0) == .serving)
    #expect(bench.changes.map { $0.change.to } == [.satOut, .returning, .serving])
  }

  @Test func theOnlyCopyStays() {
    var bench = Bench(groups: [0, 1])
    bench.findings[0].sharedScore = 100
    bench.findings[0].isDead = true
    bench.findings[0].redundancy.onlyCopies = 3
    bench.pass(60)
    // Nothing can be read from a dead store; it may be back in a moment.
    #expect(bench.state(0) == .noNewPlacements)
    #expect(bench.holdingBack(0) == .onlyCopies(3))
    bench.pass(60)
    #expect(bench.state(0) == .evacuating)
    #expect(bench.holdingBack(0) == .onlyCopies(3))
    #expect(bench.holdingBack(0)?.description == "it has the only synced copy of 3 extents")
    bench.findings[0].redundancy.onlyCopies = 0
    bench.pass(1)
    #expect(bench.state(0) == .satOut)
    // What is out stays out, whatever is only there by now.
    bench.findings[0].redundancy.onlyCopies = 5
    bench.pass(10)
    #expect(bench.state(0) == .satOut)
  }

  @Test func noMoreThanRedundancyAllows() {
    var bench = Bench(groups: [0, 1, 2, 3, 4])
    bench.findings[1].ownScore = 95
    bench.findings[3].ownScore = 100
    bench.pass(60)
    #expect(bench.state(3) == .satOut)
    #expect(bench.state(1) == .evacuating)
    #expect(bench.holdingBack(1) == .redundancy(satOut: 1))
    bench.satOutMax = 2
    bench.pass(1)
    #expect(bench.state(1) == .satOut)
    bench.findings[0].ownScore = 100
    bench.satOutMax = 0
    bench.pass(60)
    #expect(bench.state(0) == .evacuating)
  }

  @Test func oneAtATime() {
    var bench = Bench(groups: [0, 1, 2, 3, 4])
    bench.satOutMax = 3
    bench.findings[2].ownScore = 100
    bench.findings[4].ownScore = 100
    bench.pass(11)
    #expect([bench.state(2), bench.state(4)] == [.satOut, .evacuating])
    #expect(bench.holdingBack(4) == .oneAtATime)
    bench.pass(1)
    #expect(bench.state(4) == .satOut)
  }

  @Test(arguments: [2, 3, 5])
  func whenAWholeGroupTurnsSlowNothingMoves(count: Int) {
    var bench = Bench(groups: [9, 9, 9, 9, 9, 9, 9] + Array(repeating: 1, count: count))
    for index in 7..<bench.findings.count {
      bench.findings[index].sharedScore = 95
      bench.findings[index].isDead = index == bench.findings.count - 1
      bench.pass(6 / count)
    }
    bench.pass(600)
    #expect(bench.changes.isEmpty)
    #expect(bench.holdingBack(7) == .commonCause)
    // One that has a trouble of its own besides is dealt with.
    bench.findings[7].ownScore = 95
    bench.pass(60)
    #expect(bench.changes.map { $0.change.store.rawValue } == [7])
  }

  @Test func whenMostOfAllTurnSlowNothingMoves() {
    var bench = Bench(groups: [0, 1, 2, 3])
    for index in 0..<2 { bench.findings[index].sharedScore = 80 }
    bench.pass(20)
    #expect(bench.holdingBack(0) == nil)
    bench.findings[2].sharedScore = 80
    bench.pass(100)
    #expect(bench.changes.isEmpty)
    #expect([0, 1, 2, 3].map(bench.holdingBack) == [.commonCause, .commonCause, .commonCause, nil])
  }

  @Test func theMinorityIsDealtWith() {
    var bench = Bench(groups: [0, 0, 1, 1])
    for index in 0..<4 where index % 2 == 0 { bench.findings[index].sharedScore = 80 }
    bench.pass(100)
    #expect(bench.state(0) == .evacuating)
    #expect(bench.state(2) == .evacuating)
  }

  @Test func slownessLongAgoIsNoCommonCause() {
    var bench = Bench(groups: [0, 0])
    bench.findings[0].sharedScore = 80
    bench.pass(400)
    #expect(bench.state(0) == .evacuating)
    bench.findings[1].sharedScore = 80
    bench.pass(100)
    #expect(bench.state(1) == .evacuating)
  }

  @Test func aCommonCauseBringsNobodyBack() {
    var bench = Bench(groups: [0, 0])
    bench.findings[0].sharedScore = 80
    bench.pass(100)
    bench.findings[1].sharedScore = 80
    bench.pass(2000)
    #expect([bench.state(0), bench.state(1)] == [.evacuating, .serving])
  }

  @Test func whatHasLongBeenOutDoesNotMakeAMajority() {
    var bench = Bench(groups: [0, 1, 2])
    bench.findings[0].sharedScore = 95
    bench.pass(400)
    #expect(bench.state(0) == .satOut)
    bench.findings[1].sharedScore = 80
    bench.pass(100)
    #expect(bench.state(1) == .evacuating)
  }

  @Test func flappingTakesEverLongerToComeBack() {
    var bench = Bench(groups: [0])
    for _ in 0..<(86_400 / 800) {
      bench.findings[0].ownScore = 80
      bench.pass(400)
      bench.findings[0].ownScore = 0
      bench.pass(400)
    }
    #expect((3...20).contains(bench.changes.count), "\(bench.changes.count)")
  }

  @Test func removedStoresAreForgotten() {
    var bench = Bench(groups: [0])
    bench.findings[0].ownScore = 80
    bench.pass(100)
    bench.policy.remove(StoreID(rawValue: 0))
    #expect(bench.state(0) == .serving)
  }

  @Test func aClockThatStandsStillMovesNothing() {
    var policy = HealthPolicy()
    let finding = HealthPolicy.Finding(
      store: StoreID(rawValue: 1), group: 0, sharedScore: 0, ownScore: 95, isDead: false,
      redundancy: StoreRedundancy(onlyCopies: 0))
    for time in [5, 5, 5, 3, 5] as [UInt64] {
      #expect(policy.decide([finding], at: time, satOutMax: 1).isEmpty)
    }
  }

  @Test(arguments: [
    (HoldingBack.commonCause, "elsewhere"), (.onlyCopies(1), "1 extent"),
    (.redundancy(satOut: 2), "2 stores"),
    (.oneAtATime, "another store"),
  ])
  func guardsSayWhatTheyAre(guardian: HoldingBack, words: String) {
    #expect(guardian.description.contains(words))
  }
}
