/// What the meters of one store say, added up: since the start, or between two readings.
public struct StoreCounts: Sendable, Equatable {
  /// Latencies of what succeeded, by `LatencySeries.rawValue`.
  public private(set) var latencies = [LatencyHistogram](
    repeating: LatencyHistogram(), count: LatencySeries.count)
  /// Operations that were begun.
  public var begun: UInt64 = 0
  /// Operations that failed, by `StoreOperation.rawValue`.
  public private(set) var failed = [UInt64](repeating: 0, count: StoreOperation.allCases.count)
  /// Bytes that were read.
  public var bytesRead: UInt64 = 0
  /// Bytes that were written.
  public var bytesWritten: UInt64 = 0
  /// Operations that were not done by their deadline.
  public var missedDeadlines: UInt64 = 0

  /// All zero.
  public init() {}

  /// Everything that the meters have counted so far.
  public init(reading meters: [StoreMeter]) {
    for meter in meters { add(meter) }
  }

  /// Adds everything that another meter has counted so far.
  public mutating func add(_ meter: StoreMeter) {
    for series in 0..<LatencySeries.count {
      for bin in 0..<LatencyScale.binCount {
        let count = meter.load(series * LatencyScale.binCount + bin)
        if count > 0 { latencies[series].add(count, toBin: bin) }
      }
    }
    for operation in failed.indices { failed[operation] &+= meter.load(StoreMeter.failed + operation) }
    bytesRead &+= meter.load(StoreMeter.bytesRead)
    bytesWritten &+= meter.load(StoreMeter.bytesWritten)
    missedDeadlines &+= meter.load(StoreMeter.missedDeadlines)
    // Last, so that what ends in between is not missed among the begun ones.
    begun &+= meter.load(StoreMeter.begun)
  }

  /// The latencies of one series.
  public subscript(series: LatencySeries) -> LatencyHistogram {
    get { latencies[series.rawValue] }
    set { latencies[series.rawValue] = newValue }
  }

  /// Operations of a kind that failed.
  public subscript(failed operation: StoreOperation) -> UInt64 {
    get { failed[Int(operation.rawValue)] }
    set { failed[Int(operation.rawValue)] = newValue }
  }

  /// Operations that succeeded.
  public var succeeded: UInt64 { latencies.reduce(0) { $0 &+ $1.count } }

  /// Operations that were begun and have not ended; 0 while a reading caught them half-way.
  public var inFlight: UInt64 {
    let ended = succeeded &+ failed.reduce(0, &+)
    return begun > ended ? begun - ended : 0
  }

  /// What was counted between an earlier reading and this one; nothing where that one has more.
  public func since(_ earlier: StoreCounts) -> StoreCounts {
    func difference(_ count: UInt64, _ before: UInt64) -> UInt64 { count - min(count, before) }
    var change = self
    for series in latencies.indices { change.latencies[series].subtract(earlier.latencies[series]) }
    for operation in failed.indices {
      change.failed[operation] = difference(failed[operation], earlier.failed[operation])
    }
    change.begun = difference(begun, earlier.begun)
    change.bytesRead = difference(bytesRead, earlier.bytesRead)
    change.bytesWritten = difference(bytesWritten, earlier.bytesWritten)
    change.missedDeadlines = difference(missedDeadlines, earlier.missedDeadlines)
    return change
  }
}
