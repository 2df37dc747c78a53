/// What one thread of the data path did for the clients of one volume: how long requests took, and where.
///
/// 26 KiB. Noting a request takes four additions to memory that no other thread writes.
@frozen
@safe
public struct VolumeMeter: BitwiseCopyable, Sendable {
  /// Requests by operation, size and latency.
  public let requests: StoreMeter
  /// Requests by address.
  public let addresses: AddressMeter

  /// Counters at zero. They stay until `deallocate` is called.
  public static func allocate(volumeBytes: UInt64) -> VolumeMeter {
    VolumeMeter(
      requests: .allocate(),
      addresses: .allocate(bucketShift: AddressMeter.bucketShift(volumeBytes: volumeBytes)))
  }

  init(requests: StoreMeter, addresses: AddressMeter) {
    self.requests = requests
    self.addresses = addresses
  }

  /// Gives the memory back. Nobody may use any copy of this meter from now on.
  public func deallocate() {
    requests.deallocate()
    addresses.deallocate()
  }

  /// A request has succeeded.
  @inlinable
  public func succeed(_ operation: StoreOperation, offset: UInt64, bytes: UInt64, nanoseconds: UInt64) {
    requests.begin()
    requests.succeed(operation, bytes: bytes, nanoseconds: nanoseconds)
    if operation != .synchronize { addresses.note(offset: offset) }
  }

  /// A request has failed.
  @inlinable
  public func fail(_ operation: StoreOperation) {
    requests.begin()
    requests.fail(operation)
  }

  /// Requests that have ended so far: as long as it stays, nothing else has changed.
  public var ended: UInt64 { requests.begunCount }
}
