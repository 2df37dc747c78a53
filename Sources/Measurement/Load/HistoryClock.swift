/// The time that a history goes by: that of day, except that it never goes back.
///
/// A clock that is set back would have things happen twice in the same minute: then time goes on from where
/// it was, by the clock that does not jump, until that of day has caught up. Set forward, it leaves a gap.
public struct HistoryClock: Sendable {
  /// Now, in seconds since 1970.
  public private(set) var seconds: Double

  /// Clocks may differ by so much before it follows.
  private static let toleranceSeconds = 2.0

  /// Begins with the time of day.
  public init(wallSeconds: Double) {
    seconds = wallSeconds
  }

  /// Goes on.
  ///
  /// - Parameters:
  ///   - elapsedSeconds: since the last time, on a clock that does not jump.
  ///   - wallSeconds: the time of day.
  public mutating func advance(elapsedSeconds: Double, wallSeconds: Double) {
    seconds += max(0, elapsedSeconds)
    if wallSeconds > seconds + Self.toleranceSeconds { seconds = wallSeconds }
  }
}
