import ExtentMap
import Glibc
import Platform
import Primitives
import Redirection
package import Shadowing

/// An extent that is being sealed or scrubbed.
struct WorldScrub {
  enum Work {
    case sealing(Scan)
    case scrubbing(ScrubCourse)
  }

  let number: Int
  let volume: Int
  let extent: UInt64
  var work: Work
  /// The move that it waits for.
  var move: Int?

  /// Names a scrub in its operations, apart from connections and moves.
  static func owner(_ number: Int) -> UInt64 { 1 << 62 | UInt64(number) }

  static func number(ofOwner owner: UInt64) -> Int? { owner >> 62 == 1 ? Int(owner & ~(1 << 62)) : nil }
}

/// Extents that nobody writes to are sealed and scrubbed, as the daemon has it done.
extension World {
  /// Looks at an extent at some time.
  func planSeal() {
    after(latency(20_000, 3_000_000), "seal", 0) { [self] in
      if isSettling || requestsLeft == 0 { return }
      let volume = generator.below(volumes.count)
      let extent = UInt64(generator.below(volumes[volume].committed.count))
      if !lookAfter(volume, extent) { planSeal() }
    }
  }

  /// Does with an extent what comes next: watches it, seals it, or scrubs it.
  ///
  /// - Returns: whether something has begun that will end.
  @discardableResult
  func lookAfter(_ number: Int, _ extent: UInt64) -> Bool {
    let map = volumes[number].map
    let id = volumes[number].record.id
    let isTaken =
      number == excludedVolume || moves.contains { $0.move.volume == id && $0.move.extent == extent }
      || scrubs.contains { $0.volume == number && $0.extent == extent }
    guard !isTaken, let copies = ExtentCopies(map.view, extent), (try? map.makeSeal(extent)) != nil else {
      return false
    }
    let seal = map.view.seal(extent)
    let work: WorldScrub.Work
    if seal.isSealed {
      let volatile = Set(stores.indices.filter { stores[$0].isVolatile })
      work = .scrubbing(
        ScrubCourse(copies, extentBytes: volumes[number].extentBytes, sealed: seal) {
          volatile.contains(Int($0.rawValue))
        })
    } else if seal.isWatched {
      work = .sealing(Scan(store: copies.live, since: seal))
    } else {
      _ = shared.changes.watch(extent, of: map.view)
      return false
    }
    nextScrubNumber += 1
    scrubs.append(WorldScrub(number: nextScrubNumber, volume: number, extent: extent, work: work))
    trace.say("\(seal.isSealed ? "scrubs" : "seals") \(number):\(extent)")
    takeScrubStep(nextScrubNumber)
    return true
  }

  private func takeScrubStep(_ number: Int) {
    after(latency(1_000, 500_000), "scrub", UInt64(number)) { [self] in
      guard let index = scrubs.firstIndex(where: { $0.number == number }) else { return }
      switch scrubs[index].work {
      case .sealing(let scan):
        begin(scan, scrubs[index])
      case .scrubbing(var course):
        switch course.next {
        case .scan(let scan): begin(scan, scrubs[index])
        case .condemn(let stores, let heir):
          let view = volumes[scrubs[index].volume].map.view
          let sealed = view.seal(scrubs[index].extent)
          let isDone = shared.changes.condemn(
            stores, heir: heir, scrubs[index].extent, of: view, since: sealed)
          course.condemned(isDone)
          scrubs[index].work = .scrubbing(course)
          takeScrubStep(number)
        case .move(let move):
          scrubs[index].move = begin(move)
        case nil: try endScrub(index, course)
        }
      }
    }
  }

  private func begin(_ scan: Scan, _ scrub: WorldScrub) {
    let volume = volumes[scrub.volume]
    let request = Request(
      view: volume.map.view, offset: scrub.extent * volume.extentBytes, length: volume.extentBytes, flags: [],
      cookie: 0, owner: WorldScrub.owner(scrub.number), volumeBytes: volume.sizeBytes)
    let reactor = life.reactors[generator.below(plan.redirectors)]
    if reactor.redirector.scan(scan, request) == nil { takeScrubStep(scrub.number) }
    reactor.wake()
  }

  /// A step of a scan has ended.
  func scanEnded(_ number: Int, _ outcome: ScanOutcome) {
    guard let index = scrubs.firstIndex(where: { $0.number == number }) else { return }
    figures.scanSteps += 1
    switch scrubs[index].work {
    case .scrubbing(var course):
      course.scanned(outcome)
      scrubs[index].work = .scrubbing(course)
      takeScrubStep(number)
    case .sealing:
      switch outcome {
      case .busy: takeScrubStep(number)
      case .read(let next) where next.offset < volumes[scrubs[index].volume].extentBytes:
        scrubs[index].work = .sealing(next)
        takeScrubStep(number)
      case .read(let next): sealLater(number, next)
      case .void, .unreadable, .unreachable: forgetScrub(number)
      }
    }
  }

