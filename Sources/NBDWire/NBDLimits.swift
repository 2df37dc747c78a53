/// Bounds that the protocol itself sets, and the defaults that follow from it.
public enum NBDLimits {
  /// Bytes of a string: export name, context name, message (proto.md "Conventions": MUST be no longer).
  public static let stringBytesMax = 4096
  /// Bytes of a message that we send; proto.md "Conventions": a string SHOULD be no longer.
  public static let messageBytesMax = 256
  /// Bytes of one READ or WRITE: the length that proto.md "Block size constraints" calls portable.
  public static let payloadBytesDefault: UInt32 = 32 << 20
  /// The port that IANA reserved for NBD.
  public static let portDefault: UInt16 = 10809
}

/// What one client may ask of one handshake. Time is bounded by whoever drives the handshake.
public struct HandshakeLimits: Hashable, Sendable {
  /// Bytes of option data in all. A client that announces more is disconnected.
  public var optionBytesMax: Int
  /// Options in all. A client that sends more is disconnected.
  public var optionsMax: Int
  /// Bytes of one option that are kept in memory. A longer option is skipped and answered TOO_BIG.
  public var optionBytesKeptMax: Int
  /// Bytes of replies that may wait to be sent; above it no further option is taken.
  public var outputBytesHigh: Int

  /// A thousand exports can be asked about with names of ordinary length.
  public static let optionBytesMaxDefault = 1 << 20
  /// Far more than any client sends, and few enough to bound the time that one client takes.
  public static let optionsMaxDefault = 1024
  /// Room for the longest name and several of the longest queries.
  public static let optionBytesKeptMaxDefault = 32 << 10
  /// What a socket buffer takes at once.
  public static let outputBytesHighDefault = 64 << 10

  /// The defaults suit every client that is known.
  public init(
    optionBytesMax: Int = optionBytesMaxDefault, optionsMax: Int = optionsMaxDefault,
    optionBytesKeptMax: Int = optionBytesKeptMaxDefault, outputBytesHigh: Int = outputBytesHighDefault
  ) {
    self.optionBytesMax = optionBytesMax
    self.optionsMax = optionsMax
    self.optionBytesKeptMax = optionBytesKeptMax
    self.outputBytesHigh = outputBytesHigh
  }
}
