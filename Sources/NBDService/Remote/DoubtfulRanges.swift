/// Ranges that a server may still change on behalf of requests whose connection has broken, each until the
/// time when it is trusted not to do so any more.
struct DoubtfulRanges {
  private var entries: [(range: Range<UInt64>, until: UInt64)] = []

  /// Whether there are none.
  var isEmpty: Bool { entries.isEmpty }

  /// When the time of the first of them is over.
  var firstEnd: UInt64? { entries.first?.until }

  /// Adds ranges, for not less long than those before.
  ///
  /// - Parameter until: a time of `MonotonicClock`.
  mutating func add(_ ranges: [Range<UInt64>], until: UInt64) {
    for range in ranges { entries.append((range, until)) }
  }

  /// Forgets those whose time is over.
  ///
  /// - Returns: whether there were any.
  mutating func expire(at now: UInt64) -> Bool {
    guard let first = entries.first, first.until <= now else { return false }
    entries.removeAll { $0.until <= now }
    return true
  }

  /// Whether one of them has bytes of `range`.
  func overlap(_ range: Range<UInt64>) -> Bool {
    entries.contains { $0.range.overlaps(range) }
  }
}
