import Synchronization

/// Counters of requests and bytes, added to in batches.
public final class Traffic: Sendable {
  /// The numbers. They wrap around after 2⁶⁴.
  public struct Counts: Sendable, Equatable {
    /// READ requests.
    public var reads: UInt64 = 0
    /// WRITE requests.
    public var writes: UInt64 = 0
    /// TRIM requests.
    public var trims: UInt64 = 0
    /// WRITE_ZEROES requests.
    public var zeroes: UInt64 = 0
    /// FLUSH requests.
    public var flushes: UInt64 = 0
    /// Requests that were answered with an error.
    public var errors: UInt64 = 0
    /// Bytes that READ requests asked for.
    public var bytesRead: UInt64 = 0
    /// Bytes that WRITE requests brought.
    public var bytesWritten: UInt64 = 0

    /// All zero.
    public init() {}

    /// Adds each number to its like.
    public mutating func add(_ other: Counts) {
      reads &+= other.reads
      writes &+= other.writes
      trims &+= other.trims
      zeroes &+= other.zeroes
      flushes &+= other.flushes
      errors &+= other.errors
      bytesRead &+= other.bytesRead
      bytesWritten &+= other.bytesWritten
    }
  }

  private let total = Mutex(Counts())

  /// All zero.
  public init() {}

  /// What was added so far.
  public var counts: Counts { total.withLock { $0 } }

  /// Adds a batch. May be called from any thread.
  public func add(_ counts: Counts) {
    total.withLock { $0.add(counts) }
  }
}
