import ExtentMap
import Glibc
import Measurement
import NBDWire
import Redirection
import Ring

/// From bytes on the socket to operations.
extension Reactor {
  func received(_ index: UInt32, _ result: Int32) {
    let connection = unsafe connections + Int(index)
    unsafe connection.pointee.isReceiving = false
    if result <= 0 {
      if result == -EINTR || result == -EAGAIN {
        armReceive(index)
        return
      }
      if unsafe connection.pointee.phase == .dead {
        closeIfDone(index)
        return
      }
      // The client has nothing more to say; it may still want its answers.
      if result == 0, unsafe connection.pointee.phase == .transmission {
        drain(index)
      } else if result == 0, unsafe connection.pointee.phase == .draining {
        closeIfDone(index)
      } else {
        kill(index)
      }
      return
    }
    unsafe connection.pointee.bytesMoved += Int(result)
    var count = Int(result)
    // A write that was found in the input while this receive was under way has no part in it.
    if unsafe connection.pointee.receivesPayload {
      let direct = unsafe min(count, connection.pointee.payloadTotal - connection.pointee.payloadDone)
      unsafe connection.pointee.payloadDone += direct
      count -= direct
    }
    unsafe connection.pointee.inputEnd += count
    parse(index)
  }

  /// Uses what has arrived as far as it goes, then asks for more.
  func parse(_ index: UInt32) {
    let connection = unsafe connections + Int(index)
    switch unsafe connection.pointee.phase {
    case .handshake: parseHandshake(index)
    case .transmission: while parseNext(index) {}
    case .draining, .dead, .free: break
    }
    armReceive(index)
    closeIfDone(index)
  }

  /// Takes one step in the stream of requests; false if it cannot now.
  func parseNext(_ index: UInt32) -> Bool {
    let connection = unsafe connections + Int(index)
    guard unsafe connection.pointee.phase == .transmission else { return false }
    if unsafe connection.pointee.payloadOperation != Connection.noOperation {
      return unsafe takePayload(connection)
    }
    let available = unsafe connection.pointee.inputEnd - connection.pointee.inputStart
    if unsafe connection.pointee.skipBytes > 0 {
      let count = unsafe min(UInt64(available), connection.pointee.skipBytes)
      unsafe connection.pointee.skipBytes -= count
      unsafe connection.pointee.inputStart += Int(count)
      return unsafe connection.pointee.skipBytes == 0
    }
    if let refusal = unsafe connection.pointee.refusal {
      guard refuse(index, refusal.header, refusal.error) else { return false }
      unsafe connection.pointee.refusal = nil
      return true
    }
    guard unsafe available >= connection.pointee.headerBytes else { return false }
    let bytes = unsafe UnsafeRawPointer(connection.pointee.input + connection.pointee.inputStart)
    let rules = unsafe connection.pointee.rules!
    let decoded =
      unsafe rules.isExtended
      ? RequestHeader.decode(extended: bytes) : RequestHeader.decode(compact: bytes)
    guard let header = decoded else {
      protocolError(index, "a request without magic number")
      return false
    }
    guard dispatch(index, header, rules) else { return false }
    unsafe connection.pointee.inputStart += connection.pointee.headerBytes
    return true
  }

  private func takePayload(_ connection: UnsafeMutablePointer<Connection>) -> Bool {
    let operation = unsafe connection.pointee.payloadOperation
    let missing = unsafe connection.pointee.payloadTotal - connection.pointee.payloadDone
    let available = unsafe connection.pointee.inputEnd - connection.pointee.inputStart
    let count = min(missing, available)
    if count > 0 {
      let target = unsafe redirector.operation(operation).pointee.payload! + connection.pointee.payloadDone
      unsafe target.copyMemory(
        from: connection.pointee.input + connection.pointee.inputStart, byteCount: count)
      unsafe connection.pointee.inputStart += count
      unsafe connection.pointee.payloadDone += count
    }
    guard count == missing else { return false }
    unsafe connection.pointee.payloadOperation = Connection.noOperation
    unsafe connection.pointee.madeProgress()
    redirector.startWrite(operation)
    return true
  }

  // MARK: Requests

