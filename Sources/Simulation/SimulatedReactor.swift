import ExtentMap
import NBDWire
import Primitives
import Redirection

/// Drives one redirector as a reactor does: bytes of connections in, directives and replies out.
@safe
final class SimulatedReactor {
  unowned let world: World
  let number: Int
  let redirector: Redirector
  /// Connections that wait for memory or operations, oldest first.
  private var stalled: [Connection] = []
  private var isResuming = false
  private var isTurnDue = false
  private var nextWatch = UInt64.max
  private let headerMemory: UnsafeMutableRawBufferPointer

  init(_ world: World, number: Int, _ redirector: Redirector) {
    self.world = world
    self.number = number
    self.redirector = redirector
    unsafe headerMemory = .allocate(byteCount: ReplyFormat.replyBytesMax, alignment: 16)
  }

  deinit {
    unsafe headerMemory.deallocate()
  }

  // MARK: Turns

  /// Something has come for the reactor: it works through it soon.
  func wake() {
    guard !isTurnDue else { return }
    isTurnDue = true
    world.after(world.latency(10, 50_000), "turn", UInt64(number)) { [unowned self] in
      isTurnDue = false
      try turn()
    }
  }

  /// One turn: try again, carry out, collect, until nothing is left to do.
  func turn() throws {
    redirector.now = world.queue.now
    redirector.checkDeadlines()
    var rounds = 0
    repeat {
      rounds += 1
      guard rounds < 10_000 else { throw BrokenPromise("a turn of reactor \(number) never ends") }
      redirector.retryParked()
      carryOut()
      collect()
      let isRoom = redirector.hasReleased && !stalled.isEmpty
      redirector.hasReleased = false
      if isRoom { try resumeStalled() }
    } while redirector.directives.count > 0
    if redirector.isRetryDue { wake() }
    watchDeadlines()
  }

  /// Works through it when the next deadline has come, unless it does so before.
  private func watchDeadlines() {
    guard let deadline = redirector.nextDeadline, deadline < nextWatch else { return }
    nextWatch = deadline
    let delay = deadline > world.queue.now ? deadline - world.queue.now : 1
    world.after(delay, "deadline", UInt64(number)) { [unowned self] in
      nextWatch = .max
      try turn()
    }
  }

  private func carryOut() {
    for position in 0..<redirector.directives.count {
      let directive = redirector.directives[position]
      switch directive.kind {
      case .wakePeers: world.post(.retryParked, toAllBut: number)
      case .grace: world.post(.grace, toAllBut: nil)
      case .deliver:
        world.post(
          .deliver(token: directive.token, errno: UInt32(directive.length)), to: Int(directive.store))
      default: world.start(Job(redirector: number, directive: directive))
      }
    }
    redirector.directives.removeAll()
  }

  func take(_ message: WorldMessage) {
    switch message {
    case .retryParked: redirector.retryLater()
    case .grace: redirector.beginGrace()
    case .deliver(let token, let errno): redirector.deliver(token, errno: errno)
    }
    wake()
  }

  // MARK: Requests

  /// Takes apart what has arrived.
  func parse(_ connection: Connection) throws {
    while !connection.isClosed && !connection.isStalled {
      if let operation = connection.payloadOperation {
        guard takePayload(connection, operation) else { break }
      } else if connection.skipBytes > 0 {
        guard connection.available > 0 else { break }
        let count = min(connection.skipBytes, connection.available)
        connection.consume(count)
        connection.skipBytes -= count
      } else if let (header, error) = connection.refusal {
        guard answer(connection, header, error: error) else { break }
        connection.refusal = nil
      } else {
        guard let header = try nextHeader(connection), try dispatch(connection, header) else { break }
        connection.consume(connection.negotiated.requestHeaderBytes)
      }
    }
    wake()
  }

  private func nextHeader(_ connection: Connection) throws -> RequestHeader? {
    guard connection.available >= connection.negotiated.requestHeaderBytes else { return nil }
    let header = unsafe connection.input.withUnsafeBytes { bytes in
      let place = unsafe bytes.baseAddress! + connection.inputStart
      return unsafe connection.rules.isExtended
        ? RequestHeader.decode(extended: place) : RequestHeader.decode(compact: place)
    }
    if header == nil { try world.close(connection) }
    return header
  }

  private func takePayload(_ connection: Connection, _ operation: UInt32) -> Bool {
    let count = min(connection.payloadTotal - connection.payloadDone, connection.available)
    unsafe connection.input.withUnsafeBytes { bytes in
      let target = unsafe redirector.operation(operation).pointee.payload! + connection.payloadDone
      if count > 0 {
        unsafe target.copyMemory(from: bytes.baseAddress! + connection.inputStart, byteCount: count)
      }
    }
    connection.consume(count)
    connection.payloadDone += count
    guard connection.payloadDone == connection.payloadTotal else { return false }
    connection.payloadOperation = nil
    redirector.startWrite(operation)
    return true
  }

  /// Begins a request; false if there is no room for it now, and it stays in the input.
  private func dispatch(_ connection: Connection, _ header: RequestHeader) throws -> Bool {
    switch connection.rules.judge(header, sizeBytes: world.volumes[connection.volume].sizeBytes) {
    case .accept: return begin(connection, header)
    case .reject(let error):
      connection.skipBytes = Int(connection.rules.payloadBytes(of: header))
      connection.refusal = (header, error)
      return true
    case .finish, .disconnect:
      try world.close(connection)
      return false
    }
  }

