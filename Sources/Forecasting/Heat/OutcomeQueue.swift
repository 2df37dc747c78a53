/// Decisions whose outcome is not known yet, oldest first, in a ring of fixed size.
struct OutcomeQueue<let tables: Int>: Sendable {
  struct Entry: Sendable {
    var extent: UInt32
    /// The request, by number, at which it was decided.
    var request: UInt32
    /// The extent's count of touches then.
    var touches: UInt32
    var cells: PayoffModel<tables>.Cells
  }

  private var ring: [Entry]
  private var head = 0
  private(set) var count = 0

  /// - Parameter capacity: a power of two.
  init(capacity: Int) {
    precondition(capacity > 0 && capacity & (capacity - 1) == 0)
    let none = Entry(extent: 0, request: 0, touches: 0, cells: .init(repeating: 0))
    ring = Array(repeating: none, count: capacity)
  }

  var capacity: Int { ring.count }

  /// Bytes of the ring.
  var bytes: Int { ring.count * MemoryLayout<Entry>.stride }

  /// Adds one; does nothing if the queue is full.
  mutating func append(_ entry: Entry) {
    guard count < ring.count else { return }
    ring[(head + count) & (ring.count - 1)] = entry
    count += 1
  }

  /// Takes the oldest one if more than `age` requests have come since.
  mutating func next(at request: UInt32, age: UInt32) -> Entry? {
    guard count > 0, request &- ring[head].request > age else { return nil }
    let entry = ring[head]
    head = (head + 1) & (ring.count - 1)
    count -= 1
    return entry
  }
}
