import ExtentMap
import Measurement
import NBDWire
import Platform
import Primitives

/// Flushes, and the rounds that this redirector leads for everybody (see `FlushCoordinator`).
extension Redirector {
  /// Begins a flush: finished when everything acknowledged before it is durable.
  ///
  /// - Returns: false if there is no room for it now; nothing has happened then.
  public func flush(_ request: Request) -> Bool {
    guard hasRoom(pieces: 1) else { return false }
    let isDue = writesSinceFlush > 0 || !Canary.flushesOwnReactorOnly.isOut
    flushesAfterOneWrite = writesSinceFlush == 1 ? flushesAfterOneWrite + 1 : 0
    writesSinceFlush = 0
    let index = make(.flush, request)
    if isDue { enterFlush(index) } else { endFlush(index, nil) }
    return true
  }

  /// Begins a flush for the control plane, which needs to know the operation that will finish: of one volume,
  /// or of all if the request's view is of none.
  ///
  /// - Returns: nil if there is no room for it now.
  public func controlFlush(_ request: Request) -> UInt32? {
    guard hasRoom(pieces: 1) else { return nil }
    let index = make(.flush, request)
    enterFlush(index)
    return index
  }

  /// Starts a flush that nobody waits for, unless one is running that will do.
  public func flushInBackground() {
    if shared.flushes.enterInBackground() { leadRound() }
  }

  /// A write has ended that is not durable yet.
  ///
  /// A client that flushes after every write (a database's log, fsync(2) in a loop) will do so again: its
  /// flush is begun while the acknowledgement of the write is on its way, and the request joins it.
  func foreseeFlush() {
    writesSinceFlush += 1
    if flushesAfterOneWrite >= Self.flushIsForeseenFrom && inFlight == (0, 0) { flushInBackground() }
  }

  func enterFlush(_ index: UInt32) {
    let op = unsafe operation(index)
    unsafe op.pointee.step = .flushing
    wait(forFlush: index)
  }

  /// Has an operation wait for a flush, in the step that it is in.
  func wait(forFlush index: UInt32) {
    let op = unsafe operation(index)
    let token = unsafe Token.make(index, op.pointee.generation)
    let view = unsafe op.pointee.view
    switch shared.flushes.enter(FlushCoordinator.Waiter(redirector: number, token: token, view: view)) {
    case .clean: endFlush(index, flushError(of: view, commitError: nil))
    case .wait: break
    case .lead: leadRound()
    }
  }

  /// Ends the flush of an operation, on behalf of a round that another redirector led.
  ///
  /// - Parameter errno: 0, or an `NBDErrno`.
  public func deliver(_ token: UInt64, errno: UInt32) {
    let op = unsafe operation(Token.index(token))
    unsafe precondition(op.pointee.generation == Token.generation(token), "a flush has ended twice")
    endFlush(Token.index(token), NBDErrno(rawValue: errno))
  }

  /// How a flush of a volume ends, or of all volumes if `view` is of none.
  private func flushError(of view: ExtentMapView, commitError: NBDErrno?) -> NBDErrno? {
    if view.isNone { return shared.stores.isAnyFailed || shared.stores.isBehind(view) ? .io : commitError }
    if shared.stores.hasLostWrites(of: view.marks) || shared.stores.isBehind(view) { return .io }
    return view.marks.uncommittedChanges > 0 ? commitError : nil
  }

  private func endFlush(_ index: UInt32, _ error: NBDErrno?) {
    let op = unsafe operation(index)
    if unsafe op.pointee.step == .activating {
      endActivation(index, error)
      return
    }
    unsafe op.pointee.error = error
    unsafe op.pointee.step = .finished
    finished.append(index, in: slab)
  }

  // MARK: Leading a round

  /// Tells the end of a commit from those of synchronizations, of which some may be late.
  private static let commitMark = Int32(Block.bytes)

  func leadRound() {
    let op = unsafe operation(leader)
    unsafe op.pointee.step = .flushing
    unsafe op.pointee.generation = (op.pointee.generation + 1) & Token.generationMask
    roundBegan = now
    isRoundWhole = !shared.stores.isAnyLateOrBehind
    roundSkips.removeAll(keepingCapacity: true)
    leaderHasChanges = shared.flushes.begin(at: now) { store in
      if Canary.commitsWithoutSynchronizing.isOut { return }
      let token = unsafe Token.make(leader, op.pointee.generation, store: store)
      roundPending.append(store)
      synchronizationPaces[Int(store.rawValue)].began()
      meters[store].begin()
      unsafe emit(.synchronize, store: store.rawValue, token: token)
    } skip: { store in
      roundSkips.append(store)
    }
    Failpoint.roundBegun.pass()
    if roundPending.isEmpty { endSynchronization() }
  }

