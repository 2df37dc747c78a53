/// Bounds of the service (invariant 11), with the defaults of the settings.
public struct ServiceLimits: Sendable, Equatable {
  /// Clients connected at once, over all reactors; one more is turned away.
  public var connectionsMax = 1024
  /// Seconds that a handshake may take.
  public var handshakeSeconds = 10
  /// Requests in flight on one connection; beyond, the socket is not read.
  public var requestsPerConnectionMax = 256
  /// Bytes of payload in flight on one connection; beyond, the socket is not read. A single request may
  /// be larger.
  public var bytesPerConnectionMax = 40 << 20
  /// Bytes of payload in flight on one reactor.
  public var bytesPerReactorMax = 96 << 20
  /// Requests and their pieces in flight on one reactor.
  public var operationsPerReactorMax = 1024
  /// Seconds without progress after which a client that does not take its replies, or does not send the
  /// rest of a write, is dropped, if others wait for the memory that it holds.
  public var stalledSendSeconds = 10
  /// Bytes a second that such a client must move at least; fewer count as no progress.
  public var progressBytesPerSecond = 1 << 20

  /// Seconds that a request waits for a remote store whose server is away, or owes the answer; then it fails.
  public var remoteHoldSeconds = 30
  /// Bytes that a remote store may have acknowledged and not flushed: they are kept to be sent again. A
  /// multiple of 256 KiB, and more than 32 MiB.
  public var remoteUnflushedBytes = 64 << 20

  /// The defaults.
  public init() {}
}
