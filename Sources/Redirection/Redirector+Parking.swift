import ExtentMap
import NBDWire
import Platform
import Primitives
import Synchronization

/// Operations that wait for a gate, a range or space, and grace periods.
///
/// There is no list of who waits for what: whoever releases something has all parked operations tried
/// again. They are few, because only the slow path parks.
extension Redirector {
  /// Tries parked operations again until none of them can be helped by another.
  public func retryParked() {
    if !waitingForSpace.isEmpty { retryWaitingForSpace() }
    guard isRetryDue else { return }
    isRetryDue = false
    for _ in 0..<parked.count {
      guard let index = parked.popFirst(in: slab) else { return }
      resuming = index
      hasReparked = false
      let op = unsafe operation(index)
      if unsafe op.pointee.step == .draining {
        continueDraining(index)
      } else {
        switch unsafe op.pointee.kind {
        case .write: tryPart(index)
        case .move: tryMove(index)
        default: if unsafe op.pointee.late.count > 0 { handOver(index) } else { advanceRange(index) }
        }
      }
      resuming = Operation.none
      if !hasReparked { shared.parkedCount.subtract(1, ordering: .sequentiallyConsistent) }
    }
  }

  /// Something was released somewhere: tries parked operations again before the driver waits.
  public func retryLater() {
    isRetryDue = true
  }

  func park(_ index: UInt32, draining: Bool = false) {
    let op = unsafe operation(index)
    unsafe op.pointee.step = draining ? .draining : .parked
    parked.append(index, in: slab)
    if resuming == index {
      hasReparked = true
      return
    }
    // Counted first, then tried once more: what was released before the count was seen is not missed.
    shared.parkedCount.add(1, ordering: .sequentiallyConsistent)
    isRetryDue = true
  }

  /// Waits until slots have come back, or there is room for map changes, since `changes` was read.
  ///
  /// Not among the parked: operations that find no space release their gate again and again, so they would
  /// wake each other for nothing.
  func waitForSpace(_ index: UInt32, since changes: Int) {
    unsafe operation(index).pointee.step = .parked
    if waitingForSpace.isEmpty { spaceChangesSeen = changes }
    waitingForSpace.append(index, in: slab)
  }

  /// Whoever waits for space may find some, or learn that there is none.
  func spaceChanged() {
    shared.reclaimer.spaceChanged()
    isRetryDue = true
    if shared.redirectorCount > 1 { unsafe emit(.wakePeers) }
  }

  /// Holds an operation back that needs a map change, while as many as may wait for the catalog: until some
  /// are committed, or, if commits fail, not at all.
  ///
  /// - Parameter changes: what `Reclaimer.spaceChanges` was before there was no room.
  /// - Returns: false if the operation was refused: its error is set, and the caller ends it.
  func waitForChanges(_ index: UInt32, since changes: Int) -> Bool {
    if let error = shared.flushes.lastCommitError {
      let op = unsafe operation(index)
      unsafe op.pointee.error = .noSpace
      unsafe shared.faults.note(
        .refuse, volume: op.pointee.view.volume,
        errno: error == .noSpace ? StoreErrno.noSpace : StoreErrno.io)
      return false
    }
    waitForSpace(index, since: changes)
    flushInBackground()
    return true
  }

  private func retryWaitingForSpace() {
    guard shared.reclaimer.spaceChanges != spaceChangesSeen else { return }
    while let index = waitingForSpace.popFirst(in: slab) {
      parked.append(index, in: slab)
      shared.parkedCount.add(1, ordering: .sequentiallyConsistent)
    }
    isRetryDue = true
  }

  /// A gate was opened, the last writer behind one has gone, or a range was unlocked.
  func released() {
    let count = shared.parkedCount.load(ordering: .sequentiallyConsistent)
    guard count > 0 else { return }
    if !parked.isEmpty { isRetryDue = true }
    if count > parked.count, !directives.wakesPeers, shared.redirectorCount > 1 {
      unsafe emit(.wakePeers)
    }
  }

  // MARK: Grace periods

  /// The operation is about to take an address from the map.
  @inline(__always)
  func enterGracePeriod(_ index: UInt32) {
    unsafe operation(index).pointee.epoch = epoch
    if epoch == 0 { inFlight.0 += 1 } else { inFlight.1 += 1 }
  }

  /// The operation no longer uses the address, and the kernel has given everything back.
  @inline(__always)
  func leaveGracePeriod(_ index: UInt32) {
    let started = unsafe operation(index).pointee.epoch
    if started == 0 { inFlight.0 -= 1 } else { inFlight.1 -= 1 }
    if isInGrace && started != epoch { checkGracePeriod() }
  }

  /// Begins a grace period: from now on this redirector knows when all that is in flight has ended.
  public func beginGrace() {
    precondition(!isInGrace, "one grace period at a time")
    isInGrace = true
    epoch ^= 1
    checkGracePeriod()
  }

  private func checkGracePeriod() {
    guard (epoch == 0 ? inFlight.1 : inFlight.0) == 0 || Canary.skipsGracePeriods.isOut else { return }
    isInGrace = false
    let (isReady, startsAnother) = shared.reclaimer.passed()
    if isReady {
      Failpoint.gracePassed.pass()
      unsafe emit(.reclaim)
    }
    if startsAnother { unsafe emit(.grace) }
  }
}
