/// What a server must do with a request.
@frozen
public enum Verdict: Hashable, Sendable {
  /// Carry it out.
  case accept
  /// Consume its payload (`RequestRules.payloadBytes(of:)`), then answer with this error.
  case reject(NBDErrno)
  /// The client is done (`DISC`): finish the requests in flight, then close. There is no reply.
  case finish
  /// The client broke a rule in a way that leaves no other answer: close.
  case disconnect
}

/// The rules of one connection, made once when the transmission phase begins.
///
/// Sources: proto.md "Command flags", "Request types", "Error values", "Block size constraints". Where the
/// protocol leaves the choice:
///
/// - A READ, WRITE, TRIM, CACHE or WRITE_ZEROES of length 0 within the export is accepted; it does nothing.
/// - A BLOCK_STATUS of length 0 is `invalid`, because a reply must describe at least one byte.
/// - TRIM, CACHE and WRITE_ZEROES may be longer than the payload maximum: no data travels.
/// - A payload longer than the maximum is consumed and answered up to `skipBytesMax`; beyond, `disconnect`.
@frozen
public struct RequestRules: Hashable, Sendable {
  /// Bytes of data in a READ or WRITE.
  public let payloadBytesMax: UInt64
  /// Bytes of a payload that are worth reading only to throw them away.
  public let skipBytesMax: UInt64
  /// WRITE, TRIM and WRITE_ZEROES are refused.
  public let isReadOnly: Bool
  /// Requests have extended headers.
  public let isExtended: Bool
  /// BLOCK_STATUS has something to answer.
  public let hasContexts: Bool

  /// The minimum block size, less one.
  @usableFromInline let alignmentMask: UInt64
  /// One byte for each command, the least significant for command 0: the flags that it may have.
  @usableFromInline let optionalFlags: UInt64
  /// Likewise the flags that it must have.
  @usableFromInline let requiredFlags: UInt64
  /// Bit n: command n is on offer.
  @usableFromInline let commands: UInt16

  /// The rules that follow from a negotiation.
  ///
  /// - Parameter skipBytesMax: see the property; by default twice the payload maximum, and not less than
  ///   the 32 MiB that proto.md "Block size constraints" says are no denial of service.
  public init(_ negotiated: Negotiated, skipBytesMax: UInt64? = nil) {
    let export = negotiated.export
    // A data chunk's length field has 32 bits and counts eight bytes of offset too.
    payloadBytesMax = UInt64(min(export.payloadMaximum, UInt32.max - 8))
    self.skipBytesMax =
      skipBytesMax ?? max(2 * UInt64(export.payloadMaximum), UInt64(NBDLimits.payloadBytesDefault))
    alignmentMask = UInt64(max(export.blockSizeMinimum, 1)) - 1
    isReadOnly = export.transmissionFlags.contains(.readOnly)
    isExtended = negotiated.extendedHeaders
    hasContexts = !negotiated.contexts.isEmpty

    var commands: UInt16 = 0
    var optionalFlags: UInt64 = 0
    var requiredFlags: UInt64 = 0
    for command in Command.allCases where Self.isOffered(command, negotiated) {
      let flags = Self.flags(of: command, negotiated)
      commands |= 1 << command.rawValue
      optionalFlags |= UInt64(flags.optional.rawValue) << (8 * UInt64(command.rawValue))
      requiredFlags |= UInt64(flags.required.rawValue) << (8 * UInt64(command.rawValue))
    }
    self.commands = commands
    self.optionalFlags = optionalFlags
    self.requiredFlags = requiredFlags
  }

  /// Whether the client may send the command at all. Each is exposed by a flag, the first ones always.
  private static func isOffered(_ command: Command, _ negotiated: Negotiated) -> Bool {
    let flags = negotiated.export.transmissionFlags
    switch command {
    case .read, .disconnect: return true
    case .write: return !flags.contains(.readOnly)
    case .flush: return flags.contains(.sendFlush)
    case .trim: return flags.isSuperset(of: .sendTrim) && !flags.contains(.readOnly)
    case .cache: return flags.contains(.sendCache)
    case .writeZeroes: return flags.contains(.sendWriteZeroes) && !flags.contains(.readOnly)
    case .blockStatus: return !negotiated.contexts.isEmpty
    }
  }

