import ExtentMap
import NBDWire
import Primitives
import Redirection

/// What clients send, and what they make of the answers.
extension World {
  func connect(reactor: Int, volume: Int, _ format: ReplyFormat) -> Connection {
    let connection = Connection(
      number: connections.count, reactor: reactor, volume: volume,
      negotiated: Connection.negotiate(volumes[volume], format))
    connections.append(connection)
    return connection
  }

  /// Either end breaks the connection: what is not answered now never will be.
  func close(_ connection: Connection) throws {
    guard !connection.isClosed else { return }
    connection.isClosed = true
    connection.pending.removeAll()
    life.reactors[connection.reactor].drop(connection)
  }

  // MARK: Requests

  /// Sends a request.
  ///
  /// - Parameter instantly: it arrives at once and whole.
  /// - Returns: its cookie.
  @discardableResult
  func send(_ request: ClientRequest, on connection: Connection, instantly: Bool = false) throws -> UInt64 {
    let cookie = nextCookie
    nextCookie += 1
    let header = request.header(cookie: cookie, isExtended: connection.negotiated.extendedHeaders)
    var entry = PendingRequest(request: request, issue: model.tick())
    if let change = begin(request) { entry.change = change }
    if request.command == .read && request.refusal == nil {
      entry.covered = [Bool](repeating: false, count: request.cells.count)
    }
    connection.pending[cookie] = entry
    trace.say(
      "connection \(connection.number) cookie \(cookie) \(request.command) volume \(request.volume) "
        + "\(request.offset)+\(request.length) flags \(request.flags.rawValue) change \(entry.change ?? 0)")
    var bytes = Self.encode(header, isExtended: connection.negotiated.extendedHeaders)
    if connection.rules.payloadBytes(of: header) > 0 {
      bytes.append(contentsOf: payload(request, change: entry.change))
    }
    if instantly {
      connection.input.append(contentsOf: bytes)
      try life.reactors[connection.reactor].parse(connection)
    } else {
      connection.wire.append(contentsOf: bytes)
      if !connection.isDelivering { deliver(connection) }
    }
    return cookie
  }

