/// A metadata context that the client selected, with the number that stands for it in the replies.
public struct NegotiatedContext: Hashable, Sendable {
  /// Not zero, and unique within the connection.
  public let id: UInt32
  /// Such as `base:allocation`.
  public let name: String

  /// A context as it was announced to the client.
  public init(id: UInt32, name: String) {
    self.id = id
    self.name = name
  }
}

/// What server and client agreed on when the transmission phase began.
public struct Negotiated: Hashable, Sendable {
  /// The export, with `transmissionFlags` as they were announced.
  public let export: ExportInfo
  /// Also true with extended headers, which imply it.
  public let structuredReplies: Bool
  /// Requests and replies have 32-byte headers with 64-bit lengths.
  public let extendedHeaders: Bool
  /// The client asked for no padding after EXPORT_NAME.
  public let noZeroes: Bool
  /// Empty unless the client selected contexts for this export.
  public let contexts: [NegotiatedContext]

  /// A result of negotiation; extended headers set `structuredReplies` too.
  public init(
    export: ExportInfo, structuredReplies: Bool = false, extendedHeaders: Bool = false,
    noZeroes: Bool = false, contexts: [NegotiatedContext] = []
  ) {
    self.export = export
    self.structuredReplies = structuredReplies || extendedHeaders
    self.extendedHeaders = extendedHeaders
    self.noZeroes = noZeroes
    self.contexts = contexts
  }

  /// The form of every reply on this connection.
  public var replyFormat: ReplyFormat {
    extendedHeaders ? .extended : structuredReplies ? .structured : .simple
  }

  /// Bytes of every request header on this connection.
  public var requestHeaderBytes: Int {
    extendedHeaders ? RequestHeader.extendedSize : RequestHeader.compactSize
  }
}
