import Dispatch
import Foundation
import Platform
import Synchronization
import TestSupport
import Testing

@Suite struct ThreadTests {
  private struct Refusal: Error, Equatable {
    var number: Int
  }

  @Test func workIsDoneInOrderAndToTheEnd() throws {
    let thread = try WorkThread(name: "test-work")
    let done = Mutex<[Int]>([])
    for number in 0..<1000 { thread.async { done.withLock { $0.append(number) } } }
    thread.stop()
    #expect(done.withLock { $0 } == Array(0..<1000))
  }

  @Test func workFromManyThreadsIsAllDone() async throws {
    let thread = try WorkThread(name: "test-work")
    let done = Counter()
    try await withThrowingTaskGroup { group in
      for _ in 0..<4 {
        group.addTask {
          try await onThread { for _ in 0..<500 { thread.async { done.add() } } }
        }
      }
      try await group.waitForAll()
    }
    thread.stop()
    #expect(done.value == 2000)
  }

  @Test func anEndThatIsNotWaitedForComesAfterAllWork() throws {
    let thread = try WorkThread(name: "test-work")
    let (gate, ended) = (DispatchSemaphore(value: 0), DispatchSemaphore(value: 0))
    thread.async { gate.wait() }
    // Returns although the thread hangs.
    thread.stop { ended.signal() }
    #expect(ended.wait(timeout: .now() + 0.05) == .timedOut)
    gate.signal()
    #expect(ended.wait(timeout: .now() + 10) == .success)
  }

  @Test func performReturnsAndThrows() async throws {
    let thread = try WorkThread(name: "test-work")
    #expect(await thread.perform { 42 } == 42)
    await #expect(throws: Refusal(number: 7)) {
      try await thread.perform { () throws(Refusal) in throw Refusal(number: 7) }
    }
    thread.stop()
  }

  /// Not even its stack: whoever connects again and again would run out of addresses.
  @Test func aThreadThatNobodyJoinsLeavesNothing() throws {
    func addresses() throws -> Int {
      let status = try String(contentsOfFile: "/proc/self/statm", encoding: .utf8)
      return try #require(Int(status.prefix { $0 != " " })) * 4096
    }
    let before = try addresses()
    for _ in 0..<500 {
      let ended = DispatchSemaphore(value: 0)
      _ = try NativeThread(name: "forgotten") { ended.signal() }
      ended.wait()
    }
    // A stack has 8 MiB.
    #expect(try addresses() < before + 1 << 30)
  }

  @Test func joiningTwiceReturns() throws {
    let runs = Counter()
    let thread = try NativeThread(name: "a name that is far too long") { runs.add() }
    thread.join()
    #expect(runs.value == 1)
    thread.join()
  }

  @Test func signalsCountUntilTheyAreTaken() throws {
    let event = try EventFD()
    var seen = [event.wait(milliseconds: 0)]
    event.signal()
    event.signal()
    seen.append(event.wait(milliseconds: 0))
    event.wait()
    seen.append(event.wait(milliseconds: 1))
    event.take()
    seen.append(event.wait(milliseconds: 5))
    seen.append(event.wait(milliseconds: -5))
    #expect(seen == [false, true, true, false, false])
  }

  @Test func aRaisedSignalStaysRaisedForAll() async throws {
    let signal = try Signal()
    #expect(!signal.wait(seconds: 0))
    try await withThrowingTaskGroup { group in
      for _ in 0..<3 { group.addTask { try await onThread { signal.wait() } } }
      group.addTask { try await onThread { signal.raise() } }
      try await group.waitForAll()
    }
    #expect(signal.wait(seconds: 1))
    signal.wait()
  }

  @Test func aLongWaitIsPossible() throws {
    let signal = try Signal()
    signal.raise()
    #expect(signal.wait(seconds: .max))
  }
}
