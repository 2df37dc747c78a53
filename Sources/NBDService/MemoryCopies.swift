import Platform
import Primitives
import Redirection
import Stores

/// What a reactor does for memory stores: it copies, oldest first, and in one turn only so much that
/// clients and other stores do not wait for it.
struct MemoryCopies {
  private var stores = [MemoryStore?](repeating: nil, count: StoreTable.capacity)
  private var waiting: [Directive] = []
  private var next = 0
  private var turnBytes: UInt64 = 0

  /// Whether nothing waits.
  var isEmpty: Bool { waiting.isEmpty }

  mutating func add(_ memory: MemoryStore, as store: StoreID) {
    stores[Int(store.rawValue)] = memory
  }

  mutating func remove(_ store: StoreID) {
    stores[Int(store.rawValue)] = nil
  }

  mutating func append(_ directive: Directive) {
    waiting.append(directive)
  }

  /// Carries out the next directive.
  ///
  /// - Returns: what its operation is told; nil if nothing waits, or the turn is used up.
  mutating func makeNext() -> (token: UInt64, result: Int32)? {
    guard next < waiting.count, turnBytes < DispatchWindow.cachedBytesPerTurn else {
      if next > 0 { waiting.removeFirst(next) }
      next = 0
      return nil
    }
    let directive = waiting[next]
    next += 1
    return (directive.token, carryOut(directive))
  }

  mutating func endTurn() {
    turnBytes = 0
  }

  private mutating func carryOut(_ directive: Directive) -> Int32 {
    guard let store = stores[Int(directive.store)] else {
      preconditionFailure("a directive for a store that is gone")
    }
    switch directive.kind {
    case .read:
      turnBytes += directive.length
      unsafe store.read(
        into: UnsafeMutableRawBufferPointer(start: directive.buffer, count: Int(directive.length)),
        at: directive.offset)
      return Int32(directive.length)
    case .write:
      turnBytes += directive.length
      unsafe store.write(
        UnsafeRawBufferPointer(start: directive.buffer, count: Int(directive.length)), at: directive.offset)
      return Int32(directive.length)
    case .zero, .punch:
      store.clear(offset: directive.offset, length: directive.length)
      return 0
    default:
      // There is nothing to reserve, and nothing to make durable.
      return 0
    }
  }
}
