/// What can be traded at the service. Each is a setting.
public struct ServiceTuning: Sendable, Equatable {
  /// Whether replies in chunks are offered, structured or extended.
  public var offersChunks = true
  /// The longest time, in microseconds, that a reactor with at most one request in flight polls before it
  /// sleeps; 0: it sleeps at once.
  public var busyPollMicroseconds = 0

  /// The defaults.
  public init() {}
}
