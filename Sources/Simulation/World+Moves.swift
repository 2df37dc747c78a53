package import ExtentMap
import Glibc
import Primitives
import Redirection
package import Shadowing

/// A move under way.
struct WorldMove {
  let number: Int
  let move: Move
  var course: MoveCourse
  /// Bytes copied.
  var bytes: UInt64 = 0

  /// Names a move in its operations, apart from connections.
  static func owner(_ number: Int) -> UInt64 { 1 << 63 | UInt64(number) }

  static func number(ofOwner owner: UInt64) -> Int? { owner >> 63 == 1 ? Int(owner & ~(1 << 63)) : nil }
}

/// Copies wander between the stores, as a mover would have them do for good reasons.
extension World {
  /// Begins a move at some time.
  func planMove() {
    after(latency(20_000, 5_000_000), "move", 0) { [self] in
      if isSettling || requestsLeft == 0 { return }
      beginMove()
    }
  }

  private func beginMove() {
    let volume = generator.below(volumes.count)
    let map = volumes[volume].map
    let extent = UInt64(generator.below(volumes[volume].committed.count))
    let target = StoreID(rawValue: UInt8(generator.below(stores.count)))
    let entry = map.view.entry(extent)
    let id = volumes[volume].record.id
    // One move an extent at a time, as the mover has it.
    let isTaken =
      volume == excludedVolume || moves.contains { $0.move.volume == id && $0.move.extent == extent }
      || scrubs.contains { $0.volume == volume && $0.extent == extent }
    guard !isTaken, entry.isMapped, (try? map.makeShadowLine(extent)) != nil else {
      planMove()
      return
    }
    // Copies are made more often than dropped.
    let kinds = MoveKind.allCases + [.replicate, .resync]
    let kind = kinds[generator.below(kinds.count)]
    let source =
      kind == .replace ? StoreID(rawValue: UInt8(generator.below(stores.count))) : entry.store
    var move = Move(kind, volume: id, extent: extent, to: target, from: source, reason: "")
    move.isTargetSynced = kind != .promote || generator.chance(2)
    trace.say("\(kind) \(volume):\(extent) to \(target.rawValue)")
    begin(move)
  }

  /// Begins a move.
  ///
  /// - Returns: its number.
  @discardableResult
  package func begin(_ move: Move) -> Int {
    nextMoveNumber += 1
    moves.append(WorldMove(number: nextMoveNumber, move: move, course: MoveCourse(move)))
    takeStep(nextMoveNumber)
    return nextMoveNumber
  }

  /// Moves a copy of an extent of the first volume, and does nothing else meanwhile.
  ///
  /// - Returns: how it ended, and the bytes that were copied.
  package func move(
    _ kind: MoveKind, _ extent: UInt64 = 0, to target: UInt8, from source: UInt8? = nil
  ) throws -> (end: MoveCourse.End, bytes: UInt64) {
    _ = try volumes[0].map.makeShadowLine(extent)
    let number = begin(
      Move(
        kind, volume: volumes[0].record.id, extent: extent, to: StoreID(rawValue: target),
        from: source.map { StoreID(rawValue: $0) }, reason: "a test"))
    try settle()
    guard let end = moveEnds[number] else { throw BrokenPromise("a move that never ends") }
    return end
  }

  /// What is known of the shadows of an extent of the first volume.
  package func shadows(of extent: UInt64 = 0) -> ShadowLine? { volumes[0].map.view.shadowLine(extent) }

