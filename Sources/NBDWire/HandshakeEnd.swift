/// Why a handshake ended without a transmission phase.
public enum HandshakeEnd: Hashable, Sendable {
  /// The client asked for it. The only end that is nobody's fault.
  case clientAborted
  case unknownClientFlags(UInt32)
  case wrongOptionMagic
  case tooManyOptions
  case tooMuchOptionData
  /// An option other than EXPORT_NAME from a client that did not claim to know fixed newstyle.
  case needsFixedNewstyle(option: UInt32)
  /// EXPORT_NAME cannot answer with an error, so that a wrong name ends the session.
  case unknownExport(String)
  case malformedExportName
  case exportNameAfterExtendedHeaders
  case shuttingDown
}

extension HandshakeEnd: CustomStringConvertible {
  /// One sentence without a full stop, for the log.
  public var description: String {
    switch self {
    case .clientAborted: "the client aborted the negotiation"
    case .unknownClientFlags(let flags): "the client sent unknown flags 0x" + String(flags, radix: 16)
    case .wrongOptionMagic: "the client sent an option without the magic number"
    case .tooManyOptions: "the client sent too many options"
    case .tooMuchOptionData: "the client sent too much option data"
    case .needsFixedNewstyle(let option):
      "the client sent option \(option) without fixed newstyle negotiation"
    case .unknownExport(let name): "the client asked for the unknown export \"\(name)\""
    case .malformedExportName: "the client sent a malformed export name"
    case .exportNameAfterExtendedHeaders: "the client sent EXPORT_NAME after extended headers were agreed"
    case .shuttingDown: "the server is shutting down"
    }
  }
}