  /// The checksum is on its way from the reactor to whoever seals.
  private func sealLater(_ number: Int, _ scan: Scan) {
    after(latency(1_000, 500_000), "sealing", UInt64(number)) { [self] in
      guard let scrub = scrubs.first(where: { $0.number == number }) else { return }
      let view = volumes[scrub.volume].map.view
      if case .done = shared.changes.seal(scrub.extent, of: view, checksum: scan.sum, since: scan.since) {
        figures.seals += 1
        trace.say("sealed \(scrub.volume):\(scrub.extent)")
      }
      forgetScrub(number)
    }
  }

  /// A move that a scrub has asked for has ended.
  func moveEnded(_ end: MoveCourse.End, ofScrub index: Int) {
    guard case .scrubbing(var course) = scrubs[index].work else { return }
    course.moved(end)
    scrubs[index].work = .scrubbing(course)
    scrubs[index].move = nil
    takeScrubStep(scrubs[index].number)
  }

  private func endScrub(_ index: Int, _ course: ScrubCourse) throws {
    let scrub = scrubs[index]
    figures.scrubs += 1
    for finding in course.findings {
      trace.say("found \(finding)")
      scrubFindings.append((scrub.volume, scrub.extent, finding))
      if finding.errno == nil && !isRotten {
        throw BrokenPromise(
          "a scrub finds a copy of \(scrub.volume):\(scrub.extent) in store \(finding.store.rawValue) bad, "
            + "and it is not")
      }
    }
    forgetScrub(scrub.number)
  }

  private func forgetScrub(_ number: Int) {
    scrubs.removeAll { $0.number == number }
    planSeal()
  }

  // MARK: What tests ask for

  /// Watches an extent of the first volume, and seals it, with nothing else going on.
  ///
  /// - Returns: whether the catalog has its seal.
  package func seal(_ extent: UInt64 = 0) throws -> Bool {
    lookAfter(0, extent)
    lookAfter(0, extent)
    try settle()
    try flushAndSettle(volume: 0)
    let seal = volumes[0].map.view.seal(extent)
    return seal.isSealed && seal.pending == 0
  }

  /// Scrubs a sealed extent of the first volume, with nothing else going on.
  ///
  /// - Returns: what was found bad.
  package func scrub(_ extent: UInt64 = 0) throws -> [ScrubCourse.Finding] {
    isRotten = true
    defer { isRotten = false }
    scrubFindings = []
    guard lookAfter(0, extent) else { throw BrokenPromise("extent \(extent) can not be scrubbed") }
    try settle()
    return scrubFindings.map(\.finding)
  }

  /// Flips a bit of what a store has of an extent of the first volume.
  package func flipBit(of extent: UInt64 = 0, in store: UInt8, at offset: UInt64 = 0) {
    let (view, entry) = (volumes[0].map.view, volumes[0].map.view.entry(extent))
    var address = entry.address
    if entry.store.rawValue != store, let line = view.shadowLine(extent),
      let number = line.number(in: StoreID(rawValue: store))
    {
      address = line.shadow(number).address
    }
    precondition(address.store.rawValue == store, "the store has no copy")
    let disk = stores[Int(store)]
    disk.disk.flipBit(Int(disk.dataOffset + address.slot * volumes[0].extentBytes + offset))
  }

  // MARK: Checks

  /// Whatever is sealed holds what the seal says.
  func verifySeals() throws {
    for (number, volume) in volumes.enumerated() {
      for extent in 0..<UInt64(volume.committed.count) {
        let (seal, entry) = (volume.map.view.seal(extent), volume.map.view.entry(extent))
        guard seal.isSealed else { continue }
        guard entry.isMapped, entry.isClosed else {
          throw BrokenPromise("extent \(number):\(extent) is sealed, and open to writers")
        }
        guard checksum(of: entry, volume) == seal.checksum else {
          throw BrokenPromise("extent \(number):\(extent) does not hold what its seal says")
        }
      }
    }
  }

  /// Of what a copy holds on its disk.
  func checksum(of copy: MapEntry, _ volume: WorldVolume) -> UInt32 {
    let length = Int(volume.extentBytes)
    let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: length, alignment: 4096)
    defer { unsafe memory.deallocate() }
    unsafe read(copy, volume, into: memory.baseAddress!)
    return unsafe CRC32C.checksum(of: UnsafeRawBufferPointer(memory))
  }
}
