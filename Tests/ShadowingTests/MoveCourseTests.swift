import Primitives
import Redirection
import Testing

@testable import Shadowing

private let here = StoreID(rawValue: 1)
private let there = StoreID(rawValue: 2)
private let troubles: [MoveOutcome] = [.refused, .crowded, .full, .corrupt, .failed(5)]

private func move(_ kind: MoveKind, isSourceLive: Bool = true) -> Move {
  Move(
    kind, volume: VolumeID(rawValue: 1), extent: 7, to: there,
    from: kind == .migrate || kind == .replace ? here : nil, isSourceLive: isSourceLive, reason: "test")
}

private let stalePromotion = {
  var promotion = move(.promote)
  promotion.isTargetSynced = false
  return promotion
}()

private let moves =
  MoveKind.allCases.map { move($0) } + [move(.migrate, isSourceLive: false), stalePromotion]

/// A step, and whose copy it is about.
private struct Taken: Equatable {
  var step: MoveStep
  var target: StoreID

  init(_ step: MoveStep, _ target: StoreID = there) {
    self.step = step
    self.target = target
  }
}

extension MoveCourse {
  /// Takes steps that all succeed, to the end.
  fileprivate mutating func finish() -> [Taken] {
    var steps: [Taken] = []
    while let next, steps.count < 100 {
      steps.append(Taken(next.step, next.target))
      ended(.done)
    }
    return steps
  }
}

@Suite struct MoveCourseTests {
  @Test func everyKindTakesItsSteps() {
    let filling = [Taken(.begin), Taken(.fill), Taken(.settle)]
    let steps: [[Taken]] = [
      filling, filling + [Taken(.promote), Taken(.drop, here)], filling, [Taken(.promote)], [Taken(.drop)],
      [Taken(.drop, here)] + filling, filling + [Taken(.drop, here)], filling + [Taken(.promote)],
    ]
    for (move, wanted) in zip(moves, steps) {
      var course = MoveCourse(move)
      #expect(course.end == nil)
      #expect(course.finish() == wanted, "\(move.kind)")
      #expect(course.end == .done && course.next == nil)
    }
  }

  /// What is left to do when a step of each kind of move meets trouble.
  @Test(arguments: troubles) func whatWasBegunIsGivenBack(_ trouble: MoveOutcome) {
    for move in moves {
      for count in 0..<MoveCourse.stepCount(of: move) {
        var course = MoveCourse(move)
        for _ in 0..<count { course.ended(.done) }
        let failed = course.next!
        // That has a remedy, up to a point.
        if trouble == .refused && failed.step == .promote { continue }
        course.ended(trouble)
        #expect(course.finish() == wayBack(move, at: failed.step), "\(move.kind) after \(failed.step)")
        #expect(course.end == .failed(failed.step, trouble))
      }
    }
  }

  @Test func aMoveCanBeCancelledAtEveryStepButTheLastOfAMigration() {
    for move in moves {
      for count in 0..<MoveCourse.stepCount(of: move) {
        var course = MoveCourse(move)
        for _ in 0..<count { course.ended(.done) }
        let step = course.next!.step
        course.cancel()
        // Again makes no difference.
        course.cancel()
        let isLast = move.kind == .migrate && step == .drop
        let back = isLast ? [Taken(.drop, here)] : wayBack(move, at: step)
        #expect(course.finish() == back, "\(move.kind) at \(step)")
        #expect(course.end == (isLast ? .done : .cancelled))
      }
    }
  }

  @Test func anExtentThatHasGoneEndsTheMove() {
    for move in moves {
      for count in 0..<MoveCourse.stepCount(of: move) {
        var course = MoveCourse(move)
        for _ in 0..<count { course.ended(.done) }
        course.ended(.gone)
        #expect(course.next == nil && course.end == .gone)
      }
    }
    // Also while it is given up: then that is why it ended.
    var course = MoveCourse(move(.replicate))
    course.ended(.done)
    course.ended(.corrupt)
    course.ended(.gone)
    #expect(course.end == .failed(.fill, .corrupt))
  }

  @Test func aBusyReactorIsAskedAgain() {
    for move in moves {
      var course = MoveCourse(move)
      let first = course.next!.step
      for _ in 0..<1000 { course.ended(.busy) }
      #expect(course.next!.step == first)
      _ = course.finish()
      #expect(course.end == .done)
    }
  }

  /// An extent that is written to faster than it is copied is not copied for ever.
  @Test func aLastPassIsTriedOnlySoOften() {
    var course = MoveCourse(move(.migrate))
    course.ended(.done)
    var fills = 0
    while course.end == nil, course.next!.step != .leave {
      if course.next!.step == .fill {
        fills += 1
        course.ended(.more)
        course.ended(.done)
      } else {
        course.ended(.more)
      }
    }
    #expect(fills == MoveCourse.settlesMax + 1)
    #expect(course.finish() == [Taken(.leave), Taken(.drop)])
    #expect(course.end == .failed(.settle, .more))
  }

  /// A write that the new copy was too slow for has come between the last pass and the promotion.
  @Test(arguments: [move(.migrate), move(.promote), stalePromotion])
  func aCopyThatCameToLackSomethingIsFilledAgain(_ move: Move) {
    var course = MoveCourse(move)
    while course.next!.step != .promote { course.ended(.done) }
    course.ended(.refused)
    let last = move.kind == .migrate ? [Taken(.promote), Taken(.drop, here)] : [Taken(.promote)]
    #expect(course.finish() == [Taken(.begin), Taken(.fill), Taken(.settle)] + last)
    #expect(course.end == .done)
  }

