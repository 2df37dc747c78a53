import Primitives
import Redirection

/// Servers behind stores go away and return. Requests wait for them, but not for ever; what was written and
/// not synchronized is kept, as `RemoteSession` keeps it.
extension World {
  /// Nanoseconds that a request waits for a store that is away.
  static let holdNanoseconds: UInt64 = 300_000_000

  /// The next outage of some store; none if no store has a server.
  func planOutage() {
    guard faults.outage != .none else { return }
    let remote = stores.indices.filter { stores[$0].isRemote }
    after(latency(200_000, 20_000_000), "outage", UInt64(remote.count)) { [self] in
      if isSettling || faults.outage == .none { return }
      beginOutage(of: UInt8(remote[generator.below(remote.count)]))
      planOutage()
    }
  }

  /// The server of a store is not there any more.
  ///
  /// - Returns: false if it was not before.
  @discardableResult
  package func loseServer(of store: UInt8) -> Bool {
    guard awayStores.insert(store).inserted else { return false }
    figures.outages += 1
    trace.say("store \(store) goes away")
    return true
  }

  private func beginOutage(of store: UInt8) {
    guard loseServer(of: store) else { return }
    // The reactor that owns the connection sees it break, and tries once.
    after(latency(50_000, 20_000_000), "away", UInt64(store)) { [self] in
      if awayStores.contains(store) { shared.stores.setAway(StoreID(rawValue: store), true) }
    }
    planReturn(of: store)
  }

  /// Its server will be back. Where requests may fail, perhaps too late for them.
  func planReturn(of store: UInt8) {
    let most = faults.outage == .long ? 3 * Self.holdNanoseconds : Self.holdNanoseconds / 8
    after(latency(1_000_000, most), "return", UInt64(store)) { [self] in endOutage(of: store) }
  }

  /// The server of a store is back.
  package func endOutage(of store: UInt8) {
    guard awayStores.remove(store) != nil else { return }
    trace.say("store \(store) is back")
    for job in jobs where job.directive.store == store { job.isSent = true }
    shared.stores.setAway(StoreID(rawValue: store), false)
    life.reactors[0].redirector.now = queue.now
    life.reactors[0].redirector.flushInBackground()
    life.reactors[0].wake()
  }

  /// All servers are back.
  func endOutages() {
    for store in awayStores.sorted() { endOutage(of: store) }
  }

  /// A directive for a store whose server is away waits, or ends with an error.
  ///
  /// - Returns: whether it waits.
  func awaitStore(_ job: Job) -> Bool {
    guard job.isOfStore, !job.isSent, awayStores.contains(job.directive.store) else { return false }
    if !job.directive.isPatient, shared.stores.isAway(StoreID(rawValue: job.directive.store)) {
      job.failure = -Errno.notConnected
      return false
    }
    if queue.now - job.began >= Self.holdNanoseconds {
      job.failure = -Errno.timedOut
      return false
    }
    schedule(job, after: latency(1_000_000, 8_000_000))
    return true
  }
}
