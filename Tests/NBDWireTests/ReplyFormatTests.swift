import NBDWire
import Testing

/// Golden bytes of every reply.
@Suite struct ReplyFormatTests {
  static let cookie: UInt64 = 0x0102_0304_0506_0708
  static let cookieBytes: [UInt8] = [1, 2, 3, 4, 5, 6, 7, 8]
  static let requestOffset: UInt64 = 0x2000
  static let requestOffsetBytes: [UInt8] = [0, 0, 0, 0, 0, 0, 0x20, 0]

  /// A chunk's header as the protocol draws it.
  static func header(_ format: ReplyFormat, _ type: UInt16, length: Int, done: Bool) -> [UInt8] {
    let start: [UInt8] = format == .extended ? [0x6e, 0x8a, 0x27, 0x8c] : [0x66, 0x8e, 0x33, 0xef]
    let common = start + [0, done ? 1 : 0] + big(type) + cookieBytes
    return format == .extended
      ? common + requestOffsetBytes + big(UInt64(length)) : common + big(UInt32(length))
  }

  @safe static func encode(_ encode: (UnsafeMutableRawPointer) -> Int) -> [UInt8] {
    written(capacity: ReplyFormat.replyBytesMax, encode)
  }

  @Test func sizes() {
    #expect(ReplyFormat.allCases.map(\.headerBytes) == [16, 20, 32])
    #expect(ReplyFormat.allCases.map(\.readHeaderBytes) == [16, 28, 40])
  }

  @Test func success() {
    let bytes = ReplyFormat.allCases.map { format in
      Self.encode {
        unsafe format.success(into: $0, cookie: Self.cookie, requestOffset: Self.requestOffset)
      }
    }
    #expect(bytes[0] == [0x67, 0x44, 0x66, 0x98, 0, 0, 0, 0] + Self.cookieBytes)
    #expect(bytes[1] == Self.header(.structured, 0, length: 0, done: true))
    #expect(bytes[2] == Self.header(.extended, 0, length: 0, done: true))
    #expect(bytes.map(\.count) == [16, 20, 32])
  }

  static func read(_ format: ReplyFormat, length: UInt32, done: Bool) -> [UInt8] {
    encode {
      unsafe format.readHeader(
        into: $0, cookie: cookie, requestOffset: requestOffset, offset: 0x3000, length: length, done: done)
    }
  }

  @Test(arguments: [true, false])
  func readHeaders(done: Bool) {
    #expect(
      Self.read(.simple, length: 512, done: done) == [0x67, 0x44, 0x66, 0x98, 0, 0, 0, 0] + Self.cookieBytes)
    for format in [ReplyFormat.structured, .extended] {
      #expect(
        Self.read(format, length: 512, done: done)
          == Self.header(format, 1, length: 520, done: done) + [0, 0, 0, 0, 0, 0, 0x30, 0])
      #expect(Self.read(format, length: 512, done: done).count == format.readHeaderBytes)
    }
  }

  @Test func theLongestReadFitsItsLengthField() {
    #expect(
      Self.read(.structured, length: UInt32.max - 8, done: true).dropFirst(16).prefix(4)
        == [0xff, 0xff, 0xff, 0xff])
  }

  @Test func aReadOfLengthZeroIsAnsweredWithoutAnEmptyChunk() {
    for format in [ReplyFormat.structured, .extended] {
      #expect(Self.read(format, length: 0, done: false) == Self.header(format, 0, length: 0, done: true))
    }
    #expect(Self.read(.simple, length: 0, done: false).count == 16)
  }

  @Test(arguments: [true, false])
  func holes(done: Bool) {
    for format in [ReplyFormat.structured, .extended] {
      let bytes = Self.encode {
        unsafe format.hole(
          into: $0, cookie: Self.cookie, requestOffset: Self.requestOffset, offset: 0x3000,
          length: 0xfff0_0000, done: done)
      }
      #expect(
        bytes == Self.header(format, 2, length: 12, done: done) + [0, 0, 0, 0, 0, 0, 0x30, 0]
          + [0xff, 0xf0, 0, 0])
    }
  }

  static func failure(_ format: ReplyFormat, _ message: StaticString, done: Bool = true) -> [UInt8] {
    encode {
      unsafe format.error(
        into: $0, cookie: cookie, requestOffset: requestOffset, .noSpace, message: message, done: done)
    }
  }

  @Test func errors() {
    #expect(Self.failure(.simple, "full") == [0x67, 0x44, 0x66, 0x98, 0, 0, 0, 28] + Self.cookieBytes)
    for format in [ReplyFormat.structured, .extended] {
      #expect(
        Self.failure(format, "") == Self.header(format, 0x8001, length: 6, done: true) + [0, 0, 0, 28, 0, 0])
      #expect(
        Self.failure(format, "full", done: false)
          == Self.header(format, 0x8001, length: 10, done: false) + [0, 0, 0, 28, 0, 4] + Array("full".utf8))
    }
  }

  @Test func errorsAtAnOffset() {
    for format in ReplyFormat.allCases {
      let bytes = Self.encode {
        unsafe format.errorAtOffset(
          into: $0, cookie: Self.cookie, requestOffset: Self.requestOffset, offset: 0x3001, .io,
          message: "bad", done: true)
      }
      let simple = [0x67, 0x44, 0x66, 0x98, 0, 0, 0, 5] + Self.cookieBytes
      let fields: [UInt8] = [0, 0, 0, 5, 0, 3] + Array("bad".utf8) + [0, 0, 0, 0, 0, 0, 0x30, 1]
      let expected = Self.header(format, 0x8002, length: 17, done: true) + fields
      #expect(bytes == (format == .simple ? simple : expected))
    }
  }

  @Test func longMessagesAreCutBetweenCharacters() {
    // 255 bytes, then a character of two bytes, of which only the first would fit.
    let message: StaticString = """
      0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\
      0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\
      0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\
      0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdeéx
      """
    let bytes = Self.failure(.extended, message)
    #expect(bytes.count == 32 + 6 + 255)
    #expect(bytes.last == UInt8(ascii: "e"))
    #expect(bytes[36...37] == [0, 255])
    let offset = Self.encode {
      unsafe ReplyFormat.extended.errorAtOffset(
        into: $0, cookie: 0, requestOffset: 0, offset: 0, .io, message: message)
    }
    #expect(offset.count == 32 + 14 + 255)
  }

  @Test func errorNumbersAreThoseOfTheProtocol() {
    #expect(NBDErrno.allCases.map(\.rawValue) == [1, 5, 12, 22, 28, 75, 95, 108])
  }

  @Test func allocationStatusBits() {
    #expect(AllocationStatus.hole.rawValue == 1)
    #expect(AllocationStatus.zero.rawValue == 2)
  }
}
