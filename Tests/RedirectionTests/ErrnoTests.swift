import Glibc
import NBDWire
import Primitives
import Testing

@testable import Redirection

/// What a store's failure becomes on the wire, and where placement goes on.
@Suite struct ErrnoTests {
  @Test func eachErrorIsToldAsWhatItIs() {
    for (errno, wire) in [
      (ENOSPC, .noSpace), (EDQUOT, .noSpace), (EFBIG, .noSpace), (ENOMEM, .noMemory), (EIO, .io),
      (EROFS, .io),
      (EOPNOTSUPP, .io),
    ] as [(Int32, NBDErrno)] {
      #expect(StoreErrno.wire(errno) == wire, "errno \(errno)")
      #expect(StoreErrno.isFull(errno) == (wire == .noSpace), "errno \(errno)")
    }
    #expect(StoreErrno.io == EIO && StoreErrno.notSupported == EOPNOTSUPP)
  }

  @Test func directivesKeepTheirOrderWhenTheirQueueGrows() {
    var queue = DirectiveQueue(capacity: 2)
    for round in 1...3 {
      let count = 5 * round
      for number in 0..<count {
        unsafe queue.append(
          Directive(
            kind: .read, store: 0, durable: false, length: UInt64(number), offset: 0, buffer: nil, token: 0))
      }
      #expect(queue.count == count)
      #expect((0..<count).allSatisfy { queue[$0].length == UInt64($0) })
      queue.removeAll()
      #expect(queue.count == 0)
    }
  }
}
