import ExtentMap
import Measurement
import NBDWire
import Platform
import Primitives

/// What takes too long is not waited for if there is another way (invariant 8).
///
/// A read is sent to another copy as well, and the first to end answers. A write that one copy has got is
/// answered without the others: they lack it from then on. Memory stays with what the kernel still works on,
/// until it gives it back, which may be never.
extension Redirector {
  // MARK: Time

  /// The transfer of the chosen copy begins.
  func beginTiming(_ index: UInt32, isWatched: Bool) {
    let op = unsafe operation(index)
    let store = unsafe Int(op.pointee.store.rawValue)
    unsafe op.pointee.began = now
    unsafe op.pointee.isOverdue = false
    readPaces[store].began()
    guard isWatched, unsafe op.pointee.bufferBytes > 0 else { return }
    if readDeadlines[store].first == nil && !watchedStores.contains(UInt8(store)) {
      watchedStores.append(UInt8(store))
    }
    readDeadlines[store].append(
      unsafe DeadlineQueue.Entry(index: index, generation: op.pointee.generation, began: now))
  }

  /// It has ended. What was overdue, has failed, or was answered by another copy says nothing of how fast the
  /// store is as a rule.
  func endTiming(_ index: UInt32) {
    let op = unsafe operation(index)
    let store = unsafe Int(op.pointee.store.rawValue)
    let took = unsafe now - min(now, op.pointee.began)
    if unsafe op.pointee.isOverdue {
      readPaces[store].endedOverdue(after: took, at: now)
    } else if unsafe op.pointee.result != 0 || op.pointee.isOrphan {
      readPaces[store].endedUseless()
    } else {
      readPaces[store].ended(after: took, at: now)
    }
    unsafe op.pointee.began = 0
  }

  /// When `checkDeadlines` has something to do; nil if nothing is watched.
  public var nextDeadline: UInt64? {
    var next: UInt64?
    for store in watchedStores {
      guard let entry = readDeadlines[Int(store)].first else { continue }
      next = min(next ?? .max, entry.began + readPaces[Int(store)].deadline)
    }
    for store in watchedWriteStores {
      if let entry = writeDeadlines[Int(store)].first { next = min(next ?? .max, entry.due) }
    }
    if let entry = lastPassDeadlines.first { next = min(next ?? .max, entry.due) }
    if let due = roundDue { next = min(next ?? .max, due) }
    return next
  }

  /// Does without whatever is overdue, where that is possible.
  public func checkDeadlines() {
    if !watchedWriteStores.isEmpty {
      for store in watchedWriteStores { checkWrites(Int(store)) }
      watchedWriteStores.removeAll { writeDeadlines[Int($0)].first == nil }
    }
    while let entry = lastPassDeadlines.first, !isUnderWay(entry) || now >= entry.due {
      lastPassDeadlines.removeFirst()
      if isUnderWay(entry) { writeIsOverdue(entry.index) }
    }
    if let due = roundDue, now >= due { leaveLateStores() }
    guard !watchedStores.isEmpty else { return }
    for store in watchedStores { checkDeadlines(Int(store)) }
    watchedStores.removeAll { readDeadlines[Int($0)].first == nil }
  }

  private func checkDeadlines(_ store: Int) {
    while let entry = readDeadlines[store].first {
      let op = unsafe operation(entry.index)
      let isUnderWay =
        unsafe op.pointee.generation == entry.generation && op.pointee.began == entry.began
        && op.pointee.step == .transferring && !op.pointee.isOrphan && !op.pointee.isOverdue
        && Int(op.pointee.store.rawValue) == store
      if isUnderWay {
        guard now >= entry.began + readPaces[store].deadline else { return }
        unsafe op.pointee.isOverdue = true
        readPaces[store].missedDeadline(at: now)
        meters[StoreID(rawValue: UInt8(store))].missDeadline()
        hedge(entry.index)
      }
      readDeadlines[store].removeFirst()
    }
  }

  // MARK: Writes to several copies

