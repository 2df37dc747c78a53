import NBDWire
import Platform
import Primitives
import Redirection
import Ring
import Stores

/// A remote store as the reactor that owns it keeps it: the session, and the connection of the moment.
@safe
final class RemoteStore {
  let store: NBDStore
  let session: RemoteSession
  let channel: RemoteInbox
  var backoff: Backoff
  var connector: RemoteConnector?

  // The connection. Its memory stays for the next one.
  var socket: Int32 = -1
  /// The export cannot be used, or not any more; requests end at once.
  var refusal: GnomonError?
  /// It must never be connected to again.
  var isFenced = false
  /// Tells completions of this connection from those of earlier ones.
  var generation: UInt64 = 0
  /// It is not used any more, and the kernel still has some of its memory.
  var isClosing = false
  /// It was given up by this side, and stays open until the server has answered all changes.
  var isWoundUp = false
  /// The server has got a part of a message only.
  var isCutOff = false
  /// What the server owes, once requests have been taken back from the connection.
  var owed: OwedAnswers?
  var connectedNanoseconds: UInt64 = 0
  var flags = TransmissionFlags()

  // Receiving. `input[inputStart..<inputEnd]` has arrived and is not parsed yet.
  let input: UnsafeMutableRawPointer
  var inputStart = 0
  var inputEnd = 0
  var isReceiving = false
  /// The read whose data is on its way, and how much of it has come.
  var payloadRequest = RemoteRequest.none
  var payloadDone = 0
  var payloadTotal = 0
  /// Whether the receive under way has the read's own memory first in its list.
  var receivesPayload = false
  let incoming = Message(capacity: 2)

  // Sending.
  var isSending = false
  let headers: UnsafeMutableRawPointer
  let outgoing = Message(capacity: 2 * requestsPerSend)
  var beingSent: [UInt32] = []

  /// Whether the claim is being read, where to, and in how many ticks it is read again.
  var isCheckingClaim = false
  let claimBlock: UnsafeMutableRawPointer
  var ticksToClaimCheck = claimCheckTicks

  /// Commands of the control plane, by request.
  var commands: [UInt32: @Sendable (Int32) -> Void] = [:]
  /// The store is being taken out of service; called when nothing of it is left.
  var whenClosed: (@Sendable () -> Void)?
  var isLeaving = false

  /// Bytes of replies that one receive takes.
  static let inputBytes = 128 << 10
  /// Reads of at least so many bytes are better received in place than copied.
  static let longPayloadBytes = 32 << 10
  /// Room for replies while such a read is expected.
  static let inputBytesBeforePayload = 4 << 10
  /// Requests that one send takes.
  static let requestsPerSend = 64
  /// Seconds between two looks at the claim.
  static let claimCheckTicks = 5
  /// A connection that has lasted so long was a good one.
  static let goodNanoseconds: UInt64 = 1_000_000_000

  init(_ store: NBDStore, channel: RemoteInbox, unflushedBytes: Int) throws(SystemError) {
    self.store = store
    self.channel = channel
    session = try RemoteSession(unflushedBytes: unflushedBytes)
    backoff = Backoff(seed: store.record.uuid.low ^ MonotonicClock.nanoseconds())
    unsafe input = .allocate(byteCount: Self.inputBytes, alignment: 64)
    unsafe headers = .allocate(byteCount: Self.requestsPerSend * RequestHeader.compactSize, alignment: 64)
    unsafe claimBlock = .allocate(byteCount: NBDStore.claimRange.bytes, alignment: 4096)
    beingSent.reserveCapacity(Self.requestsPerSend)
  }

  deinit {
    unsafe input.deallocate()
    unsafe headers.deallocate()
    unsafe claimBlock.deallocate()
    incoming.deallocate()
    outgoing.deallocate()
  }

  var isConnected: Bool { socket >= 0 && !isClosing }

  /// Begins with a new connection.
  func take(_ connection: RemoteConnection) {
    socket = connection.socket
    flags = connection.export.transmissionFlags
    generation = (generation + 1) & 0xff_ffff
    isClosing = false
    isWoundUp = false
    isCutOff = false
    owed = nil
    inputStart = 0
    inputEnd = 0
    payloadRequest = RemoteRequest.none
    isCheckingClaim = false
    connectedNanoseconds = MonotonicClock.nanoseconds()
  }
}
