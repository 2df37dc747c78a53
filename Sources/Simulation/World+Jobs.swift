import Catalog
import ExtentMap
import Primitives
import Redirection

/// What the kernel, the disks, the catalog and the threads behind the reactors do.
extension World {
  /// Takes a directive that needs somebody's work.
  func start(_ job: Job) {
    jobs.append(job)
    job.began = queue.now
    switch job.directive.kind {
    case .commit: life.catalogThread.async { [self] in try carryOut(job) }
    case .reclaim: life.reclaimThread.async { [self] in try carryOut(job) }
    default:
      if job.directive.kind == .synchronize { job.point = disk(of: job).synchronizationPoint }
      schedule(job, after: storeLatency())
    }
  }

  func schedule(_ job: Job, after delay: UInt64) {
    after(delay, job.isExecuted ? "end of job" : "job", UInt64(job.directive.kind.rawValue)) { [self] in
      try carryOut(job)
    }
  }

  /// A job that a test held and holds no more goes on.
  func resume(_ job: Job) {
    schedule(job, after: 1_000)
  }

  private func storeLatency() -> UInt64 {
    if generator.chance(faults.hang) { return latency(50_000_000, 2_000_000_000) }
    let usual = latency(10_000, 1_000_000)
    return generator.chance(faults.latencySpike) ? 100 * usual : usual
  }

  /// A job is executed, or its end is delivered.
  private func carryOut(_ job: Job) throws {
    if holds(job) {
      held.append(job)
      return
    }
    guard job.isExecuted else {
      if awaitStore(job) { return }
      if let failure = job.failure { job.result = failure } else { try execute(job) }
      job.isExecuted = true
      if !fileSystem.disk.isOff { schedule(job, after: latency(100, 200_000)) }
      return
    }
    jobs.removeAll { $0 === job }
    if job.directive.kind == .reclaim {
      for slot in job.slots {
        shared.placement.release(slot.store, slot: slot.slot, slotBytes: slot.slotBytes)
      }
      shared.reclaimer.released(job.slots.count)
      post(.retryParked, toAllBut: nil)
      return
    }
    let reactor = life.reactors[job.redirector]
    reactor.redirector.now = queue.now
    reactor.redirector.complete(job.directive.token, job.result)
    reactor.wake()
  }

  func disk(of job: Job) -> SimulatedStore {
    stores[Int(job.directive.store)].disk
  }

  // MARK: Execution

  private func execute(_ job: Job) throws {
    let directive = job.directive
    let length = Int(directive.length)
    let offset = Int(directive.offset)
    switch directive.kind {
    case .read:
      job.result = transferred(directive.length, errorOnceIn: faults.readError)
      if job.result > 0 {
        unsafe disk(of: job).read(offset, Int(job.result), into: directive.buffer!)
      }
    case .write:
      job.result = transferred(directive.length, errorOnceIn: faults.writeError)
      let done = Int(job.result) / SimulatedStore.blockBytes
      unsafe disk(of: job).write(offset, length, from: directive.buffer!, durably: directive.durable) {
        [self] block in
        job.result < 0 ? generator.chance(2) : block < done
      }
      if generator.chance(4) { disk(of: job).persist { [self] _ in generator.chance(3) } }
    case .zero, .punch, .reserve: allocate(job)
    case .synchronize:
      synchronizeCount += 1
      trace.say("store \(directive.store) is synchronized")
      if generator.chance(faults.synchronizeError) {
        job.result = -Errno.io
        life.hasFailedStore = true
        disk(of: job).loseWriteback { [self] _ in generator.chance(2) }
      } else {
        disk(of: job).synchronize(upTo: job.point) { [self] _ in generator.chance(2) }
      }
    case .commit: try commit(job)
    case .reclaim: try reclaim(job)
    case .wakePeers, .grace, .deliver: preconditionFailure("not a job")
    }
  }

  private func allocate(_ job: Job) {
    let directive = job.directive
    if generator.chance(faults.allocationUnsupported) { job.result = -Errno.notSupported }
    if generator.chance(faults.allocationFull) || fullStores.contains(directive.store) {
      job.result = -Errno.noSpace
    }
    guard directive.kind != .reserve, job.result != -Errno.notSupported else { return }
    unsafe disk(of: job).write(Int(directive.offset), Int(directive.length), from: nil) { [self] _ in
      job.result == 0 || generator.chance(2)
    }
  }

  private func transferred(_ length: UInt64, errorOnceIn: Int) -> Int32 {
    if generator.chance(errorOnceIn) { return -Errno.io }
    guard generator.chance(faults.shortTransfer) else { return Int32(length) }
    return Int32(generator.below(Int(length / Block.bytes)) * SimulatedStore.blockBytes)
  }

  // MARK: The catalog's thread