  /// The writes of all copies are about to begin, so many bytes each.
  func beginPending(_ index: UInt32, bytes: UInt64) {
    let op = unsafe operation(index)
    let copies = unsafe op.pointee.copies
    unsafe op.pointee.pending = CopySet()
    guard copies.count > 1 else { return }
    unsafe op.pointee.pending = copies
    unsafe op.pointee.began = now
    unsafe op.pointee.isOverdue = false
    unsafe op.pointee.pendingBytes = bytes
    let shares = StorePace.shares(ofBytes: bytes)
    var (longest, slowest): (UInt64, Int) = (0, 0)
    for number in 0..<copies.count {
      let store = Int(copies[number].store.rawValue)
      writePaces[store].began()
      let deadline = writePaces[store].deadline(shares: shares)
      if deadline > longest { (longest, slowest) = (deadline, store) }
    }
    watch(index, slowest, due: now + longest)
  }

  func watch(_ index: UInt32, _ store: Int, due: UInt64) {
    let op = unsafe operation(index)
    if writeDeadlines[store].first == nil && !watchedWriteStores.contains(UInt8(store)) {
      watchedWriteStores.append(UInt8(store))
    }
    unsafe writeDeadlines[store].append(
      DeadlineQueue.Entry(
        index: index, generation: op.pointee.generation, began: op.pointee.began, due: due))
  }

  /// One of them has ended.
  func endPending(_ index: UInt32, _ store: StoreID, _ result: Int32) {
    let op = unsafe operation(index)
    unsafe op.pointee.pending.remove(in: store)
    // How long it takes to prepare a slot, to zero a range or to copy a part says little of writes.
    if unsafe result < 0 || op.pointee.step == .preparing || op.pointee.kind != .write {
      writePaces[Int(store.rawValue)].endedUseless()
    } else {
      let shares = unsafe StorePace.shares(ofBytes: op.pointee.pendingBytes)
      unsafe writePaces[Int(store.rawValue)].ended(
        after: now - min(now, op.pointee.began), at: now, shares: shares)
    }
  }

  private func checkWrites(_ store: Int) {
    while let entry = writeDeadlines[store].first {
      let isUnderWay = isUnderWay(entry)
      if isUnderWay && now < entry.due { return }
      writeDeadlines[store].removeFirst()
      if isUnderWay { writeIsOverdue(entry.index) }
    }
  }

  private func isUnderWay(_ entry: DeadlineQueue.Entry) -> Bool {
    let op = unsafe operation(entry.index)
    return unsafe op.pointee.generation == entry.generation && op.pointee.began == entry.began
      && op.pointee.pending.count > 0
  }

  /// Goes on without the copies that have not been written yet, if one has been.
  private func writeIsOverdue(_ index: UInt32) {
    let op = unsafe operation(index)
    let pending = unsafe op.pointee.pending
    for number in 0..<pending.count { meters[pending[number].store].missDeadline() }
    unsafe op.pointee.isOverdue = true
    if unsafe op.pointee.step == .preparing { return preparationIsOverdue(index) }
    if unsafe op.pointee.kind == .move { return lastPassIsOverdue(index) }
    leavePending(index)
  }

  /// Of a write that is overdue, one more copy has been written, or none yet.
  func leavePending(_ index: UInt32) {
    let op = unsafe operation(index)
    let (view, pending) = unsafe (op.pointee.view, op.pointee.pending)
    var reached = unsafe op.pointee.copies
    for number in 0..<pending.count { reached.remove(in: pending[number].store) }
    let extent = unsafe op.pointee.cursor >> UInt64(view.extentShift)
    let live = unsafe op.pointee.live
    let isLeft = shared.changes.leaveCopies(
      extent, of: view, live: live, reached: reached, parts: parts(of: index)
    ) {
      for number in 0..<pending.count {
        unsafe op.pointee.late.insert(pending[number])
        leave(index, to: pending[number].store)
      }
    }
    guard isLeft else { return }
    unsafe op.pointee.copies = reached
    unsafe op.pointee.pending = CopySet()
    unsafe op.pointee.skipsCopies = true
    advanceTransfer(index)
  }

