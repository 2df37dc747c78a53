import Platform
import Primitives
import Redirection
import Ring

/// Reads and writes of stores, as `DispatchWindow` paces them.
extension Reactor {
  func transfer(_ directive: Directive) {
    let store = Int(directive.store)
    if transfers.windows[store].inFlight == 0 {
      transfers.windows[store].isCached = environment.shared.stores.isCached(
        StoreID(rawValue: directive.store))
    }
    // A cached transfer waits for the replies of this turn, whose data is in the processor's cache now.
    let waiting = transfers.keptBack[store].count
    if transfers.windows[store].isCached || !transfers.windows[store].admits(waiting: waiting) {
      transfers.keepBack(directive)
    } else {
      start(directive)
    }
  }

  private func start(_ directive: Directive) {
    let file = Int(directive.store)
    let token = Self.token(.transfer, directive.token)
    transfers.windows[file].began(bytes: directive.length)
    transfers.hasQueued = true
    if directive.kind == .read {
      unsafe ring.read(
        file: file, into: directive.buffer!, count: Int(directive.length), at: directive.offset, token: token)
    } else {
      Failpoint.writeQueued.pass()
      unsafe ring.write(
        file: file, from: directive.buffer!, count: Int(directive.length), at: directive.offset,
        durable: directive.durable, token: token)
    }
  }

  /// The completions of this turn have been taken: direct stores get what was kept back, as far as there is
  /// room now.
  func endTransferTurn() {
    guard !transfers.active.isEmpty else { return }
    for store in transfers.active {
      transfers.windows[store].endTurn()
      if !transfers.windows[store].isCached { startKeptBack(store) }
    }
    transfers.forgetIdle()
  }

  /// Gets direct stores to work before the replies are sent: sending copies data, which takes a while.
  func submitTransfers() {
    guard transfers.hasQueued, !dirty.isEmpty else { return }
    transfers.hasQueued = false
    ring.submitOnly()
    Failpoint.transfersSubmitted.pass()
  }

  func startCachedTransfers() {
    guard !transfers.active.isEmpty else { return }
    for store in transfers.active where transfers.windows[store].isCached { startKeptBack(store) }
    transfers.hasQueued = false
  }

  private func startKeptBack(_ store: Int) {
    var started = 0
    let count = transfers.keptBack[store].count
    while started < count, transfers.windows[store].admits(waiting: count - started - 1) {
      start(transfers.keptBack[store][started])
      started += 1
    }
    transfers.keptBack[store].removeFirst(started)
  }
}

/// The transfers of one reactor, per store.
struct TransferQueues {
  var windows = [DispatchWindow](repeating: DispatchWindow(), count: StoreTable.capacity)
  /// Transfers that are not started yet, oldest first.
  var keptBack = [[Directive]](repeating: [], count: StoreTable.capacity)
  /// Stores that have completed something in this turn, or have transfers kept back.
  private(set) var active: [Int] = []
  /// Transfers are queued that the kernel does not have yet.
  var hasQueued = false

  mutating func ended(_ store: UInt8) {
    windows[Int(store)].ended()
    activate(Int(store))
  }

  mutating func keepBack(_ directive: Directive) {
    keptBack[Int(directive.store)].append(directive)
    activate(Int(directive.store))
  }

  mutating func forgetIdle() {
    active.removeAll { keptBack[$0].isEmpty }
  }

  private mutating func activate(_ store: Int) {
    if !active.contains(store) { active.append(store) }
  }
}