  @Test func aCopyThatAlwaysLacksSomethingIsGivenBack() {
    var course = MoveCourse(move(.migrate))
    var promotions = 0
    while course.end == nil, course.next!.step != .drop {
      if course.next!.step == .promote {
        promotions += 1
        course.ended(.refused)
      } else {
        course.ended(.done)
      }
    }
    #expect(promotions == MoveCourse.settlesMax + 1)
    #expect(course.finish() == [Taken(.drop)])
    #expect(course.end == .failed(.promote, .refused))
  }

  /// The second time there is something to give back.
  @Test(arguments: [move(.migrate), move(.promote)]) func aCopyThatCanNotBeFilledAgainIsGivenBack(
    _ move: Move
  ) {
    for isCancelled in [false, true] {
      var course = MoveCourse(move)
      while course.next!.step != .promote { course.ended(.done) }
      course.ended(.refused)
      if isCancelled { course.cancel() } else { course.ended(.refused) }
      #expect(course.finish() == (move.kind == .migrate ? [Taken(.drop)] : []))
      #expect(course.end == (isCancelled ? .cancelled : .failed(.begin, .refused)))
    }
  }

  /// Nothing else ends the filling of a shadow: it is tried until it succeeds.
  @Test func leavingIsNotGivenUp() {
    var course = MoveCourse(move(.resync))
    course.ended(.done)
    course.ended(.failed(5))
    for _ in 0..<100 { course.ended(.failed(5)) }
    #expect(course.next!.step == .leave)
    course.ended(.more)
    #expect(course.end == .failed(.fill, .failed(5)))
  }

  /// Random outcomes, against what the steps do to an extent.
  @Test func noWalkLeavesAShadowBeingFilledOrLosesTheLiveCopy() {
    var chance = SeededGenerator(seed: 11)
    for _ in 0..<20_000 {
      let move = moves[Int(chance.next() % UInt64(moves.count))]
      var course = MoveCourse(move)
      var model = ModelExtent(move)
      var steps = 0
      while let next = course.next {
        steps += 1
        #expect(steps < 3000)
        if chance.next() % 16 == 0 { course.cancel() }
        guard let now = course.next else { break }
        if now.step != next.step { continue }
        // The end of a filling can be put off, but not be refused.
        let bad = now.step == .leave ? [.failed(5)] : troubles
        let outcomes: [MoveOutcome] = [.done, .done, .done, .done, .more, .busy] + bad
        let outcome = outcomes[Int(chance.next() % UInt64(outcomes.count))]
        if outcome == .done || (outcome == .more && next.step == .leave) {
          model.take(next.step, next.target)
        }
        // A shadow that can not be dropped now is found by whoever looks after the copies.
        if now.step == .drop && troubles.contains(outcome) { model.isStuck = true }
        course.ended(outcome)
      }
      #expect(model.isFilling == false && model.copies.contains(model.live), "\(move.kind)")
      if course.end == .done { #expect(model.isAsMeant(move), "\(move.kind): \(model)") }
      if case .cancelled = course.end, [.replicate, .migrate, .replace].contains(move.kind) {
        #expect(!model.copies.contains(there) || model.isStuck, "a copy too many: \(model)")
      }
    }
  }
}

/// What is left to do for a move that does not get beyond a step.
private func wayBack(_ move: Move, at step: MoveStep) -> [Taken] {
  switch step {
  case .fill, .settle:
    [Taken(.leave)] + (move.kind == .resync || move.kind == .promote ? [] : [Taken(.drop)])
  case .promote: move.kind == .migrate ? [Taken(.drop)] : []
  case .begin, .leave, .drop: []
  }
}

extension MoveCourse {
  fileprivate static func stepCount(of move: Move) -> Int {
    var course = MoveCourse(move)
    return course.finish().count
  }
}

/// What steps do to an extent.
private struct ModelExtent {
  var live = here
  var copies: Set<StoreID>
  var isFilling = false
  var isStuck = false

  init(_ move: Move) {
    let isThere = [MoveKind.resync, .promote, .drop].contains(move.kind)
    if move.kind == .migrate && !move.isSourceLive || move.kind == .replace {
      live = StoreID(rawValue: 0)
      copies = [live, here]
    } else {
      copies = isThere ? [here, there] : [here]
    }
  }

  mutating func take(_ step: MoveStep, _ store: StoreID) {
    switch step {
    case .begin:
      copies.insert(store)
      isFilling = true
    case .fill: #expect(isFilling)
    case .settle, .leave: isFilling = false
    case .promote:
      #expect(copies.contains(store) && !isFilling)
      live = store
    case .drop:
      #expect(store != live, "the live copy is dropped")
      copies.remove(store)
      isFilling = false
    }
  }

  func isAsMeant(_ move: Move) -> Bool {
    switch move.kind {
    case .replicate, .resync: copies.contains(there) && live == here
    case .migrate, .replace: copies.contains(there) && !copies.contains(here)
    case .promote: live == there && copies.contains(here)
    case .drop: !copies.contains(there)
    }
  }
}