  private func commit(_ job: Job) throws {
    job.deltas = shared.changes.cutDeltas
    trace.say(
      "commits "
        + job.deltas.map {
          "\($0.volume.rawValue - 1):\($0.extent) \($0.plane) \(String($0.word, radix: 16))"
        }.joined(separator: ", "))
    var last: [UInt64: MapDelta] = [:]
    for delta in job.deltas where delta.plane == .live {
      last[UInt64(delta.volume.rawValue) << 32 | delta.extent] = delta
    }
    for delta in last.values where delta.entry.isMapped {
      let store = stores[Int(delta.entry.store.rawValue)]
      let bytes = volumes[Int(delta.volume.rawValue) - 1].extentBytes
      if store.disk.hasDurableGarbage(Int(store.dataOffset + delta.entry.slot * bytes), Int(bytes)) {
        throw BrokenPromise(
          "extent \(delta.volume.rawValue - 1):\(delta.extent) is to be mapped to slot "
            + "\(delta.entry.slot) of store \(delta.entry.store.rawValue), whose zeros are not durable")
      }
    }
    if plan.cutsPowerInCatalog && !isSettling && generator.chance(20) {
      fileSystem.disk.accessesLeft = generator.below(12)
    }
    guard let catalog = life.catalog else { preconditionFailure("a commit without a catalog") }
    if generator.chance(faults.commitError) {
      job.result = generator.chance(2) ? -Errno.noSpace : -Errno.io
      // An error may be reported although the transaction is in the file.
      if !generator.chance(4) { return }
      try? catalog.append(job.deltas)
    } else {
      do throws(GnomonError) {
        try catalog.append(job.deltas)
      } catch {
        job.result = error.code == .full ? -Errno.noSpace : -Errno.io
        trace.say("commit failed: \(error)")
        return
      }
    }
    for delta in job.deltas {
      volumes[Int(delta.volume.rawValue) - 1].commit(delta)
    }
    if generator.chance(plan.foldOnceIn) { foldLater() }
  }

  /// Folds a piece of the journal after whatever else waits, and perhaps the rest.
  private func foldLater() {
    life.catalogThread.async { [self] in
      if plan.cutsPowerInCatalog && !isSettling && generator.chance(10) {
        fileSystem.disk.accessesLeft = generator.below(30)
      }
      do throws(GnomonError) {
        let isMore = try life.catalog?.checkpoint(pagesMax: 1 + generator.below(3)) ?? false
        if isMore && generator.chance(2) { foldLater() }
      } catch {
        trace.say("the journal was not folded: \(error)")
        if error.code == .corrupt { throw BrokenPromise("folding finds damage: \(error)") }
      }
      if !fileSystem.disk.isOff { fileSystem.disk.accessesLeft = nil }
    }
  }

  // MARK: The reclaim thread

  /// Nothing in flight may touch a slot that is freed, and the catalog must not refer to it.
  private func reclaim(_ job: Job) throws {
    job.slots = shared.reclaimer.takeReady()
    for slot in job.slots {
      try verifyUnused(slot)
      let entry = MapEntry(store: slot.store, slot: slot.slot)
      for volume in volumes where volume.extentBytes == slot.slotBytes && volume.refers(to: entry) {
        throw BrokenPromise("slot \(slot.slot) is freed while the catalog refers to it")
      }
    }
    for run in RetiredSlot.runs(of: job.slots) where generator.chance(2) {
      // A discard is best effort.
      let store = stores[Int(run.store.rawValue)]
      unsafe store.disk.write(Int(store.dataOffset + run.start), Int(run.length), from: nil)
    }
  }

  /// Nothing in flight may touch a slot that is free.
  func verifyUnused(_ slot: RetiredSlot) throws {
    let store = stores[Int(slot.store.rawValue)]
    let start = store.dataOffset + slot.slot * slot.slotBytes
    let range = start..<start + slot.slotBytes
    if jobs.contains(where: {
      $0.isStorage && $0.directive.store == slot.store.rawValue && $0.range.overlaps(range)
    }) {
      throw BrokenPromise("slot \(slot.slot) is freed while I/O is in flight on it")
    }
  }

  // MARK: Crash

  /// What a crash leaves of a job that was under way: any of its blocks, in any state.
  func executeInPart(_ job: Job) {
    let directive = job.directive
    switch directive.kind {
    case .write, .zero, .punch:
      let source = unsafe directive.kind == .write ? UnsafeRawPointer(directive.buffer!) : nil
      unsafe disk(of: job).write(Int(directive.offset), Int(directive.length), from: source) { [self] _ in
        generator.chance(2)
      }
    case .synchronize: disk(of: job).persist { [self] _ in generator.chance(2) }
    default: break
    }
  }
}

/// Linux error numbers of simulated failures.
enum Errno {
  static let io: Int32 = 5
  static let noSpace: Int32 = 28
  static let notSupported: Int32 = 95
  static let notConnected: Int32 = 107
  static let timedOut: Int32 = 110
}
