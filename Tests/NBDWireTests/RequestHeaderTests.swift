import NBDWire
import Testing

@Suite struct RequestHeaderTests {
  static let compact: [UInt8] = [
    0x25, 0x60, 0x95, 0x13, 0x00, 0x11, 0x00, 0x06, 1, 2, 3, 4, 5, 6, 7, 8,
    0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18, 0xfe, 0xdc, 0xba, 0x98,
  ]
  static let extended: [UInt8] = [
    0x21, 0xe4, 0x1c, 0x71, 0x00, 0x21, 0x00, 0x01, 1, 2, 3, 4, 5, 6, 7, 8,
    0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18, 0xfe, 0xdc, 0xba, 0x98, 0, 0, 0, 1,
  ]

  /// Decodes from an odd address, as requests lie in a receive buffer.
  static func decode(_ bytes: [UInt8], extended: Bool) -> RequestHeader? {
    let shifted = [0] + bytes
    return unsafe shifted.withUnsafeBytes { buffer in
      guard let start = buffer.baseAddress else { return nil }
      return extended
        ? unsafe RequestHeader.decode(extended: start + 1) : unsafe RequestHeader.decode(compact: start + 1)
    }
  }

  @Test func compactHeaderIsDecoded() {
    #expect(Self.compact.count == RequestHeader.compactSize)
    let expected = RequestHeader(
      .writeZeroes, flags: [.forceUnitAccess, .fastZero], cookie: 0x0102_0304_0506_0708,
      offset: 0x1112_1314_1516_1718, length: 0xfedc_ba98)
    #expect(Self.decode(Self.compact, extended: false) == expected)
  }

  @Test func extendedHeaderIsDecoded() {
    #expect(Self.extended.count == RequestHeader.extendedSize)
    let expected = RequestHeader(
      .write, flags: [.forceUnitAccess, .payloadLength], cookie: 0x0102_0304_0506_0708,
      offset: 0x1112_1314_1516_1718, length: 0xfedc_ba98_0000_0001)
    #expect(Self.decode(Self.extended, extended: true) == expected)
  }

  @Test func aWrongMagicNumberIsNotARequest() {
    for bit in 0..<32 {
      var bytes = Self.compact
      bytes[bit / 8] ^= 1 << UInt8(bit % 8)
      #expect(Self.decode(bytes, extended: false) == nil)
      bytes = Self.extended
      bytes[bit / 8] ^= 1 << UInt8(bit % 8)
      #expect(Self.decode(bytes, extended: true) == nil)
    }
    #expect(Self.decode(Self.compact + [0, 0, 0, 0], extended: true) == nil)
    #expect(Self.decode(Self.extended, extended: false) == nil)
  }

  @Test func unknownCommandsAndFlagsSurviveDecoding() {
    var bytes = Self.compact
    bytes.replaceSubrange(4..<8, with: [0xff, 0xff, 0x12, 0x34])
    let header = Self.decode(bytes, extended: false)
    #expect(header?.command == nil)
    #expect(header?.commandNumber == 0x1234)
    #expect(header?.flags.rawValue == 0xffff)
  }

  @Test func encodingIsTheReverse() {
    for (bytes, isExtended) in [(Self.compact, false), (Self.extended, true)] {
      let header = Self.decode(bytes, extended: isExtended)
      let encoded = written(capacity: 32) { unsafe header?.encode(into: $0, isExtended: isExtended) ?? 0 }
      #expect(encoded == bytes)
    }
  }
}

/// What an encoder writes. It starts at an odd address, and must leave what lies behind untouched.
@safe
func written(capacity: Int, _ encode: (UnsafeMutableRawPointer) -> Int) -> [UInt8] {
  var bytes = [UInt8](repeating: 0xee, count: capacity + 32)
  let count = unsafe bytes.withUnsafeMutableBytes { buffer in
    guard let start = buffer.baseAddress else { return 0 }
    return unsafe encode(start + 1)
  }
  guard count <= capacity, bytes[0] == 0xee, bytes[(1 + count)...].allSatisfy({ $0 == 0xee }) else {
    return []
  }
  return Array(bytes[1..<1 + count])
}