  private func begin(_ connection: Connection, _ header: RequestHeader) -> Bool {
    if !stalled.isEmpty && !isResuming {
      stall(connection)
      return false
    }
    let volume = world.volumes[connection.volume]
    let request = Request(
      header, view: volume.map.view, volumeBytes: volume.sizeBytes, owner: UInt64(connection.number),
      hasChunks: connection.format.hasChunks)
    let isBegun: Bool
    switch header.command {
    case .read: isBegun = redirector.read(request)
    case .write:
      let operation = redirector.makeWrite(request)
      connection.payloadOperation = operation
      connection.payloadDone = 0
      connection.payloadTotal = Int(header.length)
      isBegun = operation != nil
    case .flush: isBegun = redirector.flush(request)
    case .trim: isBegun = redirector.clear(.trim, request)
    case .writeZeroes: isBegun = redirector.clear(.zero, request)
    case .blockStatus: isBegun = answerStatus(connection, header, request)
    default: return answer(connection, header, error: nil)
    }
    if isBegun { connection.operations += 1 } else { stall(connection) }
    return isBegun
  }

  private func answerStatus(_ connection: Connection, _ header: RequestHeader, _ request: Request) -> Bool {
    let contexts = connection.negotiated.contexts
    let size = BlockStatus.bytesPerContext * contexts.count
    guard let operation = redirector.makeAnswer(request, error: nil, bufferBytes: size) else { return false }
    let op = unsafe redirector.operation(operation)
    let status = BlockStatus(of: request.view, stores: world.shared.stores, heat: nil)
    unsafe op.pointee.length = UInt64(
      status.encode(header, contexts, connection.format, into: op.pointee.buffer!))
    reply(connection, operation)
    return true
  }

  private func answer(_ connection: Connection, _ header: RequestHeader, error: NBDErrno?) -> Bool {
    let request = Request(
      view: world.volumes[connection.volume].map.view, offset: header.offset, length: 0, flags: [],
      cookie: header.cookie, owner: UInt64(connection.number), volumeBytes: 0)
    guard let operation = redirector.makeAnswer(request, error: error) else {
      stall(connection)
      return false
    }
    connection.operations += 1
    reply(connection, operation)
    return true
  }

  private func stall(_ connection: Connection) {
    connection.isStalled = true
    stalled.append(connection)
  }

  /// Lets connections that wait go on, oldest first; nobody overtakes one that still does not get its share.
  private func resumeStalled() throws {
    isResuming = true
    defer { isResuming = false }
    let waiting = stalled
    stalled = []
    for (position, connection) in waiting.enumerated() {
      connection.isStalled = false
      try parse(connection)
      if connection.isStalled {
        stalled.append(contentsOf: waiting[(position + 1)...])
        return
      }
    }
  }

  // MARK: Replies

  private func collect() {
    while let operation = redirector.popFinished() {
      if let onFinished = world.onFinished {
        onFinished(redirector, operation)
        release(operation)
        continue
      }
      let owner = unsafe redirector.operation(operation).pointee.owner
      if let move = WorldMove.number(ofOwner: owner) {
        let (outcome, bytes) = redirector.moveOutcome(operation)
        world.moveEnded(move, outcome, bytes: bytes)
        release(operation)
        continue
      }
      if let scrub = WorldScrub.number(ofOwner: owner) {
        world.scanEnded(scrub, redirector.scanOutcome(operation).outcome)
        release(operation)
        continue
      }
      reply(world.connections[Int(owner)], operation)
    }
  }

  private func reply(_ connection: Connection, _ operation: UInt32) {
    if connection.isClosed {
      release(operation)
      return
    }
    connection.replies.append(operation)
    send(connection)
  }

  private func release(_ operation: UInt32) {
    let op = unsafe redirector.operation(operation)
    let owner = unsafe op.pointee.owner
    if owner < world.connections.count, unsafe !op.pointee.flags.contains(.piece) {
      world.connections[Int(owner)].operations -= 1
    }
    redirector.release(operation)
    wake()
  }

  /// Sends everything that waits; the payloads are copied when the kernel is done with them, not before.
  private func send(_ connection: Connection) {
    guard connection.sending.isEmpty, !connection.replies.isEmpty else { return }
    swap(&connection.sending, &connection.replies)
    world.after(world.latency(100, 200_000), "sent", UInt64(connection.number)) { [unowned self] in
      var bytes: [UInt8] = []
      for operation in connection.sending {
        encode(operation, connection.format, to: &bytes)
        release(operation)
      }
      connection.sending = []
      if connection.isClosed { return }
      try world.receive(bytes, connection)
      send(connection)
    }
  }

  private func encode(_ operation: UInt32, _ format: ReplyFormat, to bytes: inout [UInt8]) {
    let header = unsafe headerMemory.baseAddress!
    let reply = unsafe redirector.encodeReply(to: operation, format, into: header)
    unsafe bytes.append(contentsOf: UnsafeRawBufferPointer(start: header, count: reply.headerBytes))
    if let payload = unsafe reply.payload {
      unsafe bytes.append(contentsOf: UnsafeRawBufferPointer(start: payload, count: reply.payloadBytes))
    }
  }

  /// The server's side of a connection that is broken.
  func drop(_ connection: Connection) {
    if let operation = connection.payloadOperation {
      redirector.abandonWrite(operation)
      connection.operations -= 1
      connection.payloadOperation = nil
    }
    for operation in connection.replies { release(operation) }
    connection.replies = []
    stalled.removeAll { $0 === connection }
    wake()
  }
}
