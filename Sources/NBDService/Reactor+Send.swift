import Glibc
import Measurement
import NBDWire
import Platform
import Redirection
import Ring

/// From finished operations to bytes on the socket: all replies of a turn in one send per connection.
extension Reactor {
  /// Hands finished operations to the connections that asked.
  func collectFinished() {
    while let operation = redirector.popFinished() {
      let owner = unsafe redirector.operation(operation).pointee.owner
      if owner == Self.controlOwner {
        finishForControl(operation)
        continue
      }
      let index = UInt32(truncatingIfNeeded: owner)
      meter(index, operation)
      reply(index, operation)
    }
  }

  /// Counts a request whose work is done; the pieces of one that is answered in pieces are not counted.
  private func meter(_ index: UInt32, _ operation: UInt32) {
    let op = unsafe redirector.operation(operation)
    guard let meter = unsafe connections[Int(index)].meter, unsafe !op.pointee.flags.contains(.piece) else {
      return
    }
    let kind: StoreOperation
    switch unsafe op.pointee.kind {
    case .read: kind = .read
    case .write: kind = .write
    case .flush: kind = .synchronize
    default: return
    }
    if unsafe op.pointee.error != nil {
      meter.fail(kind)
    } else {
      unsafe meter.succeed(
        kind, offset: op.pointee.offset, bytes: kind == .synchronize ? 0 : op.pointee.length,
        nanoseconds: redirector.now - min(redirector.now, op.pointee.arrived))
    }
  }

  /// Queues the reply to a finished operation.
  func reply(_ index: UInt32, _ operation: UInt32) {
    let connection = unsafe connections + Int(index)
    if unsafe connection.pointee.phase == .dead {
      unsafe end(connection, operation)
      closeIfDone(index)
      return
    }
    unsafe append(operation, to: &connection.pointee.replies)
    markDirty(index)
  }

  func markDirty(_ index: UInt32) {
    let connection = unsafe connections + Int(index)
    guard unsafe !connection.pointee.isDirty else { return }
    unsafe connection.pointee.isDirty = true
    dirty.append(index)
  }

  /// Starts a send on every connection that has something to say.
  func flushReplies() {
    for index in dirty {
      unsafe connections[Int(index)].isDirty = false
      startSend(index)
    }
    dirty.removeAll(keepingCapacity: true)
  }

  private func startSend(_ index: UInt32) {
    let connection = unsafe connections + Int(index)
    guard unsafe !connection.pointee.isSending, unsafe connection.pointee.phase != .free,
      unsafe connection.pointee.phase != .dead
    else { return }
    if let cold = unsafe connection.pointee.cold, let output = unsafe cold.output {
      let rest = output.count - cold.outputSent
      unsafe connection.pointee.isSending = true
      unsafe ring.send(
        socket: connection.pointee.socket, from: output.baseAddress! + cold.outputSent, count: rest,
        token: token(.send, for: index))
      return
    }
    guard unsafe !connection.pointee.replies.isEmpty else { return }
    let message = unsafe connection.pointee.outgoing
    message.removeAll()
    var header = unsafe connection.pointee.output
    var count = 0
    while count < Connection.repliesPerSend, unsafe !connection.pointee.replies.isEmpty {
      let operation = unsafe popFirst(&connection.pointee.replies)
      unsafe append(operation, to: &connection.pointee.sent)
      unsafe header += encode(operation, connection, header, message)
      count += 1
    }
    Failpoint.repliesQueued.pass()
    unsafe connection.pointee.isSending = true
    unsafe ring.send(socket: connection.pointee.socket, message: message, token: token(.send, for: index))
  }

  /// Writes a reply's header at `header` and puts it and its payload on the message.
  ///
  /// - Returns: bytes of the header.
  private func encode(
    _ operation: UInt32, _ connection: UnsafeMutablePointer<Connection>, _ header: UnsafeMutableRawPointer,
    _ message: Message
  ) -> Int {
    if unsafe redirector.operation(operation).pointee.error != nil {
      unsafe connection.pointee.counts.errors += 1
    }
    let reply = unsafe redirector.encodeReply(to: operation, connection.pointee.format, into: header)
    if reply.headerBytes > 0 { unsafe message.append(header, reply.headerBytes) }
    if let payload = unsafe reply.payload { unsafe message.append(payload, reply.payloadBytes) }
    return reply.headerBytes
  }

  func sent(_ index: UInt32, _ result: Int32) {
    let connection = unsafe connections + Int(index)
    unsafe connection.pointee.isSending = false
    if unsafe connection.pointee.phase == .dead {
      closeIfDone(index)
      return
    }
    if result < 0 && result != -EINTR && result != -EAGAIN {
      kill(index)
      return
    }
    let count = max(0, Int(result))
    unsafe connection.pointee.bytesMoved += count
    if let cold = unsafe connection.pointee.cold, cold.hasOutput {
      handshakeSent(index, cold, count)
      return
    }
    let message = unsafe connection.pointee.outgoing
    message.advance(by: count)
    if message.count > 0 {
      unsafe connection.pointee.isSending = true
      unsafe ring.send(
        socket: connection.pointee.socket, message: message, token: token(.send, for: index))
      return
    }
    Failpoint.repliesSent.pass()
    unsafe endAll(connection.pointee.sent, of: connection)
    unsafe connection.pointee.sent = ReplyList()
    unsafe connection.pointee.madeProgress()
    if unsafe !connection.pointee.replies.isEmpty { markDirty(index) }
    if unsafe connection.pointee.isThrottled {
      unsafe connection.pointee.isThrottled = false
      parse(index)
    } else {
      closeIfDone(index)
    }
  }

  // MARK: Lists of replies

  private func append(_ operation: UInt32, to list: inout ReplyList) {
    unsafe redirector.operation(operation).pointee.next = Connection.noOperation
    if list.isEmpty {
      list.first = operation
    } else {
      unsafe redirector.operation(list.last).pointee.next = operation
    }
    list.last = operation
  }

  private func popFirst(_ list: inout ReplyList) -> UInt32 {
    let operation = list.first
    unsafe list.first = redirector.operation(operation).pointee.next
    return operation
  }

  /// Ends all operations of a list: they are answered, or nobody is left to answer.
  func endAll(_ list: ReplyList, of connection: UnsafeMutablePointer<Connection>) {
    var operation = list.first
    while operation != Connection.noOperation {
      let next = unsafe redirector.operation(operation).pointee.next
      unsafe end(connection, operation)
      operation = next
    }
  }

  /// Releases an operation and takes it off the connection's account.
  func end(_ connection: UnsafeMutablePointer<Connection>, _ operation: UInt32) {
    let op = unsafe redirector.operation(operation)
    if unsafe !op.pointee.flags.contains(.piece) {
      unsafe connection.pointee.requestsInFlight -= 1
      let kind = unsafe op.pointee.kind
      if kind == .read || kind == .write {
        unsafe connection.pointee.bytesInFlight -= Int(op.pointee.length)
      }
    }
    redirector.release(operation)
  }
}
