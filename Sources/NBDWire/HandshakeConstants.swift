/// The numbers of the handshake (proto.md "Newstyle negotiation", "Option types", "Option reply types").
enum HandshakeMagic {
  /// ASCII `NBDMAGIC`.
  static let greeting: UInt64 = 0x4e42_444d_4147_4943
  /// ASCII `IHAVEOPT`; opens the greeting's second half and every option.
  static let option: UInt64 = 0x4948_4156_454f_5054
  static let optionReply: UInt64 = 0x0003_e889_0455_65a9
}

/// Handshake flags and the client's flags share their numbers.
struct HandshakeFlags: OptionSet {
  let rawValue: UInt32

  static let fixedNewstyle = HandshakeFlags(rawValue: 1 << 0)
  static let noZeroes = HandshakeFlags(rawValue: 1 << 1)

  /// What the server announces, and all that a client may answer with.
  static let offered: HandshakeFlags = [.fixedNewstyle, .noZeroes]
}

enum Option: UInt32 {
  case exportName = 1
  case abort = 2
  case list = 3
  case startTLS = 5
  case info = 6
  case go = 7
  case structuredReply = 8
  case listMetaContext = 9
  case setMetaContext = 10
  case extendedHeaders = 11
}

enum OptionReply: UInt32 {
  case acknowledge = 1
  case server = 2
  case info = 3
  case metaContext = 4
  case errorUnsupported = 0x8000_0001
  case errorPolicy = 0x8000_0002
  case errorInvalid = 0x8000_0003
  case errorTLSRequired = 0x8000_0005
  case errorUnknownExport = 0x8000_0006
  case errorShutdown = 0x8000_0007
  case errorTooBig = 0x8000_0009
  case errorExtendedHeadersRequired = 0x8000_000a
}

enum InfoType: UInt16 {
  case export = 0
  case name = 1
  case description = 2
  case blockSize = 3
}
