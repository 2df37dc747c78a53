/// What one step of a history holds.
public protocol HistoryEntry: Sendable, Equatable {
  /// Stands for a step of which nothing is known.
  static var missing: Self { get }
  /// Whether nothing is known.
  var isMissing: Bool { get }
  /// Adds what is known of another part of the same step.
  mutating func merge(_ other: Self)
  /// Writes it down.
  func write(to bytes: inout ByteWriter)
  /// Reads it again; nil if it makes no sense.
  init?(from bytes: inout ByteReader)
}

/// The last entries of a history with equal steps, numbered from 1970 on: a fixed number of them.
public struct HistoryRing<Entry: HistoryEntry>: Sendable, Equatable {
  /// Steps that are kept.
  public let capacity: Int
  /// The newest step that something is known of; nil as long as there is none.
  public private(set) var last: Int?
  /// By step modulo capacity.
  private var entries: [Entry]

  /// Nothing is known.
  public init(capacity: Int) {
    precondition(capacity > 0, "a history of nothing")
    self.capacity = capacity
    entries = Array(repeating: .missing, count: capacity)
  }

  /// Adds what is known of a step: to what is known of it already. One that is older than all that are kept
  /// is left out.
  public mutating func add(_ entry: Entry, at step: Int) {
    precondition(step >= 0, "a step before all time")
    guard !entry.isMissing else { return }
    if let last, step <= last {
      guard step > last - capacity else { return }
      entries[step % capacity].merge(entry)
      return
    }
    if let last {
      for gap in max(last + 1, step - capacity + 1)..<step { entries[gap % capacity] = .missing }
      if step - last > capacity { entries[step % capacity] = .missing }
    }
    entries[step % capacity] = entry
    last = step
  }

  /// What is known of a step.
  public subscript(step: Int) -> Entry {
    guard let last, step >= 0, step <= last, step > last - capacity else { return .missing }
    return entries[step % capacity]
  }

  /// The steps from the first that something is known of to `end`, as many as are kept at most; empty if
  /// there is none.
  public func steps(through end: Int) -> Range<Int> {
    guard let last else { return end + 1..<end + 1 }
    let oldest = max(0, last - capacity + 1, end - capacity + 1)
    let first = (oldest...max(oldest, last)).first { !self[$0].isMissing } ?? last
    return min(first, end + 1)..<end + 1
  }

  /// Changes all entries that something is known of.
  public mutating func updateAll(_ change: (inout Entry) -> Void) {
    for index in entries.indices where !entries[index].isMissing { change(&entries[index]) }
  }

  /// Writes down what is known.
  public func write(to bytes: inout ByteWriter) {
    let known = last.map { last in (max(0, last - capacity + 1)...last).filter { !self[$0].isMissing } } ?? []
    bytes.append(UInt32(known.count))
    for step in known {
      bytes.append(UInt64(step))
      self[step].write(to: &bytes)
    }
  }

  /// Reads what was written into an empty ring; false if it makes no sense. What is said of steps after
  /// `now` is left out: a clock was wrong.
  public mutating func read(from bytes: inout ByteReader, now: Int) -> Bool {
    guard let count = bytes.take(UInt32.self) else { return false }
    for _ in 0..<count {
      guard let step = bytes.take(UInt64.self).flatMap(Int.init(exactly:)), let entry = Entry(from: &bytes)
      else { return false }
      if step <= now { add(entry, at: step) }
    }
    return true
  }
}
