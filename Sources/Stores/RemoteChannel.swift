/// What the control plane may ask of a remote store while the data path has its connection.
public enum RemoteCommand: Sendable {
  /// Give the range back to the server. Only if it can be done now.
  case discard
  /// Make the range read as zeros.
  case zero
  /// Make everything written durable.
  case synchronize
}

/// The way to the reactor that owns a remote store's connection. A server may allow one connection only, so
/// the control plane has none of its own.
public protocol RemoteChannel: AnyObject, Sendable {
  /// Has a command carried out; `done` gets 0 or -errno. Any thread.
  func perform(
    _ command: RemoteCommand, offset: UInt64, length: UInt64, _ done: @escaping @Sendable (Int32) -> Void)
}
