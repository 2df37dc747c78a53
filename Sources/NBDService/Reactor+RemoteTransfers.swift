import Glibc
import NBDWire
import Platform
import Primitives
import Redirection
import Ring
import Stores

/// Requests to and replies from the servers of remote stores.
extension Reactor {
  // MARK: Sending

  /// Starts a send on each remote store that has requests to send: all of a turn in one message.
  func sendRemoteRequests() {
    for index in remoteIDs {
      guard let remote = remotes[index], remote.isConnected, !remote.isSending else { continue }
      startRemoteSend(remote)
      if remote.session.hasEnded { hasRemoteWork = true }
    }
  }

  private func startRemoteSend(_ remote: RemoteStore) {
    remote.outgoing.removeAll()
    var header = unsafe remote.headers
    while remote.beingSent.count < RemoteStore.requestsPerSend,
      let (index, cookie) = remote.session.nextToSend(at: redirector.now, deadline: remoteDeadline)
    {
      let request = unsafe remote.session.slots + Int(index)
      let bytes = unsafe Self.header(of: request, cookie: cookie).encode(into: header, isExtended: false)
      unsafe remote.outgoing.append(header, bytes)
      unsafe header += bytes
      if unsafe request.pointee.kind == .write {
        unsafe remote.outgoing.append(request.pointee.buffer!, Int(request.pointee.length))
      }
      remote.beingSent.append(index)
    }
    guard !remote.beingSent.isEmpty else { return }
    queueRemoteSend(remote)
  }

  private func queueRemoteSend(_ remote: RemoteStore) {
    remote.isSending = true
    ring.send(socket: remote.socket, message: remote.outgoing, token: remoteToken(.remoteSend, remote))
  }

  private static func header(
    of request: UnsafeMutablePointer<RemoteRequest>, cookie: UInt64
  ) -> RequestHeader {
    let (offset, length) = unsafe (request.pointee.offset, request.pointee.length)
    func header(_ command: Command, _ flags: CommandFlags = []) -> RequestHeader {
      RequestHeader(
        flags: flags, commandNumber: command.rawValue, cookie: cookie, offset: offset, length: length)
    }
    switch unsafe request.pointee.kind {
    case .read: return header(.read)
    case .write: return header(.write, unsafe request.pointee.isSentDurable ? .forceUnitAccess : [])
    case .zero: return header(.writeZeroes, .noHole)
    case .trim: return header(.trim)
    case .flush:
      return RequestHeader(commandNumber: Command.flush.rawValue, cookie: cookie, offset: 0, length: 0)
    }
  }

  func remoteSent(_ value: UInt64, _ result: Int32) {
    guard let remote = remote(of: value) else { return }
    remote.isSending = false
    if remote.isClosing {
      remote.outgoing.advance(by: max(0, Int(result)))
      if remote.outgoing.count > 0 { remote.isCutOff = true }
      return closeRemoteIfDone(remote)
    }
    if result < 0 && result != -EINTR && result != -EAGAIN {
      return breakOff(remote, SystemError.text(of: -result))
    }
    remote.outgoing.advance(by: max(0, Int(result)))
    if remote.outgoing.count > 0 { return queueRemoteSend(remote) }
    for index in remote.beingSent { remote.session.sent(index) }
    remote.beingSent.removeAll(keepingCapacity: true)
    hasRemoteWork = true
  }

  // MARK: Receiving

  func armRemoteReceive(_ remote: RemoteStore) {
    guard remote.isConnected, !remote.isReceiving else { return }
    let rest = remote.inputEnd - remote.inputStart
    if remote.inputStart > 0 {
      if rest > 0 { unsafe remote.input.copyMemory(from: remote.input + remote.inputStart, byteCount: rest) }
      remote.inputStart = 0
      remote.inputEnd = rest
    }
    remote.isReceiving = true
    remote.receivesPayload = remote.payloadRequest != RemoteRequest.none
    // Behind a long read others like it are to be expected: their heads are taken, and their data then goes
    // where it belongs.
    let isLong = remote.payloadTotal >= RemoteStore.longPayloadBytes
    let room = (isLong ? RemoteStore.inputBytesBeforePayload : RemoteStore.inputBytes) - rest
    let free = unsafe remote.input + rest
    let token = remoteToken(.remoteReceive, remote)
    guard remote.receivesPayload else {
      unsafe ring.receive(socket: remote.socket, into: free, count: room, token: token)
      return
    }
    remote.incoming.removeAll()
    let buffer = unsafe remote.session.slots[Int(remote.payloadRequest)].buffer!
    unsafe remote.incoming.append(buffer + remote.payloadDone, remote.payloadTotal - remote.payloadDone)
    unsafe remote.incoming.append(free, room)
    ring.receive(socket: remote.socket, message: remote.incoming, token: token)
  }

