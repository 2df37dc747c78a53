public import Primitives

/// Decides from the scores of all stores what each of them is to do. Pure: whoever asks hands the time in.
public struct HealthPolicy: Sendable {
  /// What is known of a store at the moment of a decision.
  public struct Finding: Sendable {
    /// The store.
    public var store: StoreID
    /// Stores with the same number are of comparable kind: the same tier and kind of place.
    public var group: Int
    /// The part of the failure score, 0…100, that a cause outside the store can bring about as well:
    /// fail-slow, stall and network.
    public var sharedScore: Double
    /// The part that it can not: errors, space and media.
    public var ownScore: Double
    /// Nothing comes from the store any more: it hangs, or its connection is down.
    public var isDead: Bool
    /// What is at stake.
    public var redundancy: StoreRedundancy

    /// The failure score.
    var score: Double { FailureScore.combined([sharedScore, ownScore]) }

    /// Takes everything as it is.
    public init(
      store: StoreID, group: Int, sharedScore: Double, ownScore: Double, isDead: Bool,
      redundancy: StoreRedundancy
    ) {
      self.store = store
      self.group = group
      self.sharedScore = sharedScore
      self.ownScore = ownScore
      self.isDead = isDead
      self.redundancy = redundancy
    }
  }

  /// What the policy has come to for a store.
  public struct Standing: Sendable, Equatable {
    /// What the store is to do.
    public internal(set) var state = HealthState.serving
    /// Why it does not do less.
    public internal(set) var holdingBack: HoldingBack?
    /// When the state began; 0 before the first change.
    public internal(set) var sinceNanoseconds: UInt64 = 0

    var placements = Latch()
    var evacuation = Latch()
    var sitOut = Latch()
    /// When slowness began that has not ended.
    var slowSinceNanoseconds: UInt64?
  }

  /// A change that `decide` made.
  public struct Change: Sendable, Equatable {
    /// The store.
    public var store: StoreID
    /// The state before.
    public var from: HealthState
    /// The state from now on.
    public var to: HealthState
  }

  /// When it acts.
  public var settings: HealthSettings
  private var standings: [StoreID: Standing] = [:]
  private var lastNanoseconds: UInt64?

  /// No store is known, so all serve.
  public init(settings: HealthSettings = HealthSettings()) {
    self.settings = settings
  }

  /// What a store is to do.
  public func standing(of store: StoreID) -> Standing { standings[store] ?? Standing() }

  /// Forgets a store that is no more.
  public mutating func remove(_ store: StoreID) { standings[store] = nil }

  /// Decides anew; about once a second.
  ///
  /// - Parameters:
  ///   - findings: of all stores, in any order.
  ///   - nanoseconds: the time on any clock that does not go backwards.
  ///   - satOutMax: stores that may be sat out at the same time.
  /// - Returns: what has changed, by store.
  public mutating func decide(
    _ findings: [Finding], at nanoseconds: UInt64, satOutMax: Int
  ) -> [Change] {
    let seconds = lastNanoseconds.map { Double(nanoseconds - min($0, nanoseconds)) / 1e9 } ?? 0
    lastNanoseconds = nanoseconds
    // The worst first, so that it is the one which may sit out; then by number, so that it is always the
    // same.
    let ordered = findings.sorted { ($1.score, $0.store) < ($0.score, $1.store) }
    for finding in ordered { noteSlowness(finding, at: nanoseconds) }
    let suspended = commonCauses(ordered)
    for finding in ordered {
      advance(finding, isCommon: suspended.contains(finding.store), seconds: seconds)
    }
    var changes: [Change] = []
    for finding in ordered {
      let isCommon = suspended.contains(finding.store)
      if let change = settle(finding, isCommon: isCommon, at: nanoseconds, satOutMax, changes) {
        changes.append(change)
      }
    }
    return changes.sorted { $0.store < $1.store }
  }

  private mutating func noteSlowness(_ finding: Finding, at nanoseconds: UInt64) {
    let isSlow = finding.sharedScore >= settings.noNewPlacementsScore
    let since = standings[finding.store]?.slowSinceNanoseconds
    standings[finding.store, default: Standing()].slowSinceNanoseconds = isSlow ? since ?? nanoseconds : nil
  }

