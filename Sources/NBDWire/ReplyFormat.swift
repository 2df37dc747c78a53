/// The form that every reply of a connection has, and its encoders. Chosen once, by
/// `Negotiated.replyFormat`.
///
/// Each encoder writes at `bytes`, where `replyBytesMax` bytes must be free, and returns how many it wrote.
/// `cookie` and `requestOffset` are those of the request that is answered.
///
/// ```
/// simple      magic u32 │ error u32 │ cookie u64                                        16 bytes
/// structured  magic u32 │ flags u16 │ type u16 │ cookie u64 │ length u32                20 bytes
/// extended    magic u32 │ flags u16 │ type u16 │ cookie u64 │ offset u64 │ length u64   32 bytes
/// ```
///
/// Once structured replies were negotiated every reply is a chunk: a READ MUST NOT get a simple reply, and
/// for the others four bytes are a small price for a stream that can be read without knowing the requests
/// (proto.md "Structured reply chunk message"). With extended headers a simple reply is never allowed.
@frozen
public enum ReplyFormat: UInt8, Hashable, Sendable, CaseIterable {
  case simple
  case structured
  case extended

  /// Bytes of the longest reply that an encoder here writes: an extended error with offset and message.
  @inlinable public static var replyBytesMax: Int { 32 + 4 + 2 + 256 + 8 }

  /// Bytes in front of the payload of every reply.
  @inlinable public var headerBytes: Int {
    switch self {
    case .simple: 16
    case .structured: 20
    case .extended: 32
    }
  }

  /// Bytes in front of the data that a READ of at least one byte asked for.
  @inlinable public var readHeaderBytes: Int {
    self == .simple ? headerBytes : headerBytes + 8
  }

  /// Whether a READ may be answered in several pieces, and zeros without sending them.
  @inlinable public var hasChunks: Bool { self != .simple }

  /// Success, no data: the whole reply to anything but a READ, and the end of a READ whose last chunk was not
  /// marked as the last.
  @inlinable
  public func success(into bytes: UnsafeMutableRawPointer, cookie: UInt64, requestOffset: UInt64) -> Int {
    guard hasChunks else { return unsafe simpleReply(into: bytes, error: 0, cookie: cookie) }
    return unsafe chunk(
      .none, into: bytes, cookie: cookie, requestOffset: requestOffset, payloadBytes: 0, done: true)
  }

  /// What goes in front of `length` bytes of data read at `offset`.
  ///
  /// Simple replies have one piece only, so that `offset` and `done` mean nothing there. A content chunk must
  /// have at least one byte: for a READ of length 0 this is the whole reply.
  @inlinable
  public func readHeader(
    into bytes: UnsafeMutableRawPointer, cookie: UInt64, requestOffset: UInt64, offset: UInt64,
    length: UInt32, done: Bool
  ) -> Int {
    guard hasChunks, length > 0 else {
      return unsafe success(into: bytes, cookie: cookie, requestOffset: requestOffset)
    }
    let header = unsafe chunk(
      .offsetData, into: bytes, cookie: cookie, requestOffset: requestOffset,
      payloadBytes: 8 + UInt64(length), done: done)
    unsafe bytes.storeBytes(of: offset.bigEndian, toByteOffset: header, as: UInt64.self)
    return header + 8
  }

  /// A whole chunk that says that `length` bytes at `offset` read as zeros. Not for `simple`.
  ///
  /// `length` must not be 0, and a READ with the flag DF must not get one.
  @inlinable
  public func hole(
    into bytes: UnsafeMutableRawPointer, cookie: UInt64, requestOffset: UInt64, offset: UInt64,
    length: UInt32, done: Bool
  ) -> Int {
    precondition(hasChunks && length > 0, "a hole needs a chunk, and a chunk at least one byte")
    let header = unsafe chunk(
      .offsetHole, into: bytes, cookie: cookie, requestOffset: requestOffset, payloadBytes: 12, done: done)
    unsafe bytes.storeBytes(of: offset.bigEndian, toByteOffset: header, as: UInt64.self)
    unsafe bytes.storeBytes(of: length.bigEndian, toByteOffset: header + 8, as: UInt32.self)
    return header + 12
  }

  /// The failure of a whole request. Simple replies have no room for the message.
  ///
  /// `done` is false only if further chunks of the same reply follow.
  public func error(
    into bytes: UnsafeMutableRawPointer, cookie: UInt64, requestOffset: UInt64, _ errno: NBDErrno,
    message: StaticString = "", done: Bool = true
  ) -> Int {
    guard hasChunks else {
      return unsafe simpleReply(into: bytes, error: errno.rawValue, cookie: cookie)
    }
    let messageBytes = Self.messageBytes(message)
    let header = unsafe chunk(
      .error, into: bytes, cookie: cookie, requestOffset: requestOffset,
      payloadBytes: UInt64(6 + messageBytes), done: done)
    return unsafe header + errorFields(into: bytes + header, errno, message, messageBytes)
  }

