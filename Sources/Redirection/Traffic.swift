import Synchronization

/// Counters of requests and bytes, added to in batches.
public final class Traffic: Sendable {
  public struct Counts: Sendable, Equatable {
    public var reads: UInt64 = 0
    public var writes: UInt64 = 0
    public var trims: UInt64 = 0
    public var zeroes: UInt64 = 0
    public var flushes: UInt64 = 0
    public var errors: UInt64 = 0
    public var bytesRead: UInt64 = 0
    public var bytesWritten: UInt64 = 0

    public init() {}

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

  public init() {}

  public var counts: Counts { total.withLock { $0 } }

  public func add(_ counts: Counts) {
    total.withLock { $0.add(counts) }
  }
}