  private mutating func advance(_ finding: Finding, isCommon: Bool, seconds: Double) {
    let score = isCommon ? finding.ownScore : finding.score
    var standing = standing(of: finding.store)
    func terms(_ threshold: Double, after: Double) -> Latch.Terms {
      Latch.Terms(
        threshold: threshold, margin: settings.marginScore, setAfterSeconds: after,
        clearAfterSeconds: settings.comeBackAfterSeconds,
        clearAfterDeathSeconds: min(settings.returnAfterSeconds, settings.comeBackAfterSeconds))
    }
    let atOnce = finding.isDead && !isCommon
    let act = settings.actAfterSeconds
    standing.placements.advance(
      score: score, seconds: seconds, terms(settings.noNewPlacementsScore, after: act), isDead: atOnce,
      atOnce: atOnce, mayClear: !isCommon)
    standing.evacuation.advance(
      score: score, seconds: seconds, terms(settings.evacuateScore, after: act), isDead: atOnce,
      atOnce: false, mayClear: !isCommon)
    standing.sitOut.advance(
      score: score, seconds: seconds, terms(settings.satOutScore, after: settings.sitOutAfterSeconds),
      isDead: atOnce, atOnce: atOnce, mayClear: !isCommon)
    standings[finding.store] = standing
  }

  /// Brings the state where the latches want it, as far as the guards allow.
  private mutating func settle(
    _ finding: Finding, isCommon: Bool, at nanoseconds: UInt64, _ satOutMax: Int, _ changes: [Change]
  ) -> Change? {
    var standing = standing(of: finding.store)
    let from = standing.state
    standing.holdingBack = isCommon ? .commonCause : nil
    let isOut = from == .satOut || from == .returning
    if standing.sitOut.isSet {
      let guarded = isOut ? nil : holdingBack(finding, satOutMax, changes)
      if let guarded { standing.holdingBack = guarded }
      // From a dead store nothing can be moved; it is worth a try once it has been dead for long.
      let isWaiting = finding.isDead && !standing.evacuation.isSet
      standing.state = guarded == nil ? .satOut : isWaiting ? .noNewPlacements : .evacuating
    } else if isOut, finding.redundancy.staleCopies > 0 {
      standing.state = .returning
    } else {
      standing.state =
        standing.evacuation.isSet ? .evacuating : standing.placements.isSet ? .noNewPlacements : .serving
    }
    if standing.state != from { standing.sinceNanoseconds = nanoseconds }
    standings[finding.store] = standing
    return standing.state == from ? nil : Change(store: finding.store, from: from, to: standing.state)
  }

  /// Why a store may not be sat out now; nil if it may.
  private func holdingBack(_ finding: Finding, _ satOutMax: Int, _ changes: [Change]) -> HoldingBack? {
    if finding.redundancy.onlyCopies > 0 { return .onlyCopies(finding.redundancy.onlyCopies) }
    let satOut = standings.values.count { $0.state == .satOut || $0.state == .returning }
    if satOut >= satOutMax { return .redundancy(satOut: satOut) }
    return changes.contains { $0.to == .satOut } ? .oneAtATime : nil
  }
}

extension HealthPolicy {
  /// The stores whose slowness has a cause that they share: all of one group (two at least), or more than
  /// half of all stores (two at least), turned slow within `commonCauseSeconds`.
  private func commonCauses(_ findings: [Finding]) -> Set<StoreID> {
    let most = turnedSlowTogether(findings.map(\.store))
    var suspended = most.count >= 2 && 2 * most.count > findings.count ? most : []
    for members in Dictionary(grouping: findings, by: \.group).values where members.count >= 2 {
      let slow = turnedSlowTogether(members.map(\.store))
      if slow.count == members.count { suspended.formUnion(slow) }
    }
    return suspended
  }

  /// Of these stores, those that are slow and became so within `commonCauseSeconds` before the last one did.
  private func turnedSlowTogether(_ stores: [StoreID]) -> Set<StoreID> {
    let slow = stores.compactMap { store in
      standings[store]?.slowSinceNanoseconds.map { (store: store, since: $0) }
    }
    guard let last = slow.map({ $0.since }).max() else { return [] }
    return Set(slow.filter { Double(last - $0.since) / 1e9 <= settings.commonCauseSeconds }.map { $0.store })
  }
}
