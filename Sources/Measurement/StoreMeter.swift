public import Synchronization

/// What one thread of the data path did with one store: counters that this thread adds to and others read.
///
/// A block of 24 KiB that is allocated once. Noting an operation takes three additions to words that no other
/// thread writes: no lock, no locked instruction, no allocation. Readers see each counter at some recent
/// value, not all of them at one instant; what a reader misses it sees the next time, since counters only
/// grow: all but the one of operations begun, from which those are taken back of which nothing was heard.
@frozen
@safe
public struct StoreMeter: BitwiseCopyable, @unchecked Sendable {
  @usableFromInline let words: UnsafeMutablePointer<Atomic<UInt64>>

  @usableFromInline static let begun = LatencySeries.count * LatencyScale.binCount
  @usableFromInline static let failed = begun + 1
  @usableFromInline static let bytesRead = failed + StoreOperation.allCases.count
  @usableFromInline static let bytesWritten = bytesRead + 1
  @usableFromInline static let missedDeadlines = bytesWritten + 1
  static let wordCount = missedDeadlines + 1

  /// Counters at zero. They stay until `deallocate` is called.
  public static func allocate() -> StoreMeter {
    let words = UnsafeMutablePointer<Atomic<UInt64>>.allocate(capacity: wordCount)
    for index in 0..<wordCount { unsafe (words + index).initialize(to: Atomic(0)) }
    return unsafe StoreMeter(words: words)
  }

  init(words: UnsafeMutablePointer<Atomic<UInt64>>) {
    unsafe self.words = words
  }

  /// Gives the memory back. Nobody may use any copy of this meter from now on.
  public func deallocate() {
    unsafe words.deinitialize(count: Self.wordCount)
    unsafe words.deallocate()
  }

  /// Adds to a word of which this thread is the only writer.
  @inlinable
  func add(_ amount: UInt64, to index: Int) {
    let value = unsafe words[index].load(ordering: .relaxed)
    unsafe words[index].store(value &+ amount, ordering: .relaxed)
  }

  /// An operation was handed to the store.
  @inlinable
  public func begin() {
    add(1, to: Self.begun)
  }

  /// An operation has succeeded.
  @inlinable
  public func succeed(_ operation: StoreOperation, bytes: UInt64, nanoseconds: UInt64) {
    let series = LatencySeries(operation, SizeClass(bytes: bytes))
    let bin = LatencyScale.bin(ofNanoseconds: nanoseconds)
    add(1, to: series.rawValue * LatencyScale.binCount + bin)
    add(bytes, to: operation == .read ? Self.bytesRead : Self.bytesWritten)
  }

  /// An operation has failed. It is no latency: what fails fast is not fast.
  @inlinable
  public func fail(_ operation: StoreOperation) {
    add(1, to: Self.failed + Int(operation.rawValue))
  }

  /// An operation has not ended by its deadline; it is still in flight.
  @inlinable
  public func missDeadline() {
    add(1, to: Self.missedDeadlines)
  }

  /// An operation has ended without the store having said anything of it: as if it had never been begun.
  @inlinable
  public func withdraw() {
    add(UInt64.max, to: Self.begun)
  }

  /// Operations begun so far.
  var begunCount: UInt64 { load(Self.begun) }

  func load(_ index: Int) -> UInt64 {
    unsafe words[index].load(ordering: .relaxed)
  }
}
