import Primitives
import Redirection
import Shadowing
import Synchronization
import Testing

@testable import Daemon

private let second: UInt64 = 1_000_000_000

private func move(_ extent: UInt64, volume: UInt32 = 1) -> Move {
  Move(.drop, volume: VolumeID(rawValue: volume), extent: extent, to: StoreID(rawValue: 1), reason: "test")
}

@Suite struct MoveMemoryTests {
  private let failure = MoveCourse.End.failed(.begin, .full)

  @Test func anExtentThatFailsRestsLongerEachTime() {
    var memory = MoveMemory()
    let key = ExtentKey(move(7))
    #expect(!memory.rests(key, at: 0))
    memory.note(failure, of: move(7), at: second)
    #expect(memory.rests(key, at: second + second / 5) && !memory.rests(key, at: second + second / 4))
    #expect(
      !memory.rests(ExtentKey(move(8)), at: second)
        && !memory.rests(ExtentKey(move(7, volume: 2)), at: second))
    memory.note(failure, of: move(7), at: 2 * second)
    #expect(
      memory.rests(key, at: 2 * second + second * 2 / 5) && !memory.rests(key, at: 2 * second + second / 2))
    for _ in 0..<100 { memory.note(failure, of: move(7), at: 3 * second) }
    #expect(memory.rests(key, at: 60 * second) && !memory.rests(key, at: 70 * second))
    // Neither makes it better or worse.
    memory.note(.cancelled, of: move(7), at: 4 * second)
    #expect(memory.rests(key, at: 60 * second))
    memory.note(.done, of: move(7), at: 4 * second)
    #expect(!memory.rests(key, at: 4 * second))
    memory.note(failure, of: move(7), at: 5 * second)
    #expect(!memory.rests(key, at: 5 * second + second / 4))
  }

  @Test func onlySoMuchIsRemembered() {
    var memory = MoveMemory()
    for extent in 0..<UInt64(MoveMemory.restsMax) { memory.note(failure, of: move(extent), at: second) }
    memory.note(failure, of: move(1 << 30), at: second)
    #expect(
      memory.rests(ExtentKey(move(1 << 30)), at: second) && !memory.rests(ExtentKey(move(0)), at: second))
    let count = UInt64(MoveMemory.reasonsMax)
    for extent in 0..<count + 10 {
      memory.note(.done, of: move(extent), at: 0)
      memory.note(.done, of: move(extent), at: 0)
    }
    let reasons = memory.reasons(of: VolumeID(rawValue: 1))
    #expect(reasons.count == Int(count) && reasons[9] == nil && reasons[10] == "drop: test")
    #expect(reasons[count + 9] == "drop: test" && memory.reasons(of: VolumeID(rawValue: 2)).isEmpty)
  }
}

@Suite struct MoveJobTests {
  /// Says what it is told to say.
  private final class Plan: MovePlan {
    let triesAgain: Bool
    let planned = Mutex(PlannedMoves())

    init(triesAgain: Bool) { self.triesAgain = triesAgain }

    func next() -> PlannedMoves { planned.withLock { $0 } }
    func leftBytes(after progress: MoveJob.Progress) -> UInt64? { UInt64(10 - progress.done) }
  }

  private let failure = MoveCourse.End.failed(.fill, .failed(5))

  @Test func itCountsWhatBecomesOfItsMoves() {
    let plan = Plan(triesAgain: false)
    let job = MoveJob(number: 1, "test", .request, plan: plan)
    plan.planned.withLock {
      $0 = PlannedMoves(moves: [move(1)], refusedCount: 2, complaint: "extent 3: b is full")
    }
    #expect(job.nextMoves().moves == [move(1)])
    job.ended(.done, bytes: 100, of: move(1))
    job.ended(.gone, bytes: 1, of: move(2))
    job.ended(.cancelled, bytes: 2, of: move(2))
    let progress = job.progress
    #expect(progress.done == 1 && progress.skipped == 2 && progress.failed == 2 && progress.bytes == 103)
    // What somebody asked for has been refused; that the rest succeeds does not change it.
    #expect(progress.complaint == "extent 3: b is full" && job.leftBytes == 9)
    job.ended(failure, bytes: 0, of: move(4))
    #expect(job.progress.complaint == "extent 4: fill fails: Input/output error")
    #expect(!job.isOver)
    plan.planned.withLock { $0 = PlannedMoves(isEnd: true) }
    _ = job.nextMoves()
    #expect(job.isOver && job.progress.endedNanoseconds == nil)
  }

  @Test func whatIsDoneCanNotBeCancelled() {
    let job = MoveJob(number: 1, "test", .request, plan: Plan(triesAgain: false))
    job.end()
    job.cancel()
    #expect(!job.progress.isCancelled)
  }

  @Test func whoTriesAgainRestsWhenNothingSucceeds() {
    for triesAgain in [true, false] {
      let job = MoveJob(number: 1, "test", .protection, plan: Plan(triesAgain: triesAgain))
      for number in 0..<3 as Range<UInt64> { job.ended(failure, bytes: 0, of: move(number)) }
      #expect(!job.isResting)
      job.ended(failure, bytes: 0, of: move(3))
      #expect(job.isResting == triesAgain)
    }
    let job = MoveJob(number: 1, "test", .protection, plan: Plan(triesAgain: true))
    for number in 0..<20 as Range<UInt64> {
      job.ended(failure, bytes: 0, of: move(number))
      job.ended(.done, bytes: 0, of: move(number))
    }
    #expect(!job.isResting && job.progress.complaint == nil)
  }

  @Test func aComplaintOfAPlanPasses() {
    let plan = Plan(triesAgain: true)
    let job = MoveJob(number: 1, "test", .evacuation, plan: plan)
    plan.planned.withLock { $0.complaint = "b is full" }
    _ = job.nextMoves()
    #expect(job.progress.complaint == "b is full")
    plan.planned.withLock { $0.complaint = nil }
    _ = job.nextMoves()
    #expect(job.progress.complaint == nil)
  }
}
