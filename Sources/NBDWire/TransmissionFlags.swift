/// What an export can do and demands, as the client is told when it opens it (proto.md "Transmission flags").
@frozen
public struct TransmissionFlags: OptionSet, Hashable, Sendable {
  /// The bits as they travel.
  public let rawValue: UInt16

  /// A set of bits, known or not.
  @inlinable
  public init(rawValue: UInt16) {
    self.rawValue = rawValue
  }

  /// Always set; the handshake adds it.
  public static let hasFlags = TransmissionFlags(rawValue: 1 << 0)
  /// Writes, trims and zeroing are refused with `NBDErrno.notPermitted`.
  public static let readOnly = TransmissionFlags(rawValue: 1 << 1)
  /// `FLUSH`.
  public static let sendFlush = TransmissionFlags(rawValue: 1 << 2)
  /// The flag `FUA` of every command.
  public static let sendFUA = TransmissionFlags(rawValue: 1 << 3)
  /// A hint that seeks are expensive.
  public static let rotational = TransmissionFlags(rawValue: 1 << 4)
  /// `TRIM`.
  public static let sendTrim = TransmissionFlags(rawValue: 1 << 5)
  /// `WRITE_ZEROES` and its flag `NO_HOLE`.
  public static let sendWriteZeroes = TransmissionFlags(rawValue: 1 << 6)
  /// The flag `DF` of reads; the handshake clears it unless structured replies were negotiated.
  public static let sendDontFragment = TransmissionFlags(rawValue: 1 << 7)
  /// A flush or FUA on one connection covers what was acknowledged on every other.
  public static let canMultiConnect = TransmissionFlags(rawValue: 1 << 8)
  /// `CACHE`.
  public static let sendCache = TransmissionFlags(rawValue: 1 << 10)
  /// The flag `FAST_ZERO` of `WRITE_ZEROES`; the handshake clears it without `sendWriteZeroes`.
  public static let sendFastZero = TransmissionFlags(rawValue: 1 << 11)

  /// The flags as they may be announced: the first bit set, and no flag whose condition does not hold.
  ///
  /// proto.md "Transmission flags": `SEND_DF` MUST be clear without structured replies, and
  /// `SEND_FAST_ZERO` without `SEND_WRITE_ZEROES`.
  public func announced(structuredReplies: Bool) -> TransmissionFlags {
    var flags = union(.hasFlags)
    if !structuredReplies { flags.remove(.sendDontFragment) }
    if !flags.contains(.sendWriteZeroes) { flags.remove(.sendFastZero) }
    return flags
  }
}
