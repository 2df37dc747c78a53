import Synchronization
import Testing

@testable import Daemon

@Suite struct TurnstileTests {
  @Test func itLetsOneThroughAtATime() async {
    let turnstile = Turnstile()
    let inside = Atomic<Int>(0)
    let passed = Atomic<Int>(0)
    await withTaskGroup(of: Void.self) { group in
      for _ in 0..<200 {
        group.addTask {
          await turnstile.enter()
          #expect(inside.add(1, ordering: .relaxed).newValue == 1)
          await Task.yield()
          inside.subtract(1, ordering: .relaxed)
          passed.add(1, ordering: .relaxed)
          turnstile.leave()
        }
      }
    }
    #expect(passed.load(ordering: .relaxed) == 200)
  }

  @Test func itKeepsTheOrder() async {
    let turnstile = Turnstile()
    let order = Mutex<[Int]>([])
    await turnstile.enter()
    await withTaskGroup(of: Void.self) { group in
      for number in 0..<20 {
        group.addTask {
          await turnstile.enter()
          order.withLock { $0.append(number) }
          turnstile.leave()
        }
        while turnstile.waitingCount <= number { await Task.yield() }
      }
      turnstile.leave()
    }
    #expect(order.withLock { $0 } == Array(0..<20))
  }
}