  /// A write that nobody waits for any more has ended.
  func endLate(_ index: UInt32, _ store: StoreID) {
    let op = unsafe operation(index)
    unsafe op.pointee.late.remove(in: store)
    if unsafe op.pointee.late.count == 0 && !op.pointee.isPinned { leaveGracePeriod(index) }
    // It may be one that has to go on as another operation, and there was none: now it can go on itself.
    if waitsForOperation { isRetryDue = true }
    takeBack(index, from: store)
  }

  /// A store is left alone with a directive that nobody waits for any more: the operation stays until it
  /// ends, and whose memory it uses.
  func leave(_ index: UInt32, to store: StoreID) {
    shared.stores.becameLate(store, at: now, bytes: heldBytes(index))
    missedDeadlines.writes += 1
    unsafe operation(index).pointee.commandsPending -= 1
    var holder = index
    while holder != Operation.none {
      let op = unsafe operation(holder)
      unsafe op.pointee.holds += 1
      holder = unsafe op.pointee.parent
    }
  }

  /// It has ended.
  func takeBack(_ index: UInt32, from store: StoreID) {
    writePaces[Int(store.rawValue)].endedUseless()
    if shared.stores.madeUp(store, bytes: heldBytes(index)) { noteLacking(in: store) }
    var holder = index
    while holder != Operation.none {
      let parent = unsafe operation(holder).pointee.parent
      letGo(holder)
      holder = parent
    }
  }

  /// Bytes that are not given back before the operation is: those of the request that it is a piece of.
  private func heldBytes(_ index: UInt32) -> Int {
    var holder = index
    while unsafe operation(holder).pointee.parent != Operation.none {
      holder = unsafe operation(holder).pointee.parent
    }
    return unsafe operation(holder).pointee.bufferBytes
  }

  /// The store is not late any more: its copies can be filled again, and those that lack something are among
  /// the active extents.
  private func noteLacking(in store: StoreID) {
    var isAny = false
    shared.changes.activity.forEach { active in
      let entry = active.view.entry(active.extent)
      guard entry.isMapped, let line = active.view.shadows(of: active.extent, entry),
        let number = line.number(in: store), line.missed(number) != 0, !line.shadow(number).isFilling
      else { return }
      shared.fresh.note(active.extent, of: active.view.volume)
      isAny = true
    }
    if isAny { shared.fresh.tellReady() }
  }

  private func letGo(_ index: UInt32) {
    let op = unsafe operation(index)
    unsafe op.pointee.holds -= 1
    if unsafe op.pointee.holds == 0 && op.pointee.isReleased { release(index) }
  }

  // MARK: Synchronizations

  /// When the round that this redirector leads is not to wait any longer for some store; nil if it has to:
  /// there are no copies that could do without.
  private var roundDue: UInt64? {
    if roundPending.isEmpty { return nil }
    return roundPending.compactMap { synchronizationDue($0) }.min()
  }

  /// When a store of the round is overdue; nil if it has all the time. One on which a write is overdue will
  /// not be quick with what comes after that, and the write's client waits until the catalog knows that the
  /// store lacks it.
  private func synchronizationDue(_ store: StoreID) -> UInt64? {
    // It may be back in a moment or in a month; other stores' volumes need not wait for it.
    if shared.stores.isAway(store) { return roundBegan }
    if shared.changes.activity.count == 0 { return nil }
    let deadline = synchronizationPaces[Int(store.rawValue)].deadline
    return roundBegan + (shared.stores.isLate(store) ? min(deadline, Self.patienceWithLateStores) : deadline)
  }

  /// Nanoseconds: enough for a store that only stumbled.
  private static let patienceWithLateStores: UInt64 = 10_000_000

