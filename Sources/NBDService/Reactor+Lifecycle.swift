import ExtentMap
import Glibc
import NBDWire
import Platform
import Redirection
import Ring
import Synchronization

/// How clients come and go.
extension Reactor {
  // MARK: Arrival

  func accepted(_ listener: Int32, _ completion: Completion) {
    if !completion.more && !isShuttingDown {
      if completion.result >= 0 {
        ring.acceptMany(socket: listener, token: Self.token(.accept, UInt64(listener)))
      } else {
        // Out of descriptors, perhaps: try again at the next tick rather than spin.
        pausedListeners.append(listener)
        log.warning(
          "accepting clients is paused",
          ["cause": SystemError.text(of: -completion.result)])
      }
    }
    guard completion.result >= 0 else { return }
    let socket = completion.result
    guard !isShuttingDown, environment.connectionCount < limits.connectionsMax else {
      close(socket)
      return
    }
    let peer = Socket.prepare(socket)
    var chosen = handle
    var least = Int.max
    for reactor in environment.reactors {
      let load = reactor.connectionCount.load(ordering: .relaxed)
      if load < least {
        least = load
        chosen = reactor
      }
    }
    chosen.connectionCount.add(1, ordering: .relaxed)
    if chosen.number == handle.number {
      adopt(socket, peer: peer)
    } else {
      chosen.inbox.post(.adopt(socket: socket, peer: peer))
    }
  }

  /// Begins to serve a client that has been counted already.
  func adopt(_ socket: Int32, peer: String) {
    guard !isShuttingDown, let index = freeConnections.popLast() ?? makeConnection() else {
      close(socket)
      handle.connectionCount.subtract(1, ordering: .relaxed)
      return
    }
    let connection = unsafe connections + Int(index)
    unsafe connection.pointee.reset()
    unsafe connection.pointee.phase = .handshake
    unsafe connection.pointee.socket = socket
    let cold = ColdConnection(
      peer: peer,
      handshake: Handshake(directory: environment.exports, offersChunks: environment.tuning.offersChunks),
      secondsLeft: limits.handshakeSeconds)
    unsafe connection.pointee.cold = cold
    cold.handshake.start()
    log.debug("client connected", ["peer": peer, "reactor": handle.number])
    sendHandshake(index, cold)
    armReceive(index)
  }

  private func makeConnection() -> UInt32? {
    guard connectionsMade < connectionsCapacity else { return nil }
    let input = UnsafeMutableRawPointer.allocate(byteCount: Connection.inputBytes, alignment: 64)
    let output = UnsafeMutableRawPointer.allocate(byteCount: Connection.outputBytes, alignment: 64)
    unsafe (connections + connectionsMade).initialize(to: Connection(input: input, output: output))
    connectionsMade += 1
    return UInt32(connectionsMade - 1)
  }

  // MARK: Handshake

  func parseHandshake(_ index: UInt32) {
    let connection = unsafe connections + Int(index)
    let cold = unsafe connection.pointee.cold!
    // One batch of replies at a time: a client that does not read them is not read either.
    guard !cold.hasOutput else { return }
    let start = unsafe connection.pointee.inputStart
    let input = unsafe UnsafeRawBufferPointer(
      start: connection.pointee.input + start, count: connection.pointee.inputEnd - start)
    unsafe connection.pointee.inputStart += cold.handshake.consume(input)
    sendHandshake(index, cold)
    switch cold.handshake.outcome {
    case .negotiating: break
    case .transmission(let negotiated): beginTransmission(index, cold, negotiated)
    case .closed(let reason):
      log.debug("handshake ended", ["peer": cold.peer, "reason": reason])
      unsafe connection.pointee.phase = .draining
    }
  }

  private func beginTransmission(_ index: UInt32, _ cold: ColdConnection, _ negotiated: Negotiated) {
    let connection = unsafe connections + Int(index)
    guard let volume = environment.exports.attach(negotiated.export.name) else {
      // Deleted since the client asked for it.
      unsafe connection.pointee.phase = .draining
      return
    }
    cold.volume = volume
    cold.contexts = negotiated.contexts
    unsafe connection.pointee.view = volume.map.view
    unsafe connection.pointee.meter = handle.volumeMeters.enter(volume)
    unsafe connection.pointee.format = negotiated.replyFormat
    unsafe connection.pointee.headerBytes = negotiated.requestHeaderBytes
    unsafe connection.pointee.rules = RequestRules(negotiated)
    unsafe connection.pointee.phase = .transmission
    log.info("volume attached", ["volume": volume.name, "peer": cold.peer, "reactor": handle.number])
    while unsafe connection.pointee.phase == .transmission, parseNext(index) {}
  }

