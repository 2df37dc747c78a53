/// What can be asked of a load.
public enum LoadMetric: String, Sendable, CaseIterable, Codable {
  /// Reads and writes a second.
  case iops
  /// Bytes read and written a second.
  case throughput
  /// The mean latency of reads and writes, in nanoseconds.
  case latency
}

/// What a volume's clients asked for, or what a store did, in one interval: 48 bytes.
public struct LoadSample: Sendable, Equatable {
  /// Seconds that were watched; 0: none, and nothing is known.
  public var seconds: Float = 0
  /// Reads that succeeded.
  public var reads: UInt32 = 0
  /// Writes that succeeded.
  public var writes: UInt32 = 0
  /// Flushes, or of a store synchronizations.
  public var synchronizations: UInt32 = 0
  /// Reads and writes of at most 4 KiB.
  public var small: UInt32 = 0
  /// Those of at most 64 KiB.
  public var medium: UInt32 = 0
  /// Bytes that were read.
  public var bytesRead: UInt64 = 0
  /// Bytes that were written.
  public var bytesWritten: UInt64 = 0
  /// The mean latency of reads and writes.
  public var meanNanoseconds: Float = 0
  /// The latency that 99 of 100 of them did not exceed.
  public var p99Nanoseconds: Float = 0

  /// Nothing is known.
  public init() {}

  /// What was counted in so many seconds; numbers that do not fit count as the largest that do.
  public init(_ counts: StoreCounts, seconds: Double) {
    self.seconds = Float(seconds)
    var transfers = LatencyHistogram()
    for series in LatencySeries.all {
      let histogram = counts[series]
      guard let size = series.size else {
        synchronizations = UInt32(clamping: histogram.count)
        continue
      }
      if series.operation == .read { reads = Self.sum(reads, histogram.count) }
      if series.operation == .write { writes = Self.sum(writes, histogram.count) }
      if size == .small { small = Self.sum(small, histogram.count) }
      if size == .medium { medium = Self.sum(medium, histogram.count) }
      transfers.merge(histogram)
    }
    bytesRead = counts.bytesRead
    bytesWritten = counts.bytesWritten
    meanNanoseconds = Float(transfers.meanNanoseconds ?? 0)
    p99Nanoseconds = Float(transfers.quantile(0.99) ?? 0)
  }

  private static func sum(_ left: UInt32, _ right: UInt64) -> UInt32 {
    UInt32(clamping: UInt64(left) + min(right, UInt64(UInt32.max)))
  }

  /// Reads and writes.
  public var transfers: UInt64 { UInt64(reads) + UInt64(writes) }

  /// Those of more than 64 KiB.
  public var large: UInt64 { transfers - min(transfers, UInt64(small) + UInt64(medium)) }

  /// The share of reads among reads and writes; nil if there were none.
  public var readShare: Double? { transfers > 0 ? Double(reads) / Double(transfers) : nil }

  /// The value of a metric; nil if nothing is known, and of a latency without reads and writes.
  public subscript(metric: LoadMetric) -> Double? {
    guard !isMissing else { return nil }
    switch metric {
    case .iops: return Double(transfers) / Double(seconds)
    case .throughput: return (Double(bytesRead) + Double(bytesWritten)) / Double(seconds)
    case .latency: return transfers > 0 ? Double(meanNanoseconds) : nil
    }
  }
}

extension LoadSample: HistoryEntry {
  /// A step of which nothing is known.
  public static let missing = LoadSample()

  /// Whether nothing is known.
  public var isMissing: Bool { seconds <= 0 }

  /// Adds what happened in another interval. The 99th percentile of both is not known any more: it is stated
  /// as the larger of the two, which it can not exceed.
  public mutating func merge(_ other: LoadSample) {
    let all = Double(transfers) + Double(other.transfers)
    if all > 0 {
      let total =
        Double(meanNanoseconds) * Double(transfers)
        + Double(other.meanNanoseconds) * Double(other.transfers)
      meanNanoseconds = Float(total / all)
    }
    p99Nanoseconds = max(p99Nanoseconds, other.p99Nanoseconds)
    seconds += other.seconds
    reads = Self.sum(reads, UInt64(other.reads))
    writes = Self.sum(writes, UInt64(other.writes))
    synchronizations = Self.sum(synchronizations, UInt64(other.synchronizations))
    small = Self.sum(small, UInt64(other.small))
    medium = Self.sum(medium, UInt64(other.medium))
    bytesRead &+= other.bytesRead
    bytesWritten &+= other.bytesWritten
  }

  /// Writes all numbers down.
  public func write(to bytes: inout ByteWriter) {
    bytes.append(seconds.bitPattern)
    for count in [reads, writes, synchronizations, small, medium] { bytes.append(count) }
    bytes.append(bytesRead)
    bytes.append(bytesWritten)
    bytes.append(meanNanoseconds.bitPattern)
    bytes.append(p99Nanoseconds.bitPattern)
  }

  /// Reads what was written; nil if it makes no sense.
  public init?(from bytes: inout ByteReader) {
    guard let seconds = bytes.take(UInt32.self).map(Float.init(bitPattern:)),
      let reads = bytes.take(UInt32.self),
      let writes = bytes.take(UInt32.self), let synchronizations = bytes.take(UInt32.self),
      let small = bytes.take(UInt32.self), let medium = bytes.take(UInt32.self),
      let bytesRead = bytes.take(UInt64.self), let bytesWritten = bytes.take(UInt64.self),
      let mean = bytes.take(UInt32.self).map(Float.init(bitPattern:)),
      let p99 = bytes.take(UInt32.self).map(Float.init(bitPattern:)),
      seconds.isFinite, seconds >= 0, mean.isFinite, mean >= 0, p99.isFinite, p99 >= 0
    else { return nil }
    self.seconds = seconds
    self.reads = reads
    self.writes = writes
    self.synchronizations = synchronizations
    self.small = small
    self.medium = medium
    self.bytesRead = bytesRead
    self.bytesWritten = bytesWritten
    meanNanoseconds = mean
    p99Nanoseconds = p99
  }
}
