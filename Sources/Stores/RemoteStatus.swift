import Platform

/// How it stands between a remote store and its server.
public struct RemoteStatus: Sendable, Equatable {
  /// The states of a connection.
  public enum State: String, Sendable, Codable, CaseIterable {
    /// Requests are answered.
    case connected
    /// The connection is broken, and is tried again and again.
    case reconnecting
    /// The store is not used any more, until the daemon is started again.
    case refused
  }

  /// The state.
  public var state: State
  /// Since when, a time of `MonotonicClock`.
  public var sinceNanoseconds: UInt64
  /// Connections that broke since the daemon started.
  public var breaks: UInt64
  /// Why the last connection broke or could not be had; empty if nothing has gone wrong.
  public var lastError: String

  /// Takes everything as it is.
  public init(state: State, sinceNanoseconds: UInt64, breaks: UInt64 = 0, lastError: String = "") {
    self.state = state
    self.sinceNanoseconds = sinceNanoseconds
    self.breaks = breaks
    self.lastError = lastError
  }

  /// Nanoseconds since the state was entered. It looks at the clock itself: a time that was taken before the
  /// status could lie before `sinceNanoseconds`.
  public var ageNanoseconds: UInt64 { MonotonicClock.nanoseconds() - sinceNanoseconds }
}