  private func sendHandshake(_ index: UInt32, _ cold: ColdConnection) {
    let bytes = cold.handshake.takeOutput()
    guard !bytes.isEmpty else { return }
    let output = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 8)
    unsafe output.copyBytes(from: bytes)
    unsafe cold.output = output
    cold.outputSent = 0
    markDirty(index)
  }

  func handshakeSent(_ index: UInt32, _ cold: ColdConnection, _ count: Int) {
    cold.outputSent += count
    if unsafe cold.outputSent == cold.output!.count { freeHandshakeOutput(cold) }
    markDirty(index)
    if !cold.hasOutput { parse(index) }
  }

  private func freeHandshakeOutput(_ cold: ColdConnection) {
    unsafe cold.output?.deallocate()
    unsafe cold.output = nil
  }

  // MARK: Departure

  /// Takes no more requests; closes when those in flight are answered.
  func drain(_ index: UInt32) {
    let connection = unsafe connections + Int(index)
    guard unsafe connection.pointee.phase == .transmission || connection.pointee.phase == .handshake else {
      return
    }
    unsafe abandonPayload(connection)
    unsafe connection.pointee.phase = .draining
    closeIfDone(index)
  }

  func protocolError(_ index: UInt32, _ what: String) {
    let peer = unsafe connections[Int(index)].cold?.peer ?? ""
    log.warning("client dropped: " + what, ["peer": peer])
    kill(index)
  }

  /// The connection is of no more use: nothing is sent; it closes when the kernel has let go of it.
  func kill(_ index: UInt32) {
    let connection = unsafe connections + Int(index)
    guard unsafe connection.pointee.phase != .dead && connection.pointee.phase != .free else { return }
    unsafe connection.pointee.phase = .dead
    unsafe abandonPayload(connection)
    // The end of a read in pieces owns the memory of pieces that are being sent.
    if unsafe !connection.pointee.isSending { unsafe endReplies(connection) }
    unsafe _ = shutdown(connection.pointee.socket, Int32(SHUT_RDWR))
    closeIfDone(index)
  }

  private func abandonPayload(_ connection: UnsafeMutablePointer<Connection>) {
    let operation = unsafe connection.pointee.payloadOperation
    // While a receive is under way the kernel may still write into the buffer; see `closeIfDone`.
    guard operation != Connection.noOperation, unsafe !connection.pointee.isReceiving else { return }
    unsafe connection.pointee.payloadOperation = Connection.noOperation
    unsafe connection.pointee.requestsInFlight -= 1
    unsafe connection.pointee.bytesInFlight -= connection.pointee.payloadTotal
    redirector.abandonWrite(operation)
  }

  /// Closes a draining or dead connection once nothing of it is left.
  func closeIfDone(_ index: UInt32) {
    let connection = unsafe connections + Int(index)
    switch unsafe connection.pointee.phase {
    case .free, .handshake, .transmission: return
    case .draining:
      guard unsafe connection.pointee.requestsInFlight == 0, unsafe !connection.pointee.isSending,
        unsafe connection.pointee.replies.isEmpty, unsafe connection.pointee.cold?.output == nil
      else { return }
      if unsafe connection.pointee.isReceiving {
        kill(index)
        return
      }
    case .dead:
      guard unsafe !connection.pointee.isSending, unsafe !connection.pointee.isReceiving else { return }
      unsafe abandonPayload(connection)
      unsafe endReplies(connection)
      guard unsafe connection.pointee.requestsInFlight == 0 else { return }
    }
    release(index)
  }

  private func endReplies(_ connection: UnsafeMutablePointer<Connection>) {
    unsafe endAll(connection.pointee.sent, of: connection)
    unsafe connection.pointee.sent = ReplyList()
    unsafe endAll(connection.pointee.replies, of: connection)
    unsafe connection.pointee.replies = ReplyList()
  }

  private func release(_ index: UInt32) {
    let connection = unsafe connections + Int(index)
    if let cold = unsafe connection.pointee.cold {
      freeHandshakeOutput(cold)
      if let volume = cold.volume {
        unsafe publishCounts(connection, volume)
        handle.volumeMeters.leave(volume)
        environment.exports.detach(volume)
        log.info("volume detached", ["volume": volume.name, "peer": cold.peer])
      }
    }
    unsafe close(connection.pointee.socket)
    unsafe connection.pointee.cold = nil
    unsafe connection.pointee.phase = .free
    unsafe connection.pointee.generation = (connection.pointee.generation &+ 1) & 0xff_ffff
    if let position = stalled.firstIndex(of: index) { stalled.remove(at: position) }
    freeConnections.append(index)
    handle.connectionCount.subtract(1, ordering: .relaxed)
    reportIfShutDown()
  }

  private func publishCounts(_ connection: UnsafeMutablePointer<Connection>, _ volume: Volume) {
    let counts = unsafe connection.pointee.counts
    guard counts != Traffic.Counts() else { return }
    volume.traffic.add(counts)
    handle.traffic.add(counts)
    unsafe connection.pointee.counts = Traffic.Counts()
  }

  // MARK: Time

  /// Once a second: deadlines, counters, and what no request asks for.
  func ticked() {
    for index in 0..<UInt32(connectionsMade) {
      let connection = unsafe connections + Int(index)
      switch unsafe connection.pointee.phase {
      case .free, .dead: continue
      case .handshake, .transmission, .draining:
        guard let cold = unsafe connection.pointee.cold else { continue }
        if let volume = cold.volume {
          unsafe publishCounts(connection, volume)
          checkProgress(index)
          continue
        }
        // Negotiating, or done with it and only slow to take the last replies.
        cold.secondsLeft -= 1
        if cold.secondsLeft <= 0 || isShuttingDown {
          log.debug("handshake takes too long", ["peer": cold.peer])
          kill(index)
        }
      }
    }
    remotesTicked()
    redirector.flushInBackground()
    if handle.number == 0 { redirector.sweepActivity() }
    reportFaults()
    redirector.trimMemory(from: Self.registeredBytes)
    for listener in pausedListeners where !isShuttingDown {
      ring.acceptMany(socket: listener, token: Self.token(.accept, UInt64(listener)))
    }
    pausedListeners.removeAll()
    if isShuttingDown { beginShutdown() }
  }

  /// A client that does not take its replies, or does not send the rest of a write, is dropped if others
  /// wait for the memory that it holds. A trickle is as bad as nothing.
  private func checkProgress(_ index: UInt32) {
    let connection = unsafe connections + Int(index)
    let owesPayload = unsafe connection.pointee.payloadOperation != Connection.noOperation
    guard unsafe connection.pointee.isSending || owesPayload else {
      unsafe connection.pointee.madeProgress()
      return
    }
    if unsafe connection.pointee.bytesMoved >= limits.progressBytesPerSecond {
      unsafe connection.pointee.madeProgress()
      return
    }
    unsafe connection.pointee.bytesMoved = 0
    unsafe connection.pointee.ticksWithoutProgress += 1
    let isStuck = unsafe connection.pointee.ticksWithoutProgress > limits.stalledSendSeconds
    if isStuck && (!stalled.isEmpty || isShuttingDown) {
      protocolError(
        index, "it does not \(owesPayload ? "send the rest of a write" : "take its replies") and others wait")
    }
  }

  // MARK: Shutting down

  /// Closes connections that have nothing in flight; the others follow as they finish.
  func beginShutdown() {
    for index in 0..<UInt32(connectionsMade) {
      let connection = unsafe connections + Int(index)
      switch unsafe connection.pointee.phase {
      case .free, .dead: continue
      case .handshake: kill(index)
      case .transmission:
        // Requests that have arrived are refused in the meantime, until a tick finds nothing in flight.
        if unsafe connection.pointee.requestsInFlight == 0 { drain(index) }
      case .draining: closeIfDone(index)
      }
    }
    reportIfShutDown()
  }

  private func reportIfShutDown() {
    guard isShuttingDown, handle.connectionCount.load(ordering: .relaxed) == 0, let done = shutDownDone
    else { return }
    shutDownDone = nil
    done()
  }
}

extension Connection {
  /// Makes an entry ready for a new client; its memory stays.
  mutating func reset() {
    inputStart = 0
    inputEnd = 0
    isReceiving = false
    receivesPayload = false
    payloadOperation = Self.noOperation
    skipBytes = 0
    refusal = nil
    isStalled = false
    isThrottled = false
    lastPayloadBytes = 0
    rules = nil
    view = .none
    meter = nil
    isSending = false
    isDirty = false
    replies = ReplyList()
    sent = ReplyList()
    madeProgress()
    requestsInFlight = 0
    bytesInFlight = 0
    counts = Traffic.Counts()
  }
}
