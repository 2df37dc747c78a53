public import Measurement
public import Primitives
import Synchronization

/// The meters of one redirector: one for each store that there is, and one for the requests of clients.
///
/// Only the redirector's thread counts. Whoever watches the stores reads, from any thread, and is kept apart
/// from a meter's end by a lock that the data path never takes.
@safe
public final class StoreMeters: @unchecked Sendable {
  /// By store. Used by the redirector's thread alone; a store that is not metered has the sink.
  private let table: UnsafeMutablePointer<StoreMeter>
  /// What nobody reads: saves the data path a branch.
  private let sink = StoreMeter.allocate()
  /// How long clients' requests take.
  let requests = StoreMeter.allocate()
  /// Which copies reads came from.
  public let readShares = ReadShares()
  private let metered = Mutex<[StoreID: StoreMeter]>([:])

  /// Meters no store yet.
  public init() {
    unsafe table = .allocate(capacity: StoreTable.capacity)
    unsafe table.initialize(repeating: sink, count: StoreTable.capacity)
  }

  deinit {
    for meter in metered.withLock({ Array($0.values) }) { meter.deallocate() }
    unsafe table.deallocate()
    sink.deallocate()
    requests.deallocate()
  }

  @inline(__always)
  subscript(store: StoreID) -> StoreMeter {
    unsafe table[Int(store.rawValue)]
  }

  /// Begins to count what a store does. On the redirector's thread.
  public func begin(_ store: StoreID) {
    metered.withLock { metered in
      guard metered[store] == nil else { return }
      let meter = StoreMeter.allocate()
      metered[store] = meter
      unsafe table[Int(store.rawValue)] = meter
    }
  }

  /// Ends that; what is still in flight is not counted any more. On the redirector's thread.
  public func end(_ store: StoreID) {
    metered.withLock { metered in
      guard let meter = metered.removeValue(forKey: store) else { return }
      unsafe table[Int(store.rawValue)] = sink
      meter.deallocate()
    }
  }

  /// Adds what a store has done so far. Any thread.
  public func read(_ store: StoreID, into counts: inout StoreCounts) {
    metered.withLock { metered in
      if let meter = metered[store] { counts.add(meter) }
    }
  }

  /// Adds the requests of clients so far: latencies, from the whole request to the answer. Any thread.
  public func readRequests(into counts: inout StoreCounts) {
    counts.add(requests)
  }
}