  /// proto.md "Command flags": FUA is valid for all commands; the others for the one that documents them,
  /// if their transmission flag was announced. With extended headers WRITE MUST have PAYLOAD_LEN, and no
  /// other command that we offer takes a payload.
  private static func flags(
    of command: Command, _ negotiated: Negotiated
  ) -> (optional: CommandFlags, required: CommandFlags) {
    let announced = negotiated.export.transmissionFlags
    var optional: CommandFlags = announced.contains(.sendFUA) ? .forceUnitAccess : []
    var required: CommandFlags = []
    switch command {
    case .read:
      if announced.contains(.sendDontFragment), negotiated.structuredReplies {
        optional.insert(.dontFragment)
      }
    case .write:
      if negotiated.extendedHeaders { required.insert(.payloadLength) }
    case .writeZeroes:
      optional.insert(.noHole)
      if announced.contains(.sendFastZero) { optional.insert(.fastZero) }
    case .blockStatus:
      optional.insert(.requestOne)
    case .disconnect, .flush, .trim, .cache:
      break
    }
    return (optional, required)
  }

  /// Bytes that follow the header, whatever the verdict (proto.md "Request message").
  ///
  /// Compact: the length of a WRITE. Extended: the length of whatever has the flag PAYLOAD_LEN.
  @inlinable
  public func payloadBytes(of header: RequestHeader) -> UInt64 {
    let hasPayload =
      isExtended
      ? header.flags.contains(.payloadLength) : header.commandNumber == Command.write.rawValue
    return hasPayload ? header.length : 0
  }

  /// What to do with a request, given the size that the volume has now.
  @inlinable
  public func judge(_ header: RequestHeader, sizeBytes: UInt64) -> Verdict {
    // Reads and writes that break no rule, the only ones that are worth a nanosecond.
    if header.commandNumber <= Command.write.rawValue,
      commands & (1 << header.commandNumber) != 0,
      hasValidFlags(header),
      header.length <= payloadBytesMax,
      header.length <= sizeBytes, header.offset <= sizeBytes &- header.length,
      (header.offset | header.length) & alignmentMask == 0
    {
      return .accept
    }
    return judgeInFull(header, sizeBytes: sizeBytes)
  }

  /// Only for commands below 8, which have a byte in the tables. Flags above bit 7 are never valid.
  @inlinable
  func hasValidFlags(_ header: RequestHeader) -> Bool {
    let shift = UInt64(header.commandNumber) &* 8
    let optional = UInt16(truncatingIfNeeded: (optionalFlags &>> shift) & 0xff)
    let required = UInt16(truncatingIfNeeded: (requiredFlags &>> shift) & 0xff)
    return (header.flags.rawValue ^ required) & ~optional == 0
  }

  /// Every rule, in the order in which a client would want to hear of it.
  @usableFromInline
  func judgeInFull(_ header: RequestHeader, sizeBytes: UInt64) -> Verdict {
    let command = header.command
    if command == .disconnect { return .finish }
    // Above the bound the stream cannot be brought back in step at a reasonable price.
    guard payloadBytes(of: header) <= skipBytesMax else { return .disconnect }
    guard let command else { return .reject(.invalid) }
    if isReadOnly, command.modifies { return .reject(.notPermitted) }
    guard commands & (1 << header.commandNumber) != 0, hasValidFlags(header) else {
      return .reject(.invalid)
    }
    if command == .flush {
      // proto.md "NBD_CMD_FLUSH": both are reserved and MUST be zero.
      return header.offset == 0 && header.length == 0 ? .accept : .reject(.invalid)
    }
    guard header.length <= sizeBytes, header.offset <= sizeBytes - header.length else {
      return .reject(command == .write || command == .writeZeroes ? .noSpace : .invalid)
    }
    guard (header.offset | header.length) & alignmentMask == 0 else { return .reject(.invalid) }
    switch command {
    case .read where header.length > payloadBytesMax:
      // proto.md "NBD_CMD_FLAG_DF": the one case for EOVERFLOW.
      return .reject(header.flags.contains(.dontFragment) ? .overflow : .invalid)
    case .write where header.length > payloadBytesMax, .blockStatus where header.length == 0:
      return .reject(.invalid)
    default:
      return .accept
    }
  }
}

extension Command {
  /// Whether it changes what the export reads as, or may.
  public var modifies: Bool {
    self == .write || self == .trim || self == .writeZeroes
  }
}
