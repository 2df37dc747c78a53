import ExtentMap
import Primitives
import TestSupport

@testable import Redirection

/// What happens next: one completion, one message, one turn of a redirector.
extension World {
  /// Takes one step of those that are possible; false if none is.
  func step() throws -> Bool {
    stepCount += 1
    guard stepCount < Self.stepsMax else {
      let parked = redirectors.map(\.parked.count)
      throw BrokenPromise("it never comes to rest; \(jobs.count) jobs, parked: \(parked)")
    }
    let turns = redirectors.indices.filter { needsTurn[$0] || redirectors[$0].isRetryDue }
    let free = jobs.indices.filter { !holds(jobs[$0]) }
    let mail = inboxes.indices.filter { !inboxes[$0].isEmpty }
    let counts = [turns.count * 2, free.count, mail.count, filling.count, unreleased.isEmpty ? 0 : 1]
    let total = counts.reduce(0, +)
    guard total > 0 else { return false }
    var choice = generator.below(total)
    note(UInt64(choice))
    if choice < counts[0] {
      try turn(turns[choice / 2])
      return true
    }
    choice -= counts[0]
    if choice < counts[1] {
      try advance(free[choice])
      return true
    }
    choice -= counts[1]
    if choice < counts[2] {
      take(mail[choice])
      return true
    }
    choice -= counts[2]
    if choice < counts[3] {
      let write = filling.remove(at: choice)
      try arrive(write.redirector, write.operation, write.request)
      return true
    }
    try releaseOldest()
    return true
  }

  /// One turn of a reactor: try again, carry out, collect, until nothing is left to do.
  func turn(_ number: Int) throws {
    needsTurn[number] = false
    let redirector = redirectors[number]
    var rounds = 0
    repeat {
      rounds += 1
      guard rounds < 10_000 else { throw BrokenPromise("a turn of redirector \(number) never ends") }
      redirector.retryParked()
      carryOut(number)
      while let operation = redirector.popFinished() { unreleased.append((number, operation)) }
    } while redirector.directives.count > 0
  }

  private func carryOut(_ number: Int) {
    let redirector = redirectors[number]
    for position in 0..<redirector.directives.count {
      let directive = redirector.directives[position]
      switch directive.kind {
      case .wakePeers:
        for peer in redirectors.indices where peer != number { inboxes[peer].append(.retryParked) }
      case .grace:
        for peer in redirectors.indices { inboxes[peer].append(.grace) }
      case .deliver:
        inboxes[Int(directive.store)].append(
          .deliver(token: directive.token, errno: UInt32(directive.length)))
      default:
        var job = Job(redirector: number, directive: directive)
        if directive.kind == .commit { job.deltas = shared.changes.cutDeltas }
        jobs.append(job)
      }
    }
    redirector.directives.removeAll()
  }

  private func take(_ number: Int) {
    let message = inboxes[number].removeFirst()
    switch message {
    case .retryParked: redirectors[number].retryLater()
    case .grace: redirectors[number].beginGrace()
    case .deliver(let token, let errno): redirectors[number].deliver(token, errno: errno)
    }
    needsTurn[number] = true
  }

  /// A job is executed, or its end is delivered, or both.
  private func advance(_ index: Int) throws {
    if !jobs[index].isExecuted {
      var job = jobs[index]
      try execute(&job)
      job.isExecuted = true
      jobs[index] = job
      if generator.chance(2) { return }
    }
    jobs.swapAt(index, jobs.count - 1)
    let job = jobs.removeLast()
    if job.directive.kind == .reclaim {
      for slot in job.slots {
        shared.placement.release(slot.store, slot: slot.slot, slotBytes: slot.slotBytes)
      }
      shared.reclaimer.released(job.slots.count)
      for number in redirectors.indices { inboxes[number].append(.retryParked) }
      return
    }
    redirectors[job.redirector].complete(job.directive.token, job.result)
    needsTurn[job.redirector] = true
  }

  // MARK: What the kernel, the disks and the catalog do