  /// Begins a request; false if there is no room for it now, and it stays in the input.
  private func dispatch(_ index: UInt32, _ header: RequestHeader, _ rules: RequestRules) -> Bool {
    let connection = unsafe connections + Int(index)
    let size = unsafe connection.pointee.cold!.volume!.sizeBytes
    var verdict = rules.judge(header, sizeBytes: size)
    if isShuttingDown && verdict == .accept { verdict = .reject(.shutdown) }
    switch verdict {
    case .accept: return begin(index, header, sizeBytes: size)
    case .reject(let error):
      unsafe connection.pointee.skipBytes = rules.payloadBytes(of: header)
      unsafe connection.pointee.refusal = (header, error)
      return true
    case .finish:
      unsafe connection.pointee.phase = .draining
      return false
    case .disconnect:
      protocolError(index, "a request that breaks the protocol")
      return false
    }
  }

  private func begin(_ index: UInt32, _ header: RequestHeader, sizeBytes: UInt64) -> Bool {
    let connection = unsafe connections + Int(index)
    let payloadBytes = header.commandNumber <= Command.write.rawValue ? Int(header.length) : 0
    guard unsafe isAllowed(connection, payloadBytes) else { return false }
    let request = unsafe Request(
      header, view: connection.pointee.view, volumeBytes: sizeBytes,
      owner: UInt64(connection.pointee.generation) << 32 | UInt64(index),
      hasChunks: connection.pointee.format.hasChunks)
    let isBegun: Bool
    switch header.command {
    case .read:
      isBegun = header.length == 0 ? answer(index, request) : redirector.read(request)
      unsafe connection.pointee.counts.reads += isBegun ? 1 : 0
      unsafe connection.pointee.counts.bytesRead += isBegun ? header.length : 0
    case .write:
      isBegun = header.length == 0 ? answer(index, request) : unsafe beginWrite(connection, request)
      unsafe connection.pointee.counts.writes += isBegun ? 1 : 0
      unsafe connection.pointee.counts.bytesWritten += isBegun ? header.length : 0
    case .flush:
      isBegun = redirector.flush(request)
      unsafe connection.pointee.counts.flushes += isBegun ? 1 : 0
    case .trim, .writeZeroes:
      let isTrim = header.command == .trim
      isBegun =
        header.length == 0 ? answer(index, request) : redirector.clear(isTrim ? .trim : .zero, request)
      unsafe connection.pointee.counts.trims += isBegun && isTrim ? 1 : 0
      unsafe connection.pointee.counts.zeroes += isBegun && !isTrim ? 1 : 0
    case .blockStatus: isBegun = answerStatus(index, header, request)
    default: isBegun = answer(index, request)
    }
    if isBegun {
      if handle.accesses.isOn { noteAccess(header, request) }
      unsafe connection.pointee.requestsInFlight += 1
      unsafe connection.pointee.bytesInFlight += payloadBytes
    } else {
      stall(index)
    }
    return isBegun
  }

  /// Tells whoever predicts what a client is after.
  private func noteAccess(_ header: RequestHeader, _ request: Request) {
    let kind: AccessRecord.Kind
    switch header.command {
    case .read: kind = .read
    case .write: kind = .write
    case .cache: kind = .cache
    default: return
    }
    handle.accesses.append(
      AccessRecord(
        kind, of: request.view.volume, offset: request.offset, length: request.length,
        microseconds: redirector.now / 1000))
  }

  private func beginWrite(_ connection: UnsafeMutablePointer<Connection>, _ request: Request) -> Bool {
    guard let operation = redirector.makeWrite(request) else { return false }
    unsafe connection.pointee.payloadOperation = operation
    unsafe connection.pointee.payloadDone = 0
    unsafe connection.pointee.payloadTotal = Int(request.length)
    unsafe connection.pointee.lastPayloadBytes = Int(request.length)
    return true
  }

  /// Whether the connection's own bounds leave room; and those who wait for the reactor's go first.
  private func isAllowed(_ connection: UnsafeMutablePointer<Connection>, _ payloadBytes: Int) -> Bool {
    let requests = unsafe connection.pointee.requestsInFlight
    let bytes = unsafe connection.pointee.bytesInFlight
    let isOver =
      requests >= limits.requestsPerConnectionMax
      || (bytes > 0 && bytes + payloadBytes > limits.bytesPerConnectionMax)
    if isOver {
      unsafe connection.pointee.isThrottled = true
      return false
    }
    if !stalled.isEmpty && !isResumingStalled {
      unsafe stall(UInt32(connection - connections))
      return false
    }
    return true
  }

