/// The commands of the transmission phase (proto.md "Request types").
@frozen
public enum Command: UInt16, Hashable, Sendable, CaseIterable {
  case read = 0
  case write = 1
  case disconnect = 2
  case flush = 3
  case trim = 4
  case cache = 5
  case writeZeroes = 6
  case blockStatus = 7
}

/// The flags of a request (proto.md "Command flags").
@frozen
public struct CommandFlags: OptionSet, Hashable, Sendable {
  /// The bits as they travel.
  public let rawValue: UInt16

  /// A set of bits, known or not.
  @inlinable
  public init(rawValue: UInt16) {
    self.rawValue = rawValue
  }

  /// The reply means that what the command wrote is durable.
  @inlinable public static var forceUnitAccess: CommandFlags { CommandFlags(rawValue: 1 << 0) }
  /// WRITE_ZEROES must leave the range allocated.
  @inlinable public static var noHole: CommandFlags { CommandFlags(rawValue: 1 << 1) }
  /// READ must be answered with one content chunk.
  @inlinable public static var dontFragment: CommandFlags { CommandFlags(rawValue: 1 << 2) }
  /// BLOCK_STATUS must be answered with one descriptor per context.
  @inlinable public static var requestOne: CommandFlags { CommandFlags(rawValue: 1 << 3) }
  /// WRITE_ZEROES must be fast or fail with `NBDErrno.notSupported`.
  @inlinable public static var fastZero: CommandFlags { CommandFlags(rawValue: 1 << 4) }
  /// Extended headers only: `length` bytes of payload follow the header.
  @inlinable public static var payloadLength: CommandFlags { CommandFlags(rawValue: 1 << 5) }
}

/// One request of the client, decoded but not judged (proto.md "Request message").
///
/// ```
/// offset 0      4       6         8        16       24
///        magic  flags   command   cookie   offset   length
///        u32    u16     u16       u64      u64      u32 compact, u64 extended
/// ```
@frozen
public struct RequestHeader: Hashable, Sendable {
  /// As the client sent them, known or not.
  public var flags: CommandFlags
  /// The command's number; may be one that we do not know.
  public var commandNumber: UInt16
  /// Chosen by the client; every reply carries it unchanged.
  public var cookie: UInt64
  /// Bytes from the start of the export.
  public var offset: UInt64
  /// Bytes of the range or of the payload, see `RequestRules.payloadBytes(of:)`.
  public var length: UInt64

  /// Bytes of a header without extended headers.
  @inlinable public static var compactSize: Int { 28 }
  /// Bytes of a header with extended headers.
  @inlinable public static var extendedSize: Int { 32 }

  /// A request with any number for its command.
  @inlinable
  public init(flags: CommandFlags = [], commandNumber: UInt16, cookie: UInt64, offset: UInt64, length: UInt64)
  {
    self.flags = flags
    self.commandNumber = commandNumber
    self.cookie = cookie
    self.offset = offset
    self.length = length
  }

  /// A request with a command that we know.
  @inlinable
  public init(
    _ command: Command, flags: CommandFlags = [], cookie: UInt64 = 0, offset: UInt64 = 0, length: UInt64 = 0
  ) {
    self.init(
      flags: flags, commandNumber: command.rawValue, cookie: cookie, offset: offset, length: length)
  }

  /// The command, nil if we do not know it.
  @inlinable public var command: Command? { Command(rawValue: commandNumber) }

  /// Decodes `compactSize` bytes; nil if the magic number is wrong: the stream is out of step, disconnect.
  @inlinable
  public static func decode(compact bytes: UnsafeRawPointer) -> RequestHeader? {
    let magic = unsafe UInt32(bigEndian: bytes.loadUnaligned(as: UInt32.self))
    guard magic == 0x2560_9513 else { return nil }
    let length = unsafe UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: 24, as: UInt32.self))
    return unsafe RequestHeader(fieldsOf: bytes, length: UInt64(length))
  }

  /// Decodes `extendedSize` bytes; nil if the magic number is wrong: the stream is out of step, disconnect.
  @inlinable
  public static func decode(extended bytes: UnsafeRawPointer) -> RequestHeader? {
    let magic = unsafe UInt32(bigEndian: bytes.loadUnaligned(as: UInt32.self))
    guard magic == 0x21e4_1c71 else { return nil }
    let length = unsafe UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 24, as: UInt64.self))
    return unsafe RequestHeader(fieldsOf: bytes, length: length)
  }

  /// The fields that both forms have at the same place.
  @inlinable
  init(fieldsOf bytes: UnsafeRawPointer, length: UInt64) {
    self.init(
      flags: unsafe CommandFlags(
        rawValue: UInt16(bigEndian: bytes.loadUnaligned(fromByteOffset: 4, as: UInt16.self))),
      commandNumber: unsafe UInt16(bigEndian: bytes.loadUnaligned(fromByteOffset: 6, as: UInt16.self)),
      cookie: unsafe UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self)),
      offset: unsafe UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 16, as: UInt64.self)),
      length: length)
  }

  /// Writes the header as a client sends it and returns its size. `length` must fit 32 bits if compact.
  @inlinable
  public func encode(into bytes: UnsafeMutableRawPointer, isExtended: Bool) -> Int {
    let magic: UInt32 = isExtended ? 0x21e4_1c71 : 0x2560_9513
    unsafe bytes.storeBytes(of: magic.bigEndian, as: UInt32.self)
    unsafe bytes.storeBytes(of: flags.rawValue.bigEndian, toByteOffset: 4, as: UInt16.self)
    unsafe bytes.storeBytes(of: commandNumber.bigEndian, toByteOffset: 6, as: UInt16.self)
    unsafe bytes.storeBytes(of: cookie.bigEndian, toByteOffset: 8, as: UInt64.self)
    unsafe bytes.storeBytes(of: offset.bigEndian, toByteOffset: 16, as: UInt64.self)
    if isExtended {
      unsafe bytes.storeBytes(of: length.bigEndian, toByteOffset: 24, as: UInt64.self)
      return Self.extendedSize
    }
    unsafe bytes.storeBytes(of: UInt32(length).bigEndian, toByteOffset: 24, as: UInt32.self)
    return Self.compactSize
  }
}
