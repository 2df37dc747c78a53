/// What one listener of the control API bears.
enum HTTPLimits {
  /// Largest body of a request that is accepted.
  static let bodyBytes = 64 << 10
  /// A body without a declared length is read and thrown away up to here, so that the client gets to see
  /// the refusal; beyond, the connection is closed.
  static let discardedBytes = 1 << 20
  /// Connections at a time; further ones are closed at once.
  static let connections: UInt32 = 64
  /// Silence after which a connection is closed.
  static let idleSeconds: UInt32 = 15
  /// Memory of one connection: request line, headers and buffers.
  static let connectionBytes = 32 << 10
  /// How long `stop` waits for requests that are being answered.
  static let stopMilliseconds = 5_000
}