  /// Answers success without I/O.
  private func answer(_ index: UInt32, _ request: Request) -> Bool {
    guard let operation = redirector.makeAnswer(request, error: nil) else { return false }
    reply(index, operation)
    return true
  }

  private func refuse(_ index: UInt32, _ header: RequestHeader, _ error: NBDErrno) -> Bool {
    let connection = unsafe connections + Int(index)
    // Refusals count too: a client that reads none of them must not fill the slab.
    guard unsafe isAllowed(connection, 0) else { return false }
    let request = unsafe Request(
      view: connection.pointee.view, offset: header.offset, length: 0, flags: [], cookie: header.cookie,
      owner: UInt64(connection.pointee.generation) << 32 | UInt64(index), volumeBytes: 0)
    guard let operation = redirector.makeAnswer(request, error: error) else {
      stall(index)
      return false
    }
    unsafe connection.pointee.requestsInFlight += 1
    reply(index, operation)
    return true
  }

  // MARK: Waiting

  private func stall(_ index: UInt32) {
    let connection = unsafe connections + Int(index)
    guard unsafe !connection.pointee.isStalled else { return }
    unsafe connection.pointee.isStalled = true
    stalled.append(index)
  }

  /// Lets connections that wait for the reactor's memory or operations go on, oldest first.
  func resumeStalled() {
    isResumingStalled = true
    let waiting = stalled
    stalled.removeAll(keepingCapacity: true)
    for (position, index) in waiting.enumerated() {
      unsafe connections[Int(index)].isStalled = false
      parse(index)
      if unsafe connections[Int(index)].isStalled {
        // It did not get what it needs: nobody overtakes it.
        stalled.append(contentsOf: waiting[(position + 1)...])
        break
      }
    }
    isResumingStalled = false
    // What needed no I/O is finished already, and no completion will come for it.
    collectFinished()
  }

  /// Asks for more bytes, unless they could not be used.
  func armReceive(_ index: UInt32) {
    let connection = unsafe connections + Int(index)
    let phase = unsafe connection.pointee.phase
    guard phase == .handshake || phase == .transmission,
      unsafe !connection.pointee.isReceiving, unsafe !connection.pointee.isStalled,
      unsafe !connection.pointee.isThrottled
    else { return }
    let socket = unsafe connection.pointee.socket
    if unsafe connection.pointee.inputStart == connection.pointee.inputEnd {
      unsafe connection.pointee.inputStart = 0
      unsafe connection.pointee.inputEnd = 0
    } else if unsafe connection.pointee.inputStart > 0 {
      let rest = unsafe connection.pointee.inputEnd - connection.pointee.inputStart
      let input = unsafe connection.pointee.input
      unsafe input.copyMemory(from: input + connection.pointee.inputStart, byteCount: rest)
      unsafe connection.pointee.inputStart = 0
      unsafe connection.pointee.inputEnd = rest
    }
    let used = unsafe connection.pointee.inputEnd
    let free = unsafe connection.pointee.input + used
    let isLong = unsafe connection.pointee.lastPayloadBytes >= Connection.inputBytes / 4
    let room = (isLong ? max(Connection.inputBytesBeforePayload, used + 64) : Connection.inputBytes) - used
    // Full of options that wait until the replies before them are taken; a receive of nothing would look
    // like the client's end.
    guard room > 0 else { return }
    unsafe connection.pointee.isReceiving = true
    let operation = unsafe connection.pointee.payloadOperation
    unsafe connection.pointee.receivesPayload = operation != Connection.noOperation
    guard operation != Connection.noOperation else {
      unsafe ring.receive(socket: socket, into: free, count: room, token: token(.receive, for: index))
      return
    }
    // The rest of the payload goes where it belongs, and what follows it into the input, in one call.
    let message = unsafe connection.pointee.incoming
    message.removeAll()
    let done = unsafe connection.pointee.payloadDone
    unsafe message.append(
      redirector.operation(operation).pointee.payload! + done, connection.pointee.payloadTotal - done)
    unsafe message.append(free, room)
    ring.receive(socket: socket, message: message, token: token(.receive, for: index))
  }
}
