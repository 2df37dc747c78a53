import Synchronization

/// Access records on their way from one thread of the data path to the one that predicts.
///
/// A ring of fixed size that one thread fills and one other empties: no lock, no locked instruction, no
/// allocation. When it is full, records are dropped and counted: nobody waits for prediction.
@safe
public final class AccessRing: @unchecked Sendable {
  /// Records that it holds; 0: none is taken.
  public let capacity: Int
  private let words: UnsafeMutablePointer<UInt64>
  /// Records that were written so far, and that were dropped; by the writer.
  private let written = Atomic<UInt64>(0)
  private let dropped = Atomic<UInt64>(0)
  /// What the writer knows of `taken`: it looks only when the ring seems to be full.
  private var takenSeen: UInt64 = 0
  /// Records that were taken so far; by the reader.
  private let taken = Atomic<UInt64>(0)

  private static let wordsPerRecord = 3

  /// - Parameter capacity: 0 or a power of two.
  public init(capacity: Int) {
    precondition(capacity >= 0 && capacity & (capacity - 1) == 0, "a ring's size is a power of two")
    self.capacity = capacity
    unsafe words = .allocate(capacity: max(1, capacity * Self.wordsPerRecord))
    unsafe words.initialize(repeating: 0, count: capacity * Self.wordsPerRecord)
  }

  deinit { unsafe words.deallocate() }

  /// Whether anybody wants records.
  @inline(__always)
  public var isOn: Bool { capacity > 0 }

  /// Bytes of the records.
  public var bytes: Int { capacity * Self.wordsPerRecord * MemoryLayout<UInt64>.stride }

  /// Records that found no room. Any thread.
  public var droppedCount: UInt64 { dropped.load(ordering: .relaxed) }

  /// Adds a record; on the writer's thread.
  public func append(_ record: AccessRecord) {
    let position = written.load(ordering: .relaxed)
    if position &- takenSeen >= UInt64(capacity) {
      takenSeen = taken.load(ordering: .acquiring)
      if position &- takenSeen >= UInt64(capacity) {
        dropped.store(dropped.load(ordering: .relaxed) &+ 1, ordering: .relaxed)
        return
      }
    }
    let place = unsafe words + Int(position & UInt64(capacity - 1)) * Self.wordsPerRecord
    unsafe place[0] = record.packed
    unsafe place[1] = record.offset
    unsafe place[2] = record.microseconds
    written.store(position &+ 1, ordering: .releasing)
  }

  /// Moves up to `countMax` records, oldest first, to the end of a list; on the reader's thread.
  public func take(_ countMax: Int, into records: inout [AccessRecord]) {
    let first = taken.load(ordering: .relaxed)
    let count = min(written.load(ordering: .acquiring) &- first, UInt64(countMax))
    for position in first..<first + count {
      let place = unsafe words + Int(position & UInt64(capacity - 1)) * Self.wordsPerRecord
      unsafe records.append(
        AccessRecord(packed: place[0], offset: place[1], microseconds: place[2]))
    }
    taken.store(first &+ count, ordering: .releasing)
  }
}
