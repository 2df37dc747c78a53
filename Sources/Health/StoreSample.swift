public import Measurement

/// What is known of one store in one interval: what the data path counted, and what was asked of it besides.
public struct StoreSample: Sendable, Equatable {
  /// The interval's length. What is not between 0 and an hour is taken as the nearer of them.
  public var seconds: Double
  /// What the data path did with the store in the interval.
  public var counts: StoreCounts
  /// Operations in flight at the interval's end.
  public var inFlight: UInt64
  /// A synchronization of the store has failed at some time: writes to it may be lost, and it gets no others.
  public var hasLostWrites = false
  /// What of the store is taken; nil where nobody knows.
  public var space: SpaceUse?
  /// The connection behind a remote store; nil of a local one.
  public var connection: ConnectionState?
  /// Connections of a remote store that were made anew in the interval.
  public var reconnects: UInt64 = 0
  /// What the device says of itself; nil if it was not asked, or has nothing to say.
  public var media: MediaSummary?

  /// A sample of a local store of which no more than its operations is known.
  public init(seconds: Double, counts: StoreCounts, inFlight: UInt64 = 0) {
    self.seconds = seconds
    self.counts = counts
    self.inFlight = inFlight
  }

  /// The interval's length, as it is counted with.
  var boundedSeconds: Double {
    seconds.isFinite ? min(max(seconds, 0), 3600) : 0
  }

  /// Bytes read and written per second.
  var bytesPerSecond: Double {
    guard boundedSeconds > 0 else { return 0 }
    return (Double(counts.bytesRead) + Double(counts.bytesWritten)) / boundedSeconds
  }

  /// Operations that were in flight, on average over the interval: by Little's law the time spent in all
  /// of those that ended, divided by the interval.
  public var meanQueueDepth: Double {
    guard boundedSeconds > 0 else { return 0 }
    return counts.latencies.reduce(0) { $0 + $1.totalNanoseconds } / 1e9 / boundedSeconds
  }
}

/// What of a store's room for extents is taken.
public struct SpaceUse: Sendable, Equatable {
  /// Room for extents, in bytes.
  public var capacityBytes: UInt64
  /// Taken by extents, in bytes.
  public var usedBytes: UInt64

  /// So many bytes of so many.
  public init(usedBytes: UInt64, capacityBytes: UInt64) {
    self.usedBytes = usedBytes
    self.capacityBytes = capacityBytes
  }

  /// The share that is taken, 0…1; 0 of a store without room.
  var fraction: Double {
    capacityBytes == 0 ? 0 : min(1, Double(usedBytes) / Double(capacityBytes))
  }
}

/// Whether a remote store can be reached.
public enum ConnectionState: String, Sendable, Codable, CaseIterable {
  /// It can.
  case connected
  /// No connection stands.
  case disconnected
}
