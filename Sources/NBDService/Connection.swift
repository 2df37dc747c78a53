import ExtentMap
import Measurement
import NBDWire
import Redirection
import Ring

/// What a reactor keeps of one client, at a fixed place in its table.
///
/// Plain data apart from `cold`, so that serving a request touches no reference count.
@safe
struct Connection {
  enum Phase: UInt8 {
    /// The entry is not in use.
    case free
    case handshake
    case transmission
    /// Takes no more requests; closes when those in flight are answered.
    case draining
    /// The socket is broken, or a rule was: nothing is sent; closes when the kernel has let go of it.
    case dead
  }

  var phase = Phase.free
  /// Tells the client apart from earlier users of the entry; part of every token.
  var generation: UInt32 = 0
  var socket: Int32 = -1

  // Receiving. `input[inputStart..<inputEnd]` has arrived and is not parsed yet.
  var input: UnsafeMutableRawPointer
  var inputStart = 0
  var inputEnd = 0
  var isReceiving = false
  /// Whether the receive under way has the payload's own memory first in its list.
  var receivesPayload = false
  /// The write whose payload is on its way, and how much of it has come.
  var payloadOperation = noOperation
  var payloadDone = 0
  var payloadTotal = 0
  /// Payload of a refused request that still has to be thrown away.
  var skipBytes: UInt64 = 0
  /// The refusal to send after that.
  var refusal: (header: RequestHeader, error: NBDErrno)?
  /// Waits for memory or operations of the reactor: it is in the list of stalled connections.
  var isStalled = false
  /// Waits for its own requests to end: it has as many in flight as it may.
  var isThrottled = false
  var lastPayloadBytes = 0

  // What was negotiated.
  var format = ReplyFormat.simple
  var headerBytes = 28
  var rules: RequestRules?
  var view = ExtentMapView.none
  /// Counts what it asks of the volume; there from the transmission's beginning on.
  var meter: VolumeMeter?

  // Sending.
  var isSending = false
  var isDirty = false
  /// Replies that wait to be sent, and those in the message under way: lists through `Operation.next`.
  var replies = ReplyList()
  var sent = ReplyList()
  /// Seconds in which it neither gave back memory nor moved enough bytes, and what it moved in this one.
  var ticksWithoutProgress = 0
  var bytesMoved = 0

  var requestsInFlight = 0
  var bytesInFlight = 0
  var counts = Traffic.Counts()

  /// Memory for reply headers, the lists for the socket calls, and what is rarely touched.
  let output: UnsafeMutableRawPointer
  let outgoing: Message
  let incoming: Message
  var cold: ColdConnection?

  static let noOperation = UInt32.max
  /// Bytes of requests that one receive takes.
  static let inputBytes = 128 << 10
  /// Where a long payload was the last thing, most of the next is better received in place.
  static let inputBytesBeforePayload = 4 << 10
  /// Replies that one send takes, and room for their headers.
  static let repliesPerSend = 128
  static let outputBytes = 128 * 48

  init(input: UnsafeMutableRawPointer, output: UnsafeMutableRawPointer) {
    unsafe self.input = input
    unsafe self.output = output
    outgoing = Message(capacity: 2 * Self.repliesPerSend)
    incoming = Message(capacity: 2)
  }
}

extension Connection {
  /// It gave back memory that others may wait for, or is about to.
  mutating func madeProgress() {
    ticksWithoutProgress = 0
    bytesMoved = 0
  }
}

/// What a connection needs only at its beginning and end.
@safe
final class ColdConnection {
  let peer: String
  var handshake: Handshake
  /// Bytes of the handshake on their way out.
  var output: UnsafeMutableRawBufferPointer?
  var outputSent = 0
  var hasOutput: Bool { unsafe output != nil }
  var volume: Volume?
  var contexts: [NegotiatedContext] = []
  /// Seconds that the handshake may still take.
  var secondsLeft: Int

  init(peer: String, handshake: Handshake, secondsLeft: Int) {
    self.peer = peer
    self.handshake = handshake
    self.secondsLeft = secondsLeft
  }
}

/// A list of operations through their `next` links.
struct ReplyList {
  var first = Connection.noOperation
  var last = Connection.noOperation

  var isEmpty: Bool { first == Connection.noOperation }
}
