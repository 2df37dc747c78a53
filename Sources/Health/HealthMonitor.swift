public import Primitives

/// Watches the health of all stores of a pool: samples in, scores, reasons and decisions out.
///
/// Pure and deterministic: no clock, no chance, no I/O. Once a second the owner hands in a sample of each
/// store, asks for a decision, and carries out the events; it may read reports at any time. Not safe for
/// several threads.
public struct HealthMonitor: Sendable {
  private struct Entry: Sendable {
    let store: StoreID
    var health: StoreHealth
  }

  /// By number.
  private var entries: [Entry] = []
  private var policy: HealthPolicy

  /// Watches no store yet.
  public init(settings: HealthSettings = HealthSettings()) {
    policy = HealthPolicy(settings: settings)
  }

  /// Watches another store.
  ///
  /// - Parameter group: the same number for stores of comparable kind, that is of one tier and one kind of
  ///   place.
  public mutating func add(_ store: StoreID, group: Int) {
    remove(store)
    entries.append(Entry(store: store, health: StoreHealth(group: group)))
    entries.sort { $0.store < $1.store }
  }

  /// Forgets a store.
  public mutating func remove(_ store: StoreID) {
    entries.removeAll { $0.store == store }
    policy.remove(store)
  }

  /// Takes what happened in a store in the last interval. A store that is not watched is left alone.
  public mutating func observe(_ sample: StoreSample, of store: StoreID) {
    guard let index = entries.firstIndex(where: { $0.store == store }) else { return }
    let group = entries[index].health.group
    let peers = entries.filter { $0.store != store && $0.health.group == group }.map(\.health.failSlow)
    entries[index].health.observe(sample, peers: peers)
  }

  /// Decides what each store is to do from now on.
  ///
  /// - Parameters:
  ///   - nanoseconds: the time on any clock that does not go backwards.
  ///   - satOutMax: stores that may be sat out at the same time.
  ///   - redundancy: what is at stake with a store, as things are now. It is asked for of every store.
  /// - Returns: what changes, by store.
  public mutating func decide(
    at nanoseconds: UInt64, satOutMax: Int, redundancy: (StoreID) -> StoreRedundancy
  ) -> [HealthEvent] {
    let findings = entries.map { entry in
      HealthPolicy.Finding(
        store: entry.store, group: entry.health.group, sharedScore: entry.health.sharedScore,
        ownScore: entry.health.ownScore, isDead: entry.health.isDead, redundancy: redundancy(entry.store))
    }
    return policy.decide(findings, at: nanoseconds, satOutMax: satOutMax).compactMap { change in
      report(of: change.store).map { report in
        HealthEvent(
          store: change.store, nanoseconds: nanoseconds, from: change.from, to: change.to,
          score: report.score, reasons: report.reasons)
      }
    }
  }

  /// What the policy has come to for a store.
  public func standing(of store: StoreID) -> HealthPolicy.Standing { policy.standing(of: store) }

  /// The failure score of a store, 0…100, without the work of a report; nil if it is not watched.
  public func score(of store: StoreID) -> Double? {
    entries.first { $0.store == store }?.health.score
  }

  /// The health of a store; nil if it is not watched.
  public func report(of store: StoreID) -> HealthReport? {
    guard let health = entries.first(where: { $0.store == store })?.health else { return nil }
    let standing = policy.standing(of: store)
    return HealthReport(
      store: store, score: health.score, state: standing.state,
      sinceNanoseconds: standing.sinceNanoseconds, holdingBack: standing.holdingBack, modes: health.modes,
      warnings: health.warnings(evacuateScore: policy.settings.evacuateScore),
      hasBaseline: health.hasBaseline)
  }
}
