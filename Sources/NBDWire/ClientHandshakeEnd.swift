/// Why a server's export could not be opened.
public enum ClientHandshakeEnd: Hashable, Sendable {
  /// Whoever answers does not speak NBD.
  case noServer
  /// The server does not know fixed newstyle negotiation.
  case oldstyle
  case wrongReplyMagic
  case otherOption(UInt32)
  case unexpectedReply(UInt32)
  case replyTooLong(UInt32)
  case tooManyReplies
  case malformedInfo
  case noExportInfo
  case noTransmissionFlags
  case impossibleSize(UInt64)
  case impossibleBlockSizes
  /// The server has said no.
  case refused(ServerRefusal)
}

extension ClientHandshakeEnd: CustomStringConvertible {
  /// One sentence without a full stop, for the log.
  public var description: String {
    switch self {
    case .noServer: "whoever answers there is no NBD server"
    case .oldstyle: "the server does not speak fixed newstyle negotiation"
    case .wrongReplyMagic: "the server sent a reply without the magic number"
    case .otherOption(let option): "the server answered option \(option), which was not asked for"
    case .unexpectedReply(let code): "the server sent a reply of unknown type \(code)"
    case .replyTooLong(let length): "the server announced a reply of \(length) bytes"
    case .tooManyReplies: "the server sent too many replies"
    case .malformedInfo: "the server sent malformed information about the export"
    case .noExportInfo: "the server did not say how large the export is"
    case .noTransmissionFlags: "the server did not say what the export can do"
    case .impossibleSize(let size): "the server claims \(size) bytes, more than there can be"
    case .impossibleBlockSizes: "the server sent block sizes that make no sense"
    case .refused(let refusal): refusal.description
    }
  }
}

/// A server's refusal to open an export.
public struct ServerRefusal: Hashable, Sendable {
  /// The number of the error (proto.md "Option reply types").
  public let code: UInt32
  /// The server's own words, fit to be printed; may be empty.
  public let message: String

  /// A refusal whose message came as these bytes: what is not printable is left out, what is long is cut.
  init(code: UInt32, message: [UInt8]) {
    self.code = code
    let text = String(decoding: message.prefix(NBDLimits.messageBytesMax), as: UTF8.self)
    self.message = String(
      String.UnicodeScalarView(text.unicodeScalars.filter { $0.value >= 0x20 && $0.value != 0x7f }))
  }
}

extension ServerRefusal: CustomStringConvertible {
  /// What was refused, with the server's words.
  public var description: String {
    let reason =
      switch OptionReply(rawValue: code) {
      case .errorUnknownExport: "the server has no export of that name"
      case .errorTLSRequired: "the server demands TLS, which is not supported yet"
      case .errorUnsupported: "the server does not know the option GO"
      case .errorPolicy: "the server does not allow it"
      case .errorShutdown: "the server is shutting down"
      default: "the server refused with error 0x" + String(code, radix: 16)
      }
    return message.isEmpty ? reason : reason + " (" + message + ")"
  }
}