  /// The failure of a request at `offset`, which must lie within it. Simple replies cannot say where.
  public func errorAtOffset(
    into bytes: UnsafeMutableRawPointer, cookie: UInt64, requestOffset: UInt64, offset: UInt64,
    _ errno: NBDErrno, message: StaticString = "", done: Bool = true
  ) -> Int {
    guard hasChunks else {
      return unsafe simpleReply(into: bytes, error: errno.rawValue, cookie: cookie)
    }
    let messageBytes = Self.messageBytes(message)
    let header = unsafe chunk(
      .errorOffset, into: bytes, cookie: cookie, requestOffset: requestOffset,
      payloadBytes: UInt64(14 + messageBytes), done: done)
    let end = unsafe header + errorFields(into: bytes + header, errno, message, messageBytes)
    unsafe bytes.storeBytes(of: offset.bigEndian, toByteOffset: end, as: UInt64.self)
    return end + 8
  }
}

/// The types of a chunk (proto.md "Structured reply types").
@frozen
@usableFromInline
enum ChunkType: UInt16 {
  case none = 0
  case offsetData = 1
  case offsetHole = 2
  case blockStatus = 5
  case blockStatusExtended = 6
  case error = 0x8001
  case errorOffset = 0x8002
}

extension ReplyFormat {
  @inlinable
  func simpleReply(into bytes: UnsafeMutableRawPointer, error: UInt32, cookie: UInt64) -> Int {
    unsafe bytes.storeBytes(of: UInt32(0x6744_6698).bigEndian, as: UInt32.self)
    unsafe bytes.storeBytes(of: error.bigEndian, toByteOffset: 4, as: UInt32.self)
    unsafe bytes.storeBytes(of: cookie.bigEndian, toByteOffset: 8, as: UInt64.self)
    return 16
  }

  /// The header of a chunk. `payloadBytes` must fit 32 bits unless the format is extended.
  @inlinable
  func chunk(
    _ type: ChunkType, into bytes: UnsafeMutableRawPointer, cookie: UInt64, requestOffset: UInt64,
    payloadBytes: UInt64, done: Bool
  ) -> Int {
    let magic: UInt32 = self == .extended ? 0x6e8a_278c : 0x668e_33ef
    unsafe bytes.storeBytes(of: magic.bigEndian, as: UInt32.self)
    unsafe bytes.storeBytes(of: UInt16(done ? 1 : 0).bigEndian, toByteOffset: 4, as: UInt16.self)
    unsafe bytes.storeBytes(of: type.rawValue.bigEndian, toByteOffset: 6, as: UInt16.self)
    unsafe bytes.storeBytes(of: cookie.bigEndian, toByteOffset: 8, as: UInt64.self)
    guard self == .extended else {
      unsafe bytes.storeBytes(of: UInt32(payloadBytes).bigEndian, toByteOffset: 16, as: UInt32.self)
      return 20
    }
    unsafe bytes.storeBytes(of: requestOffset.bigEndian, toByteOffset: 16, as: UInt64.self)
    unsafe bytes.storeBytes(of: payloadBytes.bigEndian, toByteOffset: 24, as: UInt64.self)
    return 32
  }

  /// The start of every error payload: number, length of the message, message.
  private func errorFields(
    into bytes: UnsafeMutableRawPointer, _ errno: NBDErrno, _ message: StaticString, _ messageBytes: Int
  ) -> Int {
    unsafe bytes.storeBytes(of: errno.rawValue.bigEndian, as: UInt32.self)
    unsafe bytes.storeBytes(of: UInt16(messageBytes).bigEndian, toByteOffset: 4, as: UInt16.self)
    message.withUTF8Buffer { text in
      for index in 0..<messageBytes {
        unsafe bytes.storeBytes(of: text[index], toByteOffset: 6 + index, as: UInt8.self)
      }
    }
    return 6 + messageBytes
  }

  /// How many bytes of a message are sent: all that fit, and never half a character.
  private static func messageBytes(_ message: StaticString) -> Int {
    message.withUTF8Buffer { text in
      var count = min(text.count, NBDLimits.messageBytesMax)
      while count < text.count, unsafe text[count] & 0xc0 == 0x80 { count -= 1 }
      return count
    }
  }
}
