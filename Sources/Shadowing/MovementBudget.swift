/// How much may be moved: a token bucket of bytes whose rate falls as foreground requests get slower.
///
/// Pure: whoever spends hands the time in.
public struct MovementBudget: Sendable {
  /// Bytes per second while clients do not suffer.
  public private(set) var bytesPerSecond: Double
  /// The share of it that is given now, from `leastShare` to 1.
  public private(set) var share = 1.0
  private var tokens: Double
  private var lastNanoseconds: UInt64?

  /// However slow clients get, moves go on at this share: an evacuation must end.
  public static let leastShare = 1.0 / 16
  /// Foreground latency, as a multiple of its baseline, up to which the full rate is given.
  public static let fullUpTo = 1.25
  /// And from which on the least is given.
  public static let leastFrom = 2.5
  /// Seconds of rate that can be saved up: a burst no longer than this.
  private static let burstSeconds = 0.1

  /// - Parameter bytesPerSecond: greater than 0.
  public init(bytesPerSecond: UInt64) {
    precondition(bytesPerSecond > 0)
    self.bytesPerSecond = Double(bytesPerSecond)
    tokens = self.bytesPerSecond * Self.burstSeconds
  }

  /// Foreground latency is so many times its baseline now. Between the two bounds the share falls linearly.
  public mutating func observe(slowdown: Double) {
    guard slowdown.isFinite else { return }
    let excess = (slowdown - Self.fullUpTo) / (Self.leastFrom - Self.fullUpTo)
    let wanted = 1 - (1 - Self.leastShare) * min(max(excess, 0), 1)
    // Down at once, up slowly: each second a quarter of what is missing.
    share = wanted < share ? wanted : share + (wanted - share) / 4
  }

  /// Changes the rate.
  public mutating func set(bytesPerSecond: UInt64) {
    precondition(bytesPerSecond > 0)
    self.bytesPerSecond = Double(bytesPerSecond)
  }

  /// Spends bytes that have been moved.
  ///
  /// - Parameter nanoseconds: the time on a clock that does not jump.
  /// - Returns: nanoseconds to wait before more is moved; 0 if there is budget left.
  public mutating func spend(_ bytes: UInt64, at nanoseconds: UInt64) -> UInt64 {
    let rate = bytesPerSecond * share
    if let last = lastNanoseconds, nanoseconds > last {
      tokens = min(tokens + rate * Double(nanoseconds - last) / 1e9, rate * Self.burstSeconds)
    }
    lastNanoseconds = nanoseconds
    tokens -= Double(bytes)
    return tokens >= 0 ? 0 : UInt64(-tokens / rate * 1e9)
  }
}