  func remoteReceived(_ value: UInt64, _ result: Int32) {
    guard let remote = remote(of: value) else { return }
    remote.isReceiving = false
    if remote.isClosing {
      receivedLast(remote, result)
      return closeRemoteIfDone(remote)
    }
    if result <= 0 && result != -EINTR && result != -EAGAIN {
      return breakOff(remote, result == 0 ? "the server has closed it" : SystemError.text(of: -result))
    }
    takeInput(remote, max(0, Int(result)))
    while parseReply(remote) {}
    hasRemoteWork = true
    armRemoteReceive(remote)
  }

  /// So many bytes have arrived where `armRemoteReceive` wanted them.
  private func takeInput(_ remote: RemoteStore, _ count: Int) {
    var count = count
    if remote.receivesPayload {
      let direct = min(count, remote.payloadTotal - remote.payloadDone)
      remote.payloadDone += direct
      count -= direct
      endPayload(remote)
    }
    remote.inputEnd += count
  }

  /// Takes one reply, or a part of its data, out of the input; false if more is needed, or nothing.
  private func parseReply(_ remote: RemoteStore) -> Bool {
    guard remote.isConnected else { return false }
    let available = remote.inputEnd - remote.inputStart
    let start = unsafe remote.input + remote.inputStart
    if remote.payloadRequest != RemoteRequest.none {
      let count = min(available, remote.payloadTotal - remote.payloadDone)
      let buffer = unsafe remote.session.slots[Int(remote.payloadRequest)].buffer!
      unsafe (buffer + remote.payloadDone).copyMemory(from: start, byteCount: count)
      remote.inputStart += count
      remote.payloadDone += count
      return endPayload(remote)
    }
    guard available >= SimpleReply.size else { return false }
    guard let reply = unsafe SimpleReply.decode(start) else {
      breakOff(remote, "the server sent a reply without the magic number")
      return false
    }
    remote.inputStart += SimpleReply.size
    switch remote.session.received(reply) {
    case .payload(let index, let bytes):
      remote.payloadRequest = index
      remote.payloadDone = 0
      remote.payloadTotal = bytes
    case .ended: remote.payloadTotal = 0
    case .farewell: windUp(remote, "the server is shutting down")
    case .stray: breakOff(remote, "the server answered what it was not asked")
    }
    return true
  }

  /// - Returns: whether all data of the read has come.
  @discardableResult
  private func endPayload(_ remote: RemoteStore) -> Bool {
    guard remote.payloadDone == remote.payloadTotal else { return false }
    remote.session.payloadReceived(remote.payloadRequest)
    remote.payloadRequest = RemoteRequest.none
    return true
  }

  // MARK: After the connection was given up

  /// What was under way when the connection was given up, or is owed since, has been received.
  private func receivedLast(_ remote: RemoteStore, _ result: Int32) {
    switch result {
    case -ECANCELED, -EINTR, -EAGAIN: break
    case ...0: remote.isWoundUp = false
    default:
      if remote.owed == nil { takeInput(remote, Int(result)) } else { takeOwed(remote, 0..<Int(result)) }
    }
  }

  /// Waits for more of what the server owes. It is not sent anything.
  func receiveOwed(_ remote: RemoteStore) {
    remote.isReceiving = true
    unsafe ring.receive(
      socket: remote.socket, into: remote.input, count: RemoteStore.inputBytes,
      token: remoteToken(.remoteReceive, remote))
  }

  /// Takes input that comes after the connection was given up.
  func takeOwed(_ remote: RemoteStore, _ bytes: Range<Int>) {
    let input = unsafe UnsafeRawBufferPointer(start: remote.input + bytes.lowerBound, count: bytes.count)
    // Nothing can be learned from a server that talks nonsense.
    if unsafe remote.owed?.take(input) == false { remote.isWoundUp = false }
  }

  // MARK: Tokens

  /// The store's number, and the connection's above it: a late completion must not be taken for another's.
  func remoteToken(_ kind: TokenKind, _ remote: RemoteStore) -> UInt64 {
    Self.token(kind, remote.generation << 8 | UInt64(remote.store.record.id.rawValue))
  }

  private func remote(of value: UInt64) -> RemoteStore? {
    guard let remote = remotes[Int(value & 0xff)], remote.generation == value >> 8 else { return nil }
    return remote
  }
}
