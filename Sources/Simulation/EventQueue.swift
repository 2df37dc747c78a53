/// Something that happens at an instant of virtual time.
struct Event {
  /// Nanoseconds since the world began.
  var time: UInt64
  /// Events of one instant happen in the order in which they were scheduled.
  var order: UInt64
  /// What happens, and to whom: for the digest and the trace.
  var label: StaticString
  var detail: UInt64
  var body: () throws -> Void

  func isBefore(_ other: Event) -> Bool {
    (time, order) < (other.time, other.order)
  }
}

/// Virtual time: every component of a world schedules what it does next here, and nothing else passes time.
struct EventQueue {
  /// Nanoseconds since the world began.
  private(set) var now: UInt64 = 0
  private var heap: [Event] = []
  private var scheduled: UInt64 = 0

  var isEmpty: Bool { heap.isEmpty }
  var count: Int { heap.count }

  mutating func schedule(
    after delay: UInt64, _ label: StaticString, _ detail: UInt64, _ body: @escaping () throws -> Void
  ) {
    scheduled += 1
    heap.append(Event(time: now + delay, order: scheduled, label: label, detail: detail, body: body))
    rise(heap.count - 1)
  }

  /// Takes the next event; the clock is at its instant then.
  mutating func popFirst() -> Event? {
    guard let first = heap.first else { return nil }
    let last = heap.removeLast()
    if !heap.isEmpty {
      heap[0] = last
      sink(0)
    }
    now = first.time
    return first
  }

  /// Forgets everything that was to happen; time goes on from here.
  mutating func removeAll() {
    heap.removeAll(keepingCapacity: true)
  }

  private mutating func rise(_ start: Int) {
    var child = start
    while child > 0 {
      let parent = (child - 1) / 2
      guard heap[child].isBefore(heap[parent]) else { return }
      heap.swapAt(child, parent)
      child = parent
    }
  }

  private mutating func sink(_ start: Int) {
    var parent = start
    while true {
      var least = parent
      for child in [2 * parent + 1, 2 * parent + 2] where child < heap.count {
        if heap[child].isBefore(heap[least]) { least = child }
      }
      if least == parent { return }
      heap.swapAt(least, parent)
      parent = least
    }
  }
}
