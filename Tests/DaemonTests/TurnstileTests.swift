import Synchronization
import Testing

@testable import Daemon

@Suite struct TurnstileTests {
  private final class Record: Sendable {
    let inside = Atomic<Int>(0)
    let order = Mutex<[Int]>([])

    func pass(_ turnstile: Turnstile, _ number: Int) async {
      await turnstile.enter()
      #expect(inside.add(1, ordering: .relaxed).newValue == 1)
      await Task.yield()
      order.withLock { $0.append(number) }
      inside.subtract(1, ordering: .relaxed)
      turnstile.leave()
    }
  }

  @Test func itLetsOneThroughAtATime() async {
    let (turnstile, record) = (Turnstile(), Record())
    await withTaskGroup(of: Void.self) { group in
      for number in 0..<200 { group.addTask { await record.pass(turnstile, number) } }
    }
    #expect(record.order.withLock { $0.sorted() } == Array(0..<200))
  }

  @Test func itKeepsTheOrder() async {
    let (turnstile, record) = (Turnstile(), Record())
    await turnstile.enter()
    await withTaskGroup(of: Void.self) { group in
      for number in 0..<20 {
        group.addTask { await record.pass(turnstile, number) }
        while turnstile.waitingCount <= number { await Task.yield() }
      }
      turnstile.leave()
    }
    #expect(record.order.withLock { $0 } == Array(0..<20))
  }
}