  func completeRound(_ result: Int32, _ token: UInt64) {
    if Token.expectedBytes(token) == Self.commitMark {
      endCommit(result)
      return
    }
    let (store, round) = (Token.store(token), Token.generation(token))
    if let late = lateSynchronizations.firstIndex(where: { $0.store == store && $0.round == round }) {
      meter(.synchronize, in: store, result, since: lateSynchronizations.remove(at: late).began)
      endLateSynchronization(result, store)
      return
    }
    roundPending.removeAll { $0 == store }
    meter(.synchronize, in: store, result, since: roundBegan)
    noteSynchronization(result, store)
    if result >= 0 {
      synchronizationPaces[Int(store.rawValue)].ended(after: now - min(now, roundBegan), at: now)
    }
    Failpoint.storeSynchronized.pass()
    if roundPending.isEmpty { endSynchronization() }
  }

  func noteSynchronization(_ result: Int32, _ store: StoreID) {
    guard result < 0 else {
      shared.stores.markSynchronized(store)
      return
    }
    if shared.stores.keepsUnflushed(store, errno: -result) {
      shared.faults.note(.reach, store: store, errno: -result)
      shared.stores.markBehind(store, at: now)
      dropCopies(in: store)
      isRoundRepeated = true
      isRoundWhole = false
      return
    }
    // The kernel forgets a failed writeback: asking again would succeed without the data.
    if !Canary.forgetsFailedSynchronization.isOut {
      shared.stores.markFailed(store)
      dropCopies(in: store)
      // Shadows have taken over: nobody is answered before the catalog knows.
      isRoundRepeated = true
    }
    shared.faults.note(.synchronize, store: store, errno: -result)
  }

  func endSynchronization() {
    let op = unsafe operation(leader)
    if leaderHasChanges && shared.stores.isAnyFailed {
      (leaderHasChanges, roundDrops) = shared.changes.dropFromCut {
        shared.stores.hasLostWrites(of: $0.marks)
      }
    }
    if leaderHasChanges && (shared.stores.isAnyLateOrBehind || isRoundRepeated || !roundSkips.isEmpty) {
      // What was skipped may have ended meanwhile; that does not cover what this round is about.
      (leaderHasChanges, roundExcludes) = shared.changes.putBackFromCut(
        where: { view in
          shared.stores.waitsForLate(view) || shared.stores.isBehind(view)
            || (shared.stores.needs(view, anyOf: roundSkips) && !Canary.forgetsSkippedStores.isOut)
        },
        unsafe: { store in
          shared.stores.isDoneWithout(store)
            || (roundSkips.contains(store) && !Canary.forgetsSkippedStores.isOut)
        })
    }
    if leaderHasChanges {
      Failpoint.roundSynchronized.pass()
      #if FAULT_INJECTION
      if Canary.freesSlotsBeforeCommit.isOut, shared.reclaimer.add(shared.changes.takeRetired()) {
        unsafe emit(.grace)
      }
      #endif
      unsafe op.pointee.step = .joining
      unsafe emit(
        .commit,
        token: Token.make(leader, op.pointee.generation, expectedBytes: UInt64(Self.commitMark)))
    } else {
      endRound(commitError: nil)
    }
  }

  private func endCommit(_ result: Int32) {
    if result < 0 && !Canary.forgetsFailedCommits.isOut {
      shared.changes.commitFailed()
      endRound(commitError: StoreErrno.wire(-result))
      return
    }
    Failpoint.roundCommitted.pass()
    var startsGrace = false
    let wasFull = shared.changes.committed { startsGrace = shared.reclaimer.add($0) }
    if startsGrace {
      Failpoint.slotsRetired.pass()
      unsafe emit(.grace)
    }
    if wasFull { spaceChanged() }
    endRound(commitError: nil)
  }

  private func endRound(commitError: NBDErrno?) {
    let leadsOn = shared.flushes.finish(
      commitError: commitError, isWhole: isRoundWhole, answering: !isRoundRepeated
    ) { waiter in
      if shared.stores.isBehind(waiter.view) || shared.stores.givesUp(waiter.view) { return .failed }
      if shared.stores.waitsForLate(waiter.view) { return .later }
      if shared.stores.needs(waiter.view, anyOf: roundSkips) { return .again }
      let isExcluded =
        waiter.view.isNone ? !roundExcludes.isEmpty : roundExcludes.contains(waiter.view.volume)
      guard isExcluded else { return .now }
      // Another round at once would find the same.
      if shared.stores.isAnySynchronizingLate { return .later }
      return shared.stores.isAnyBehind ? .failed : .again
    } answer: { waiter, hasFailed in
      let error = hasFailed ? .io : flushError(of: waiter.view, commitError: commitError)
      if waiter.redirector == number {
        endFlush(Token.index(waiter.token), error)
      } else {
        unsafe emit(
          .deliver, store: waiter.redirector, length: UInt64(error?.rawValue ?? 0), token: waiter.token)
      }
    }
    isRoundRepeated = false
    roundExcludes = []
    // Whoever waits for space must not wait for slots that stay where they are.
    if commitError != nil || roundDrops { spaceChanged() }
    roundDrops = false
    if leadsOn { leadRound() }
  }
}
