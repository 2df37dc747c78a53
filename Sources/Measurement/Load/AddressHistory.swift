/// Requests by address in one step.
public struct AddressCounts: Sendable, Equatable {
  /// Of each bucket; empty: nothing is known.
  public var counts: [UInt32]

  /// Takes counts as they are.
  public init(_ counts: [UInt32]) {
    self.counts = counts
  }

  /// Has each bucket cover twice as many bytes.
  mutating func halve() {
    let old = counts
    for index in counts.indices {
      let pair = [2 * index, 2 * index + 1].filter { $0 < old.count }
      counts[index] = pair.reduce(0) { UInt32(clamping: UInt64($0) + UInt64(old[$1])) }
    }
  }
}

extension AddressCounts: HistoryEntry {
  /// A step of which nothing is known.
  public static let missing = AddressCounts([])

  /// Whether nothing is known.
  public var isMissing: Bool { counts.isEmpty }

  /// Adds what happened in another part of the same step.
  public mutating func merge(_ other: AddressCounts) {
    guard !isMissing else { return self = other }
    for index in counts.indices where index < other.counts.count {
      counts[index] = UInt32(clamping: UInt64(counts[index]) + UInt64(other.counts[index]))
    }
  }

  /// Writes the counts down.
  public func write(to bytes: inout ByteWriter) {
    for count in counts { bytes.append(count) }
  }

  /// Reads what was written; nil if it makes no sense.
  public init?(from bytes: inout ByteReader) {
    counts = []
    for _ in 0..<AddressMeter.bucketCount {
      guard let count = bytes.take(UInt32.self) else { return nil }
      counts.append(count)
    }
  }
}

/// Where in a volume requests were served, over time: an hour by the minute and two days by the hour. At most
/// 110 KB; steps without requests take nothing.
public struct AddressHistory: Sendable, Equatable {
  /// Minutes that are kept.
  public static let minutesKept = 60
  /// Hours that are kept.
  public static let hoursKept = 48

  /// log2 of the bytes of a bucket.
  public private(set) var bucketShift: Int
  /// By the minute.
  public private(set) var minutes = HistoryRing<AddressCounts>(capacity: minutesKept)
  /// By the hour.
  public private(set) var hours = HistoryRing<AddressCounts>(capacity: hoursKept)
  private var latest = [UInt64](repeating: 0, count: AddressMeter.bucketCount)

  /// Nothing is known.
  public init(bucketShift: Int) {
    self.bucketShift = bucketShift
  }

  /// Takes a reading of the meters, with the `bucketShift` that it has.
  ///
  /// - Parameters:
  ///   - totals: what each bucket has counted so far.
  ///   - second: the second that has just ended, counted from 1970.
  public mutating func record(_ totals: [UInt64], at second: Int) {
    let counts = zip(totals, latest).map { UInt32(clamping: $0 - min($0, $1)) }
    latest = totals
    guard counts.contains(where: { $0 > 0 }) else { return }
    minutes.add(AddressCounts(counts), at: second / LoadStep.minute.seconds)
    hours.add(AddressCounts(counts), at: second / LoadStep.hour.seconds)
  }

  /// Goes over to larger buckets; the meters must do so, too. Smaller ones are no use to what is known.
  public mutating func widen(to shift: Int) {
    while bucketShift < shift {
      bucketShift += 1
      minutes.updateAll { $0.halve() }
      hours.updateAll { $0.halve() }
    }
  }

  /// Writes all down.
  public func write(to bytes: inout ByteWriter) {
    bytes.append(UInt8(bucketShift))
    minutes.write(to: &bytes)
    hours.write(to: &bytes)
  }

  /// Reads what was written; nil if it makes no sense.
  ///
  /// - Parameter nowSeconds: since 1970.
  public init?(from bytes: inout ByteReader, nowSeconds: Int) {
    guard let shift = bytes.take(UInt8.self), shift < 64 else { return nil }
    self.init(bucketShift: Int(shift))
    guard minutes.read(from: &bytes, now: nowSeconds / LoadStep.minute.seconds),
      hours.read(from: &bytes, now: nowSeconds / LoadStep.hour.seconds)
    else { return nil }
  }
}
