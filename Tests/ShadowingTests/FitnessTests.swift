import Measurement
import Primitives
import Testing

@testable import Shadowing

private func id(_ number: UInt8) -> StoreID { StoreID(rawValue: number) }

private func store(_ number: UInt8, _ fitness: StoreFitness = .well) -> StoreCandidate {
  StoreCandidate(
    id: id(number), name: "s\(number)", tier: 0, freeBytes: 100 << 20, capacityBytes: 200 << 20,
    fitness: fitness)
}

private func copies(_ live: UInt8, _ shadows: (UInt8, Bool)...) -> ExtentCopies {
  ExtentCopies(
    volume: VolumeID(rawValue: 1), extent: 3, live: id(live),
    shadows: shadows.map { ExtentCopies.Shadow(id($0.0), isSynced: $0.1) })
}

private func rules(_ stores: [StoreCandidate], copies: Int = 2) -> CopyRules {
  CopyRules(
    stores: stores, volumeName: "v", extentBytes: 1 << 20,
    wanted: Redundancy(copies: copies, across: .store, protection: .sync))
}

/// What is made of a store that is not well.
@Suite struct FitnessTests {
  @Test func aPoorStoreIsChosenLast() {
    let choice = TargetChoice(extentBytes: 1 << 20)
    #expect(
      choice.best(among: [store(0), store(1, .poor), store(2)], beside: [id(0)]) == .success(id(2)))
    #expect(choice.best(among: [store(0), store(1, .poor)], beside: [id(0)]) == .success(id(1)))
  }

  @Test(arguments: [
    (StoreFitness.leaving, "is failing, and being evacuated"), (.away, "is not in use now"),
    (.lost, "has been out of use for long"),
  ])
  func othersAreNotChosen(_ fitness: StoreFitness, _ reason: String) {
    let choice = TargetChoice(extentBytes: 1 << 20)
    #expect(
      choice.best(among: [store(0), store(1, fitness)], beside: [id(0)])
        == .failure(TargetChoice.Refusal(reasons: ["s0 has a copy already", "s1 \(reason)"])))
  }

  @Test func copiesThatAreAwayCountUntilTheyAreGivenUp() throws {
    let here = copies(0, (1, true))
    for (fitness, target) in [
      (StoreFitness.well, nil), (.poor, nil), (.away, nil), (.leaving, id(2)), (.lost, id(2)),
    ] {
      let move = try rules([store(0), store(1, fitness), store(2)]).protect(here).get()
      #expect(move?.target == target, "\(fitness)")
    }
  }

  @Test func nothingIsFilledInAStoreThatIsAway() throws {
    let stale = copies(0, (1, false))
    #expect(try rules([store(0), store(1, .away)]).protect(stale).get() == nil)
    #expect(try rules([store(0), store(1, .poor)]).protect(stale).get()?.kind == .resync)
  }

  @Test func shadowsTakeOverWhereTheyCan() {
    let stores = [store(0, .away), store(1), store(2, .leaving)]
    #expect(rules(stores).promote(copies(0, (1, true)), from: id(0), reason: "why")?.target == id(1))
    #expect(rules(stores).promote(copies(0, (1, true)), from: id(0), reason: "why")?.reason == "why")
    #expect(rules(stores).promote(copies(0, (1, false)), from: id(0), reason: "why") == nil)
    #expect(rules(stores).promote(copies(0, (2, true)), from: id(0), reason: "why") == nil)
    #expect(rules(stores).promote(copies(1, (0, true)), from: id(0), reason: "why") == nil)
  }
}

@Suite struct ForegroundPaceTests {
  private func requests(_ count: UInt64, milliseconds: Double) -> StoreCounts {
    var counts = StoreCounts()
    counts[LatencySeries(.read)].record(nanoseconds: UInt64(milliseconds * 1e6), times: count)
    return counts
  }

  @Test func latenciesAreComparedWithThoseWhileNothingMoves() {
    var pace = ForegroundPace()
    #expect(pace.observe(requests(100, milliseconds: 8), seconds: 1, isMoving: true) == 1)
    for _ in 0..<10 { _ = pace.observe(requests(100, milliseconds: 2), seconds: 1, isMoving: false) }
    let slow = pace.observe(requests(100, milliseconds: 6), seconds: 1, isMoving: true) ?? 0
    #expect(abs(slow - 3) < 0.2)
    // A few requests, or none, say nothing.
    #expect(pace.observe(requests(15, milliseconds: 60), seconds: 1, isMoving: true) == nil)
    #expect(pace.observe(StoreCounts(), seconds: 1, isMoving: true) == nil)
  }

  /// Moves are felt in the tail first.
  @Test func theTailCountsToo() {
    func spread(_ slow: UInt64, milliseconds: Double) -> StoreCounts {
      var counts = requests(1000 - slow, milliseconds: 2)
      counts[LatencySeries(.read)].record(nanoseconds: UInt64(milliseconds * 1e6), times: slow)
      return counts
    }
    var pace = ForegroundPace()
    for _ in 0..<10 { _ = pace.observe(spread(20, milliseconds: 4), seconds: 1, isMoving: false) }
    let slow = pace.observe(spread(20, milliseconds: 8), seconds: 0.1, isMoving: true) ?? 0
    #expect(abs(slow - 2) < 0.1)
    // Of a few requests the mean counts, since nobody knows their tail.
    let few = pace.observe(requests(100, milliseconds: 2.4), seconds: 0.1, isMoving: true) ?? 0
    #expect(abs(few - 1.2) < 0.1)
  }

  @Test func whatLastsBecomesUsual() {
    var pace = ForegroundPace()
    _ = pace.observe(requests(100, milliseconds: 2), seconds: 1, isMoving: false)
    for _ in 0..<60 { _ = pace.observe(requests(100, milliseconds: 6), seconds: 1, isMoving: true) }
    #expect(pace.observe(requests(100, milliseconds: 6), seconds: 1, isMoving: true)! > 2)
    for _ in 0..<3600 { _ = pace.observe(requests(100, milliseconds: 6), seconds: 1, isMoving: true) }
    #expect(pace.observe(requests(100, milliseconds: 6), seconds: 1, isMoving: true)! < 1.1)
  }

  @Test func noiseOfShortLatenciesIsNone() {
    var pace = ForegroundPace()
    _ = pace.observe(requests(100, milliseconds: 0.01), seconds: 1, isMoving: false)
    #expect(pace.observe(requests(100, milliseconds: 0.09), seconds: 1, isMoving: true)! < 1.05)
  }
}