  /// Ends the round without the stores that take too long. What was written there last counts as lacking,
  /// where there is another copy; who has none waits for the store.
  private func leaveLateStores() {
    let late = roundPending.filter { store in synchronizationDue(store).map { now >= $0 } ?? false }
    for store in late {
      roundPending.removeAll { $0 == store }
      meters[store].missDeadline()
      unsafe lateSynchronizations.append((store, operation(leader).pointee.generation, roundBegan))
      shared.stores.becameLate(store, at: now)
      shared.stores.setSynchronizing(store, late: true)
      missedDeadlines.synchronizations += 1
      dropCopies(in: store)
      isRoundRepeated = true
      isRoundWhole = false
    }
    if roundPending.isEmpty { endSynchronization() }
  }

  /// A synchronization that nobody waits for any more has ended.
  func endLateSynchronization(_ result: Int32, _ store: StoreID) {
    synchronizationPaces[Int(store.rawValue)].endedUseless()
    noteSynchronization(result, store)
    shared.stores.setSynchronizing(store, late: false)
    if shared.stores.madeUp(store) { noteLacking(in: store) }
    // Changes that waited for the store with nobody waiting for them are committed too.
    if shared.flushes.storeReturned() { leadRound() } else { flushInBackground() }
  }

  // MARK: Two copies at once

  private func hedge(_ index: UInt32) {
    let op = unsafe operation(index)
    let view = unsafe op.pointee.view
    let start = unsafe Block.floor(op.pointee.offset)
    let end = unsafe Block.ceiling(op.pointee.offset + op.pointee.length)
    let entry = view.entry(start >> UInt64(view.extentShift))
    guard unsafe op.pointee.twin == Operation.none, entry.isMapped, entry.isShadowed, hasRoom(pieces: 1),
      unsafe op.pointee.copies.count < CopySet.countMax
    else { return }
    let slow = unsafe op.pointee.copy
    var tried = unsafe op.pointee.copies
    if !tried.contains(slow) { tried.insert(slow) }
    guard let other = readCopy(view, entry, from: start, to: end, besides: tried),
      let buffer = unsafe arena.allocate(bytes: Int(end - start))
    else { return }
    guard hedges.spend() else {
      unsafe arena.release(buffer, bytes: Int(end - start))
      return
    }
    let second = slab.take()
    let twin = unsafe operation(second)
    let generation = unsafe twin.pointee.generation
    unsafe twin.pointee = op.pointee
    unsafe twin.pointee.generation = generation
    unsafe twin.pointee.buffer = buffer
    unsafe twin.pointee.bufferBytes = Int(end - start)
    unsafe twin.pointee.copies = tried
    unsafe twin.pointee.commandsPending = 0
    unsafe twin.pointee.twin = index
    unsafe op.pointee.twin = second
    enterGracePeriod(second)
    choose(other, for: second)
    missedDeadlines.hedgedReads += 1
    startRead(second, isWatched: false)
  }

  /// One of two reads of the same has ended.
  ///
  /// - Returns: whether it answers; otherwise it is gone, and the other goes on alone.
  func leaveTwin(_ index: UInt32) -> Bool {
    let op = unsafe operation(index)
    let twin = unsafe operation(op.pointee.twin)
    unsafe twin.pointee.twin = Operation.none
    unsafe op.pointee.twin = Operation.none
    guard unsafe op.pointee.result == 0 else {
      let extent = unsafe op.pointee.offset >> UInt64(op.pointee.view.extentShift)
      let bad = unsafe op.pointee.copy
      noteUnreadable(index, extent, bad)
      if unsafe !twin.pointee.copies.contains(bad) && twin.pointee.copies.count < CopySet.countMax {
        unsafe twin.pointee.copies.insert(bad)
      }
      leaveGracePeriod(index)
      release(index)
      return false
    }
    unsafe twin.pointee.isOrphan = true
    if unsafe twin.pointee.isOverdue { missedDeadlines.hedgesWon += 1 }
    return true
  }

  /// The kernel has given back what somebody else has answered.
  func endOrphan(_ index: UInt32) {
    let op = unsafe operation(index)
    unsafe op.pointee.commandsPending -= 1
    guard unsafe op.pointee.commandsPending == 0 else { return }
    endTiming(index)
    leaveGracePeriod(index)
    release(index)
  }
}