  static func encode(_ header: RequestHeader, isExtended: Bool) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: RequestHeader.extendedSize)
    let count = unsafe bytes.withUnsafeMutableBytes {
      unsafe header.encode(into: $0.baseAddress!, isExtended: isExtended)
    }
    bytes.removeLast(bytes.count - count)
    return bytes
  }

  /// Bytes arrive: all that are on the way, or some now and the rest later.
  private func deliver(_ connection: Connection) {
    connection.isDelivering = true
    after(latency(1_000, 300_000), "arrival", UInt64(connection.number)) { [self] in
      connection.isDelivering = false
      if connection.isClosed { return }
      let count = generator.chance(3) ? 1 + generator.below(connection.wire.count) : connection.wire.count
      connection.input.append(contentsOf: connection.wire.prefix(count))
      connection.wire.removeFirst(count)
      if !connection.wire.isEmpty { deliver(connection) }
      try life.reactors[connection.reactor].parse(connection)
    }
  }

  /// The model learns of a change before anybody can see it.
  private func begin(_ request: ClientRequest) -> Int? {
    guard request.refusal == nil, request.command.modifies else { return nil }
    let now = model.now
    return model.begin(
      request.volume, changedCells(request), isZero: request.command != .write, isDurable: request.isDurable
    ) { [self] in
      let issues = connections.lazy.flatMap { $0.pending.values }.filter { $0.request.command == .read }
      return issues.map(\.issue).min() ?? now
    }
  }

  /// A trim changes whole extents only; the last one may be partly beyond the end.
  private func changedCells(_ request: ClientRequest) -> Range<Int> {
    guard request.command == .trim else { return request.cells }
    let volume = volumes[request.volume]
    let mask = volume.extentBytes - 1
    let end = request.offset + request.length
    let from = (request.offset + mask) & ~mask
    let to = end == volume.sizeBytes ? end : end & ~mask
    return Int(min(from, end) / Model.cellBytes)..<Int(max(min(from, end), to) / Model.cellBytes)
  }

  private func payload(_ request: ClientRequest, change: Int?) -> [UInt8] {
    guard let change else { return [UInt8](repeating: 0xbd, count: Int(request.length)) }
    return unsafe [UInt8](unsafeUninitializedCapacity: Int(request.length)) { buffer, count in
      let words = UnsafeMutableRawBufferPointer(buffer)
      let perCell = Int(Model.cellBytes)
      for (number, cell) in request.cells.enumerated() {
        let value = Model.value(operation: change, volume: request.volume, cell: cell)
        unsafe (words.baseAddress! + number * perCell).initializeMemory(
          as: UInt64.self, repeating: value, count: perCell / 8)
      }
      count = Int(request.length)
    }
  }

  // MARK: Replies

  /// Bytes have come back to a client.
  func receive(_ bytes: [UInt8], _ connection: Connection) throws {
    connection.decoder.feed(bytes)
    while !connection.isClosed {
      let reply = try connection.decoder.next { cookie in
        guard let request = connection.pending[cookie]?.request, request.command == .read else { return nil }
        return (request.offset, Int(request.length))
      }
      guard let reply else { return }
      try take(reply, connection)
    }
  }

  private func take(_ reply: ReplyDecoder.Reply, _ connection: Connection) throws {
    guard var entry = connection.pending[reply.cookie] else { throw BrokenPromise("an answer to no request") }
    switch reply.content {
    case .none: break
    case .data(let offset, let bytes):
      guard bytes.count % Int(Model.cellBytes) == 0 else { throw BrokenPromise("a read is answered askew") }
      try unsafe bytes.withUnsafeBytes { data in
        try cover(&entry, offset: offset, count: data.count / Int(Model.cellBytes)) { number in
          try unsafe Self.value(at: data.baseAddress! + number * Int(Model.cellBytes))
        }
      }
    case .hole(let offset, let length):
      try cover(&entry, offset: offset, count: Int(length / Model.cellBytes)) { _ in 0 }
    case .status(let context, let runs): try checkStatus(entry, context, runs)
    case .error(let number):
      guard let error = NBDErrno(rawValue: number) else { throw BrokenPromise("error \(number) is unknown") }
      entry.error = error
    }
    connection.pending[reply.cookie] = reply.isLast ? nil : entry
    if reply.isLast { try end(entry, cookie: reply.cookie) }
  }

  private func cover(
    _ entry: inout PendingRequest, offset: UInt64, count: Int, _ value: (Int) throws -> UInt64
  ) throws {
    let request = entry.request
    guard request.command == .read, offset % Model.cellBytes == 0, offset >= request.offset else {
      throw BrokenPromise("data that nobody asked for")
    }
    let first = Int((offset - request.offset) / Model.cellBytes)
    guard first + count <= entry.covered.count, !entry.covered[first..<first + count].contains(true) else {
      throw BrokenPromise("a read is answered twice, or beyond its end")
    }
    var values: [UInt64] = []
    for number in 0..<count {
      entry.covered[first + number] = true
      let cell = request.cells.lowerBound + first + number
      let found = try value(number)
      guard model.mayRead(request.volume, cell, found, issue: entry.issue) else {
        throw BrokenPromise("a read issued at \(entry.issue): " + model.describe(request.volume, cell, found))
      }
      values.append(found)
    }
    try checkBlocks(request.volume, request.cells.lowerBound + first, values)
  }

  /// No block of these cells is torn.
  func checkBlocks(_ volume: Int, _ first: Int, _ values: [UInt64]) throws {
    var start = 0
    while start < values.count {
      let end = min(values.count, start + Model.cellsPerBlock - (first + start) % Model.cellsPerBlock)
      if let (one, other) = model.tear(volume, first + start, values[start..<end]) {
        throw BrokenPromise("volume \(volume): cells \(one) and \(other) are of one block, which is torn")
      }
      start = end
    }
  }

  /// Where base:allocation promises zeros there may be zeros.
  private func checkStatus(
    _ entry: PendingRequest, _ context: UInt32, _ runs: [(length: UInt64, status: UInt32)]
  ) throws {
    let request = entry.request
    guard request.command == .blockStatus else { throw BrokenPromise("a status that nobody asked for") }
    var offset = request.offset
    for run in runs {
      guard run.length > 0 else { throw BrokenPromise("a status of nothing") }
      if context == 1, run.status & AllocationStatus.zero.rawValue != 0 {
        let end = min(offset + run.length, volumes[request.volume].sizeBytes)
        for cell in Int((offset + Model.cellBytes - 1) / Model.cellBytes)..<Int(end / Model.cellBytes)
        where !model.mayRead(request.volume, cell, 0, issue: entry.issue) {
          throw BrokenPromise("a hole where data is: " + model.describe(request.volume, cell, 0))
        }
      }
      offset += run.length
    }
  }

  private func end(_ entry: PendingRequest, cookie: UInt64) throws {
    let request = entry.request
    figures.requests += 1
    outcomes[cookie] = .some(entry.error)
    trace.fold(cookie)
    trace.fold(UInt64(entry.error?.rawValue ?? 0))
    trace.say("cookie \(cookie) is answered: \(entry.error.map { "\($0)" } ?? "success")")
    if let change = entry.change { model.end(change, succeeded: entry.error == nil) }
    if let refusal = request.refusal {
      guard entry.error == refusal else {
        throw BrokenPromise("a request that breaks a rule got \(entry.error.map { "\($0)" } ?? "success")")
      }
      return
    }
    if let error = entry.error {
      figures.errors += 1
      if trace.isKept { trace.say("\(shared.faults.takeDue(at: nil))") }
      let isAllowed =
        !faults.areHarmless || !plan.faults.areHarmless || life.hasFailedStore || error == .noSpace
        || (error == .notSupported && request.flags.contains(.fastZero))
      if !isAllowed { throw BrokenPromise("\(request.command) failed with \(error) though nothing did") }
      return
    }
    if request.command == .flush || (request.isDurable && request.command.modifies) { promiseCount += 1 }
    if request.command == .flush && entry.isPromise { model.flushed(request.volume, issue: entry.issue) }
    if entry.covered.contains(false) { throw BrokenPromise("a read is answered in part") }
  }
}
