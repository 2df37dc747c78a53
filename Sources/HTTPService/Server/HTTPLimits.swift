/// What one listener of the control API bears.
struct HTTPLimits: Sendable {
  /// Largest body of a request that is accepted.
  static let bodyBytes = 64 << 10
  /// A body without a declared length is read and thrown away up to here, so that the client gets to see
  /// the refusal; beyond, the connection is closed.
  static let discardedBytes = 1 << 20
  /// Memory of one connection: request line, headers and buffers.
  static let connectionBytes = 32 << 10

  /// Connections at a time; for a further one that gives way which has gone longest without a request, or
  /// else it waits until one is closed.
  var connections: UInt32 = 64
  /// Silence after which a connection is closed.
  var idleSeconds: UInt32 = 15
  /// How long `stop` waits for requests that are being answered.
  var stopMilliseconds = 5_000
}
