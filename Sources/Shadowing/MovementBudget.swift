import Glibc

/// How much may be moved: a token bucket of bytes whose rate falls while moves make clients wait.
///
/// Pure: whoever spends hands the time in.
public struct MovementBudget: Sendable {
  /// Bytes per second while nobody else has anything to do.
  public private(set) var bytesPerSecond: Double
  /// The share of it that is given now, from `leastShare` to 1.
  public private(set) var share = 1.0
  /// Whether clients are at work: then transfers had better be short, since theirs wait behind them.
  public private(set) var isShared = false
  private var tokens: Double
  private var lastNanoseconds: UInt64?

  /// However slow clients get, moves go on at this share: an evacuation must end.
  public static let leastShare = 1.0 / 16
  /// The share with which moves begin beside clients.
  public static let firstShare = 1.0 / 8
  /// Foreground latency, as a multiple of the usual one, from which on the share shrinks.
  public static let shrinksFrom = 1.3
  /// And up to which it grows.
  public static let growsUpTo = 1.15
  /// Seconds in which the share shrinks to a third of what it was, or grows to three times as much.
  private static let shrinkSeconds = 0.3
  private static let growSeconds = 0.8
  /// Seconds of rate that can be saved up: a burst no longer than this.
  private static let burstSeconds = 0.1

  /// - Parameter bytesPerSecond: greater than 0.
  public init(bytesPerSecond: UInt64) {
    precondition(bytesPerSecond > 0)
    self.bytesPerSecond = Double(bytesPerSecond)
    tokens = self.bytesPerSecond * Self.burstSeconds
  }

  /// Takes how clients fare: the share shrinks and grows by factors, so that it soon finds its level whatever
  /// that is.
  ///
  /// - Parameters:
  ///   - slowdown: how many times as long as usual requests have taken; nil if there were none.
  ///   - seconds: the interval in which they did.
  ///   - isMoving: whether anything was being moved in it.
  public mutating func observe(slowdown: Double?, seconds: Double, isMoving: Bool) {
    isShared = slowdown != nil
    guard let slowdown else {
      share = 1
      return
    }
    if !isMoving {
      share = Self.firstShare
    } else if slowdown > Self.shrinksFrom {
      share = max(Self.leastShare, share * pow(3, -seconds / Self.shrinkSeconds))
    } else if slowdown < Self.growsUpTo {
      share = min(1, share * pow(3, seconds / Self.growSeconds))
    }
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
