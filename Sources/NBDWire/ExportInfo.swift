/// What the handshake tells a client about an export.
public struct ExportInfo: Hashable, Sendable {
  /// The canonical name, at most `NBDLimits.stringBytesMax` bytes of UTF-8.
  public var name: String
  /// For people; empty: none.
  public var description: String
  /// The size that the client is told; the volume may grow later.
  public var sizeBytes: UInt64
  /// What the export can do. The handshake adds and removes what depends on the negotiation.
  public var transmissionFlags: TransmissionFlags
  /// Bytes; a power of two up to 64 KiB. Requests must be aligned to it.
  public var blockSizeMinimum: UInt32
  /// Bytes; a power of two of at least 512. Requests aligned to it are the fast ones.
  public var blockSizePreferred: UInt32
  /// Bytes of data that one READ or WRITE may carry; a multiple of the minimum.
  public var payloadMaximum: UInt32
  /// Names of the metadata contexts on offer, such as `base:allocation`.
  public var metaContexts: [String]

  /// An export; the defaults are proto.md's own ("Block size constraints").
  public init(
    name: String, description: String = "", sizeBytes: UInt64, transmissionFlags: TransmissionFlags,
    blockSizeMinimum: UInt32 = 1, blockSizePreferred: UInt32 = 4096,
    payloadMaximum: UInt32 = NBDLimits.payloadBytesDefault, metaContexts: [String] = []
  ) {
    self.name = name
    self.description = description
    self.sizeBytes = sizeBytes
    self.transmissionFlags = transmissionFlags
    self.blockSizeMinimum = blockSizeMinimum
    self.blockSizePreferred = blockSizePreferred
    self.payloadMaximum = payloadMaximum
    self.metaContexts = metaContexts
  }
}

/// Where the handshake looks exports up. Asked while options are haggled, never during transmission.
public protocol ExportDirectory: AnyObject, Sendable {
  /// The canonical names, in the order in which `LIST` shows them.
  func exportNames() -> [String]
  /// The export of that name, nil if there is none. The empty name asks for the default export.
  func export(named name: String) -> ExportInfo?
}
