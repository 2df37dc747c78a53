public import ExtentMap
public import NBDWire

/// A request as it enters the I/O path. The range is not empty unless it is a flush, and lies within the
/// volume.
public struct Request {
  /// The map of the volume.
  public var view: ExtentMapView
  /// First byte, from the start of the volume.
  public var offset: UInt64
  /// Bytes.
  public var length: UInt64
  /// How it is to be done.
  public var flags: OperationFlags
  /// The client's name for it.
  public var cookie: UInt64
  /// Who asked: comes back in the operation.
  public var owner: UInt64
  /// The volume's size: a trim or zero up to the end covers the last extent whole.
  public var volumeBytes: UInt64

  /// A request; nothing is checked.
  public init(
    view: ExtentMapView, offset: UInt64, length: UInt64, flags: OperationFlags, cookie: UInt64,
    owner: UInt64, volumeBytes: UInt64
  ) {
    self.view = view
    self.offset = offset
    self.length = length
    self.flags = flags
    self.cookie = cookie
    self.owner = owner
    self.volumeBytes = volumeBytes
  }

  /// An accepted request of a client.
  ///
  /// - Parameter hasChunks: whether replies can come in pieces.
  public init(
    _ header: RequestHeader, view: ExtentMapView, volumeBytes: UInt64, owner: UInt64, hasChunks: Bool
  ) {
    self.init(
      view: view, offset: header.offset, length: header.length, flags: [], cookie: header.cookie,
      owner: owner, volumeBytes: volumeBytes)
    if header.commandNumber == Command.read.rawValue {
      if hasChunks && !header.flags.contains(.dontFragment) { flags = .chunked }
      return
    }
    if header.flags.contains(.forceUnitAccess) { flags.insert(.durable) }
    if header.flags.contains(.noHole) { flags.insert(.keepAllocated) }
    if header.flags.contains(.fastZero) { flags.insert(.fastOnly) }
  }
}