  /// - Parameter isTriedAgain: after a pause, as the mover has it.
  private func takeStep(_ number: Int, isTriedAgain: Bool = false) {
    let delay = isTriedAgain ? latency(1_000_000, 20_000_000) : latency(1_000, 500_000)
    after(delay, "step", UInt64(number)) { [self] in
      guard let index = moves.firstIndex(where: { $0.number == number }) else { return }
      if plan.moves > 0 && !isRotten && generator.chance(50) { moves[index].course.cancel() }
      guard let (step, target) = moves[index].course.next else { return endMove(index) }
      let move = moves[index].move
      let volume = volumes[Int(move.volume.rawValue) - 1]
      let request = Request(
        view: volume.map.view, offset: move.extent * volume.extentBytes, length: volume.extentBytes,
        flags: [],
        cookie: 0, owner: WorldMove.owner(number), volumeBytes: volume.sizeBytes)
      let reactor = life.reactors[generator.below(plan.redirectors)]
      let stride: CopyStride = number.isMultiple(of: 2) ? .long : .short
      if reactor.redirector.move(step, request, target: target, stride) == nil { takeStep(number) }
      reactor.wake()
    }
  }

  /// A step of a move has ended.
  func moveEnded(_ number: Int, _ outcome: MoveOutcome, bytes: UInt64) {
    guard let index = moves.firstIndex(where: { $0.number == number }) else { return }
    figures.moveSteps += 1
    trace.say("\(moves[index].course.next?.step as Any) of move \(number): \(outcome)")
    if case .failed = outcome {
      // The daemon does so every second, which a world at rest has no more of.
      life.reactors[0].redirector.flushInBackground()
      life.reactors[0].wake()
    }
    moves[index].course.ended(outcome)
    moves[index].bytes += bytes
    if moves[index].course.end == nil {
      takeStep(number, isTriedAgain: outcome == .busy)
    } else {
      endMove(index)
    }
  }

  private func endMove(_ index: Int) {
    let move = moves.remove(at: index)
    let end = move.course.end ?? .cancelled
    moveEnds[move.number] = (end, move.bytes)
    if let scrub = scrubs.firstIndex(where: { $0.move == move.number }) {
      moveEnded(end, ofScrub: scrub)
      return
    }
    if plan.moves > 0 { planMove() }
  }

  /// The daemon has stopped its clients, and tells the catalog that all copies are known.
  func endActivity() throws {
    let usual = faults
    faults = .none
    defer { faults = usual }
    for redirector in redirectors { redirector.sweepActivity(all: true) }
    for number in volumes.indices { try flushAndSettle(volume: number) }
    guard shared.changes.activity.count == 0 || life.hasFailedStore else {
      throw BrokenPromise("extents are active at rest")
    }
  }

  // MARK: Checks

  /// What a shadow does not lack is equal to the live copy.
  package func verifyShadows() throws {
    for (number, volume) in volumes.enumerated() {
      let length = Int(volume.extentBytes)
      let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 2 * length, alignment: 4096)
      defer { unsafe memory.deallocate() }
      let (live, copy) = unsafe (memory.baseAddress!, memory.baseAddress! + length)
      let view = volume.map.view
      var failure: String?
      volume.map.forEachShadow { extent, shadow, address in
        let line = view.shadowLine(extent)!
        if line.shadow(shadow).isFilling {
          failure = "shadow \(shadow) of extent \(number):\(extent) is being filled"
        }
        unsafe read(view.entry(extent), volume, into: live)
        unsafe read(address, volume, into: copy)
        for block in 0..<length / Int(Block.bytes) {
          let start = UInt64(block) * Block.bytes
          if line.missed(shadow) & view.parts(from: start, to: start + Block.bytes) != 0 { continue }
          if unsafe memcmp(live + Int(start), copy + Int(start), Int(Block.bytes)) != 0 {
            failure =
              "block \(block) of shadow \(shadow) of extent \(number):\(extent) is stale, and nobody knows"
          }
        }
      }
      if let failure { throw BrokenPromise(failure) }
    }
  }

  func read(_ copy: MapEntry, _ volume: WorldVolume, into buffer: UnsafeMutableRawPointer) {
    let store = stores[Int(copy.store.rawValue)]
    unsafe store.disk.read(
      Int(store.dataOffset + copy.slot * volume.extentBytes), Int(volume.extentBytes), into: buffer)
  }
}