  private func execute(_ job: inout Job) throws {
    let directive = job.directive
    let length = Int(directive.length)
    let offset = Int(directive.offset)
    switch directive.kind {
    case .read:
      job.result = transferred(directive.length, errorOnceIn: weather.readError)
      if job.result > 0 {
        unsafe disk(directive).read(offset, Int(job.result), into: directive.buffer!)
      }
    case .write:
      job.result = transferred(directive.length, errorOnceIn: weather.writeError)
      let done = Int(job.result) / SimulatedStore.blockBytes
      unsafe disk(directive).write(offset, length, from: directive.buffer!, durably: directive.durable) {
        [self] block in
        job.result < 0 ? generator.chance(2) : block < done
      }
      if generator.chance(4) { disk(directive).persist { [self] _ in generator.chance(3) } }
    case .zero, .punch, .reserve:
      if generator.chance(weather.allocationUnsupported) { job.result = -StoreErrno.notSupported }
      if generator.chance(weather.allocationFull) || fullStores.contains(directive.store) {
        job.result = -StoreErrno.noSpace
      }
      if directive.kind != .reserve && job.result != -StoreErrno.notSupported {
        unsafe disk(directive).write(offset, length, from: nil) { [self] _ in
          job.result == 0 || generator.chance(2)
        }
      }
    case .synchronize:
      synchronizeCount += 1
      if generator.chance(weather.synchronizeError) {
        job.result = -StoreErrno.io
        hasFailedStore = true
        disk(directive).loseWriteback { [self] _ in generator.chance(2) }
      } else {
        disk(directive).synchronize()
      }
    case .commit:
      if generator.chance(weather.commitError) {
        job.result = generator.chance(2) ? -StoreErrno.noSpace : -StoreErrno.io
        // An error may be reported although the transaction is in the file.
        if !generator.chance(4) { return }
      }
      try commit(job.deltas)
    case .reclaim: try reclaim(&job)
    case .wakePeers, .grace, .deliver: preconditionFailure("not a job")
    }
  }

  func disk(_ directive: Directive) -> SimulatedStore {
    stores[Int(directive.store)].disk
  }

  private func transferred(_ length: UInt64, errorOnceIn: Int) -> Int32 {
    if generator.chance(errorOnceIn) { return -StoreErrno.io }
    guard generator.chance(weather.shortTransfer) else { return Int32(length) }
    return Int32(generator.below(Int(length / Block.bytes)) * SimulatedStore.blockBytes)
  }

  private func commit(_ deltas: [MapDelta]) throws {
    for delta in deltas {
      let number = Int(delta.volume.rawValue) - 1
      if delta.entry.isMapped {
        let store = stores[Int(delta.entry.store.rawValue)]
        let bytes = volumes[number].extentBytes
        let offset = Int(store.dataOffset + delta.entry.slot * bytes)
        if store.disk.hasDurableGarbage(offset, Int(bytes)) {
          throw BrokenPromise("the map points to a slot whose zeros are not durable")
        }
      }
      volumes[number].committed[Int(delta.extent)] = delta.entry
    }
  }

  /// Nothing in flight may touch a slot that is freed, and the catalog must not refer to it.
  private func reclaim(_ job: inout Job) throws {
    job.slots = shared.reclaimer.takeReady()
    for slot in job.slots {
      let store = stores[Int(slot.store.rawValue)]
      let start = store.dataOffset + slot.slot * slot.slotBytes
      let range = start..<start + slot.slotBytes
      if jobs.contains(where: {
        $0.isStorage && $0.directive.store == slot.store.rawValue && $0.range.overlaps(range)
      }) {
        throw BrokenPromise("slot \(slot.slot) is freed while I/O is in flight on it")
      }
      let entry = MapEntry(store: slot.store, slot: slot.slot)
      for volume in volumes where volume.extentBytes == slot.slotBytes && volume.committed.contains(entry) {
        throw BrokenPromise("slot \(slot.slot) is freed while the catalog refers to it")
      }
      // A discard is best effort.
      if generator.chance(2) {
        unsafe store.disk.write(Int(start), Int(slot.slotBytes), from: nil)
      }
    }
  }

  /// What a crash leaves of a job that was under way: any of its blocks, in any state.
  func executeInPart(_ job: Job) {
    let directive = job.directive
    switch directive.kind {
    case .write, .zero, .punch:
      let source = unsafe directive.kind == .write ? UnsafeRawPointer(directive.buffer!) : nil
      unsafe disk(directive).write(Int(directive.offset), Int(directive.length), from: source) { [self] _ in
        generator.chance(2)
      }
    case .synchronize: disk(directive).persist { [self] _ in generator.chance(2) }
    case .commit where generator.chance(2): try? commit(job.deltas)
    default: break
    }
  }
}
