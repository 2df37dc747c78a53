import NBDWire
import Primitives
import Redirection

/// One connection of a client: what the client remembers, what is on the wire, what the server remembers.
final class Connection {
  let number: Int
  let reactor: Int
  let volume: Int
  let negotiated: Negotiated
  let rules: RequestRules
  let format: ReplyFormat
  /// Both ends have closed it, or the server has: nothing is sent or received.
  var isClosed = false

  // The client.
  var decoder: ReplyDecoder
  var pending: [UInt64: PendingRequest] = [:]
  /// Requests that it keeps in flight at most.
  var window = Int.max
  /// Bytes on their way to the server.
  var wire: [UInt8] = []
  var isDelivering = false

  // The server.
  var input: [UInt8] = []
  var inputStart = 0
  /// The write whose payload is on its way, and how much of it has come.
  var payloadOperation: UInt32?
  var payloadDone = 0
  var payloadTotal = 0
  var skipBytes = 0
  var refusal: (header: RequestHeader, error: NBDErrno)?
  var isStalled = false
  /// Operations that are not released yet: as long as there are some, its volume is in use.
  var operations = 0
  /// Operations that wait to be answered, and those whose reply is being sent.
  var replies: [UInt32] = []
  var sending: [UInt32] = []

  init(number: Int, reactor: Int, volume: Int, negotiated: Negotiated) {
    self.number = number
    self.reactor = reactor
    self.volume = volume
    self.negotiated = negotiated
    rules = RequestRules(negotiated)
    format = negotiated.replyFormat
    decoder = ReplyDecoder(format)
  }

  /// Bytes that have arrived and are not parsed yet.
  var available: Int { input.count - inputStart }

  func consume(_ count: Int) {
    inputStart += count
    guard inputStart == input.count || inputStart > 64 << 10 else { return }
    input.removeFirst(inputStart)
    inputStart = 0
  }
}

extension Connection {
  /// What a client that asks for everything, or for little, has agreed on with the server.
  static func negotiate(_ volume: WorldVolume, _ format: ReplyFormat) -> Negotiated {
    let export = ExportInfo(
      name: volume.record.name, sizeBytes: volume.sizeBytes,
      transmissionFlags: [
        .sendFlush, .sendFUA, .sendDontFragment, .canMultiConnect, .sendCache, .sendTrim, .sendWriteZeroes,
        .sendFastZero,
      ],
      metaContexts: BlockStatus.contexts)
    let contexts = BlockStatus.contexts.enumerated().map {
      NegotiatedContext(id: UInt32($0.offset + 1), name: $0.element)
    }
    return Negotiated(
      export: export, structuredReplies: format != .simple, extendedHeaders: format == .extended,
      contexts: format == .simple ? [] : contexts)
  }
}
