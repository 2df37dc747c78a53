import NBDWire
import Primitives
import Redirection

/// A world that lives by itself: clients that do as they please, and power that goes when it pleases.
extension World {
  /// Lives one world to its end.
  ///
  /// - Parameter tracing: keeps the story, which takes time.
  package static func live(seed: UInt64, tracing: Bool = false) -> WorldOutcome {
    var world: World?
    var failure: String?
    do {
      let made = try World(seed: seed, WorldPlan(seed: seed), tracing: tracing)
      world = made
      try made.live()
    } catch {
      failure = "\(error)"
    }
    let digest = world?.digest ?? 0
    world?.end()
    var figures = world?.figures ?? Figures()
    figures.nanoseconds = world?.queue.now ?? 0
    return WorldOutcome(
      seed: seed, digest: digest, figures: figures, failure: failure,
      story: world?.story(Trace.linesMax) ?? [])
  }

  private func live() throws {
    resumeClients()
    var promises = 0
    while requestsLeft > 0 {
      guard try step() else { throw BrokenPromise("clients wait for nothing") }
      if generator.chance(plan.crashOnceIn) { try crash() }
      if promiseCount > promises {
        promises = promiseCount
        if generator.chance(plan.crashOnceInPromises) { try crash() }
      }
      if generator.chance(plan.restartOnceIn) {
        try restart()
      }
    }
    try verifyAtRest()
    try crash()
    requestsLeft = 0
    try restart()
    try verifyAtRest()
    if plan.seals > 0 { try sufferRot() }
  }

  /// Clients connect, after every start.
  func resumeClients() {
    for number in 0..<plan.connections where requestsLeft > 0 { connectClient(number) }
  }

  private func connectClient(_ number: Int) {
    let connection = connect(
      reactor: generator.below(plan.redirectors), volume: number % volumes.count,
      [.simple, .structured, .extended][generator.below(3)])
    connection.window = 1 + generator.below(plan.window)
    act(connection, number)
  }

  /// A client's next move.
  private func act(_ connection: Connection, _ number: Int) {
    let isFull = connection.pending.count >= connection.window || connection.volume == excludedVolume
    after(latency(isFull ? 100_000 : 1_000, 1_000_000), "client", UInt64(number)) { [self] in
      if requestsLeft == 0 || isSettling { return }
      if connection.volume == excludedVolume { return act(connection, number) }
      if generator.chance(faults.disconnect) { try close(connection) }
      if connection.isClosed {
        connectClient(number)
        return
      }
      if connection.pending.count < connection.window {
        requestsLeft -= 1
        if generator.chance(faults.hostileRequest) {
          try misbehave(connection)
        } else {
          try send(randomRequest(connection), on: connection)
        }
      }
      act(connection, number)
    }
  }

  // MARK: Random requests

  /// A request as a careless client would make it.
  private func randomRequest(_ connection: Connection) -> ClientRequest {
    let commands: [Command] = [
      .read, .read, .read, .read, .write, .write, .write, .write, .write, .trim, .writeZeroes, .flush,
      .blockStatus, .cache,
    ]
    var request = ClientRequest(command: commands[generator.below(commands.count)], volume: connection.volume)
    if request.command == .blockStatus && connection.format == .simple { request.command = .flush }
    if request.command == .flush { return request }
    if request.command.modifies && generator.chance(5) { request.flags.insert(.forceUnitAccess) }
    (request.offset, request.length) = randomRange(volumes[connection.volume], request.command == .trim)
    switch request.command {
    case .read where connection.format != .simple && generator.chance(2): request.flags.insert(.dontFragment)
    case .writeZeroes:
      if generator.chance(2) { request.flags.insert(.noHole) }
      if generator.chance(6) { request.flags.insert(.fastZero) }
    case .blockStatus where generator.chance(3): request.flags.insert(.requestOne)
    default: break
    }
    return request
  }

  private func randomRange(_ volume: WorldVolume, _ isTrim: Bool) -> (UInt64, UInt64) {
    let cells = volume.cellCount
    let perExtent = volume.cellsPerExtent
    var start = generator.below(cells)
    var count = 1 + generator.below(generator.chance(4) ? 2 * perExtent : 16)
    if isTrim || generator.chance(8) {
      start = start / perExtent * perExtent
      count = (1 + generator.below(3)) * perExtent
      // Now and then a block less than whole extents.
      if generator.chance(4) { count -= Model.cellsPerBlock }
    } else if generator.chance(2) {
      start = start / Model.cellsPerBlock * Model.cellsPerBlock
      count = (count + 3) / Model.cellsPerBlock * Model.cellsPerBlock
    }
    count = min(count, cells - start)
    return (UInt64(start) * Model.cellBytes, UInt64(count) * Model.cellBytes)
  }

  /// A request that breaks a rule: it must be refused, and nothing else may suffer.
  private func misbehave(_ connection: Connection) throws {
    let size = volumes[connection.volume].sizeBytes
    var request = ClientRequest(command: .read, volume: connection.volume, length: 1024)
    request.refusal = .invalid
    switch generator.below(7) {
    case 0: request.commandNumber = UInt16(8 + generator.below(60_000))
    case 1: request.offset = size - 512
    case 2:
      request.command = .write
      request.offset = size - 1024 + UInt64(generator.below(2)) << 40
      request.length = 4096
      request.refusal = .noSpace
    case 3:
      request.command = .flush
      request.offset = UInt64(1 + generator.below(4096))
    case 4: request.flags = .fastZero
    case 5:
      request.command = .trim
      request.offset = UInt64.max - UInt64(generator.below(4096))
    default:
      // Bytes that are no request: the server hangs up.
      connection.wire.append(
        contentsOf: (0..<32).map { _ in UInt8(truncatingIfNeeded: generator.next() | 1) })
      request.refusal = .shutdown
    }
    try send(request, on: connection)
  }
}

/// How a world went.
package struct WorldOutcome: Sendable {
  package let seed: UInt64
  /// The fingerprint of everything that happened.
  package let digest: UInt64
  package let figures: World.Figures
  /// What was broken; nil if nothing was.
  package let failure: String?
  /// The end of the story, if it was kept.
  package let story: [String]
}
