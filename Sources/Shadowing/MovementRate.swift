/// How fast something moves: bytes of the last ten seconds, by the second.
public struct MovementRate: Sendable {
  private var buckets = [UInt64](repeating: 0, count: Self.seconds)
  private var last: UInt64 = 0
  private var first: UInt64?

  private static let seconds = 10

  /// Nothing has moved.
  public init() {}

  /// Bytes have been moved.
  ///
  /// - Parameter nanoseconds: the time on a clock that does not jump.
  public mutating func add(_ bytes: UInt64, at nanoseconds: UInt64) {
    advance(to: nanoseconds / 1_000_000_000)
    buckets[Int(last % UInt64(Self.seconds))] += bytes
  }

  /// Bytes per second over the last ten seconds, or since the first bytes if that is less.
  public mutating func bytesPerSecond(at nanoseconds: UInt64) -> Double {
    let now = nanoseconds / 1_000_000_000
    advance(to: now)
    guard let first else { return 0 }
    let seconds = min(UInt64(Self.seconds), now - first + 1)
    return Double(buckets.reduce(0, +)) / Double(seconds)
  }

  private mutating func advance(to second: UInt64) {
    guard first != nil else {
      first = second
      last = second
      return
    }
    guard second > last else { return }
    for passed in 1...min(second - last, UInt64(Self.seconds)) {
      buckets[Int((last + passed) % UInt64(Self.seconds))] = 0
    }
    last = second
  }
}
