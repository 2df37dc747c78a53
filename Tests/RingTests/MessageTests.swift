import CURing
import Platform
import Primitives
import Synchronization
import TestSupport
import Testing

@testable import Ring

@Suite struct MessageTests {
  /// Takes pieces off the front in random portions; what is left must be what a plain list has left.
  @Test func advancingTakesBytesOffTheFront() {
    let memory = UnsafeMutableRawPointer.allocate(byteCount: 1 << 16, alignment: 16)
    defer { unsafe memory.deallocate() }
    for seed in 1...50 as ClosedRange<UInt64> {
      var generator = SeededGenerator(seed: seed)
      let message = Message(capacity: 12)
      defer { message.deallocate() }
      for _ in 0..<2 {
        message.removeAll()
        var bytes: [Int] = []
        var place = 0
        for _ in 0..<1 + generator.below(12) {
          place += generator.below(3) * 10
          let count = 1 + generator.below(300)
          unsafe message.append(memory + place, count)
          bytes += Array(place..<place + count)
          place += count
        }
        while !bytes.isEmpty {
          let portion = 1 + generator.below(bytes.count)
          message.advance(by: portion)
          bytes.removeFirst(portion)
          let left = unsafe Self.bytes(of: message, in: memory)
          #expect(left == bytes, "seed \(seed)")
        }
        #expect(message.count == 0)
      }
    }
  }

  private static func bytes(of message: Message, in memory: UnsafeMutableRawPointer) -> [Int] {
    (0..<message.count).flatMap { index in
      let piece = unsafe message.header.pointee.msg_iov[index]
      let first = unsafe piece.iov_base - memory
      return unsafe Array(first..<first + piece.iov_len)
    }
  }

  @Test func neighboursShareAPiece() {
    let memory = UnsafeMutableRawPointer.allocate(byteCount: 4096, alignment: 16)
    defer { unsafe memory.deallocate() }
    let message = Message(capacity: 2)
    defer { message.deallocate() }
    unsafe message.append(memory, 10)
    unsafe message.append(memory + 10, 10)
    #expect(message.count == 1 && !message.isFull)
    unsafe message.append(memory + 21, 10)
    #expect(message.count == 2 && message.isFull)
    // Room does not come back by sending: the pieces lie in fixed memory.
    message.advance(by: 20)
    #expect(message.count == 1 && message.isFull)
    message.removeAll()
    #expect(message.count == 0 && !message.isFull)
  }

  @Test func messagesFromManyThreadsAllArriveInTheirOrder() async throws {
    let inbox = try Inbox<(thread: Int, number: Int)>()
    let threads = 3
    let each = 2000
    let taken = try await withThrowingTaskGroup(of: [(thread: Int, number: Int)].self) { group in
      for thread in 0..<threads {
        group.addTask {
          try await onThread {
            for number in 0..<each { inbox.post((thread, number)) }
            return []
          }
        }
      }
      group.addTask {
        try await onThread {
          let ring = try Ring(submissions: 8, completions: 16)
          let counter = UnsafeMutablePointer<UInt64>.allocate(capacity: 1)
          let completions = UnsafeMutableBufferPointer<Completion>.allocate(capacity: 4)
          defer {
            unsafe counter.deallocate()
            unsafe completions.deallocate()
          }
          var taken: [(thread: Int, number: Int)] = []
          unsafe ring.read(event: inbox.event, into: counter, token: 1)
          while taken.count < threads * each {
            try ring.submit(waiting: true)
            guard unsafe ring.takeCompletions(into: completions) > 0 else { continue }
            if taken.count < threads * each { unsafe ring.read(event: inbox.event, into: counter, token: 1) }
            taken += inbox.takeAll()
          }
          return taken
        }
      }
      return try await group.reduce(into: []) { $0 += $1 }
    }
    #expect(taken.count == threads * each)
    for thread in 0..<threads {
      #expect(taken.filter { $0.thread == thread }.map(\.number) == Array(0..<each))
    }
  }
}
