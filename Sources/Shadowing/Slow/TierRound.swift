public import Forecasting
public import Primitives

/// One round of the slow loop: of all extents whose live copies are on another tier than they belong on,
/// those that it pays to move.
///
/// Extents go up while there is room and what is to be expected of them pays for the copy. They go down when
/// the tier lacks room, the coldest first, and no more than that takes: room that nobody needs is no reason
/// to copy. What is pinned, forbidden or archived is moved in any case. Accesses are expected from those of
/// the last hours, and from those at the same hours of earlier days: what is used every morning is there
/// before.
///
/// Pure: extents are handed in (`consider`), then the moves are taken (`choose`).
public struct TierRound: Sendable {
  /// What it goes by.
  public struct Settings: Sendable, Equatable {
    /// The share of each store's capacity that is to stay free for new extents and shadows, from 0 to 1.
    public var freeShare: Double
    /// How far ahead accesses are expected, in seconds.
    public var horizonSeconds: Float
    /// Moves that it makes at most.
    public var movesMax: Int
    /// How many of them it makes at most for what is expected because of earlier days; 0: those are not
    /// looked at.
    public var dueMovesMax: Int

    /// All as they are said.
    public init(
      freeShare: Double = 0.1, horizonSeconds: Float = 7200, movesMax: Int = 4096, dueMovesMax: Int = 2048
    ) {
      self.freeShare = freeShare
      self.horizonSeconds = horizonSeconds
      self.movesMax = movesMax
      self.dueMovesMax = dueMovesMax
    }

    /// What is to be expected of an extent.
    public func expectation(_ heat: ExtentHeat, at time: HeatTime) -> ExtentHeat.Expectation {
      heat.expectation(within: horizonSeconds, at: time, byRhythm: dueMovesMax > 0)
    }
  }

  /// An extent that belongs on another tier.
  public struct Candidate: Sendable, Equatable {
    /// Whose extent it is.
    public let volume: VolumeID
    /// Its index in the volume.
    public let extent: UInt64
    /// Its bytes.
    public let bytes: UInt64
    /// The tier of its live copy.
    public let current: Int
    /// The tier that it belongs on.
    public let wanted: Int
    /// Why it belongs there.
    public let cause: TierPolicy.Cause
    /// The accesses that are expected of it within the horizon.
    public let expectedAccesses: Float
    /// The use on earlier days for which they are expected; nil: they are for that of the last hours.
    public let due: DailyRhythm.Due?

    /// A copy costs the slow tier a request, and one for each MiB, as `gnomon replay` counts.
    var cost: Float { 1 + Float(bytes) / Float(1 << 20) }

    /// Why it is moved, in words.
    public func reason(_ settings: Settings) -> String {
      switch cause {
      case .pinned: return "its volume is pinned to tier \(wanted)"
      case .forbidden: return "its volume never uses tier \(current)"
      case .cold(let seconds): return "nobody has accessed it for \(seconds / 86_400) days"
      case .volatility(let score):
        let hundredths = Int((score * 100).rounded())
        let words = "volatility 0.\(hundredths < 10 ? "0" : "")\(min(hundredths, 99))"
        guard wanted < current else { return "\(words), and tier \(current) lacks room" }
        let expected =
          "\(words): \(Int(expectedAccesses)) accesses expected"
          + " within \(Int(settings.horizonSeconds) / 60) min"
        return due.map { "\($0.words); \(expected)" } ?? expected
      }
    }
  }

  /// Minutes with accesses, of the last hours, from which on it is more than a scan or a burst.
  static let activeMinutesMin: Float = 2.5
  /// Accesses that must be expected for each request that the copy costs.
  static let payback: Float = 4
  /// How often the moves of a round a list may be long.
  private static let keptFor = 8

  private let settings: Settings
  private var forced: [Candidate] = []
  private var up: [Candidate] = []
  private var down: [Candidate] = []
  /// Extents that lie where they belong, and could make room for hotter ones.
  private var settled: [Candidate] = []

  /// A round without extents.
  public init(_ settings: Settings) {
    self.settings = settings
  }

  /// Takes an extent in, if it belongs elsewhere.
  ///
  /// - Parameters:
  ///   - store: where its live copy lies, of which tier that is, and its size.
  ///   - heat: what is known of its accesses; nil: nothing.
  ///   - observedSeconds: for how long all accesses of its volume are known.
  ///   - time: now, on the clock of the heat.
  public mutating func consider(
    _ extent: UInt64, of volume: VolumeID, bytes: UInt64, in store: StoreCandidate, by policy: TierPolicy,
    heat: ExtentHeat?, scale: VolatilityScale, observedSeconds: UInt32, at time: HeatTime
  ) {
    let expectation = heat.map { settings.expectation($0, at: time) }
    let expected = expectation?.accesses ?? 0
    let idle = heat.flatMap { heat in
      heat.lastSeconds == 0 ? nil : UInt32(heat.fading.idleSeconds(at: time.seconds))
    }
    let (tier, cause) = policy.tier(
      current: store.tier, score: scale.score(expected), idleSeconds: idle ?? observedSeconds)
    guard let wanted = tier == store.tier ? policy.tier(below: tier) : tier else { return }
    let candidate = Candidate(
      volume: volume, extent: extent, bytes: bytes, current: store.tier, wanted: wanted,
      cause: cause, expectedAccesses: expected, due: expectation?.due)
    if tier == store.tier {
      guard case .volatility = cause else { return }
      settled.append(candidate)
      if settled.count >= Self.keptFor * settings.movesMax {
        keep(&settled) { $0.expectedAccesses < $1.expectedAccesses }
      }
      return
    }
    guard case .volatility = cause else {
      if forced.count < settings.movesMax { forced.append(candidate) }
      return
    }
    if tier > store.tier {
      down.append(candidate)
      if down.count >= Self.keptFor * settings.movesMax {
        keep(&down) { $0.expectedAccesses < $1.expectedAccesses }
      }
      return
    }
    guard expected >= candidate.cost * Self.payback, let heat else { return }
    // What came at this hour of earlier days was more than a burst then.
    guard candidate.due != nil || heat.fading.activeMinutes(at: time.seconds) >= Self.activeMinutesMin
    else { return }
    up.append(candidate)
    if up.count >= Self.keptFor * settings.movesMax {
      keep(&up) { $0.expectedAccesses > $1.expectedAccesses }
    }
  }

  /// Of a list that has grown too long, only as many can be moved. They count for each tier.
  private func keep(_ list: inout [Candidate], best: (Candidate, Candidate) -> Bool) {
    var left: [Int: Int] = [:]
    list.sort(by: best)
    list.removeAll { candidate in
      left[candidate.current, default: settings.movesMax] -= 1
      return left[candidate.current]! < 0
    }
  }

  /// The extents to be moved, in this order. What goes down makes room for what goes up, in this round if a
  /// store has some already, else in the next one.
  ///
  /// - Parameter stores: all stores of the pool.
  /// - Returns: and whether there is more that is worth moving.
  public func choose(_ stores: [StoreCandidate]) -> (chosen: [Candidate], isMore: Bool) {
    var room: [Int: Int64] = [:]
    for store in stores where !store.isVolatile && store.objection == nil {
      room[store.tier, default: 0] += spare(in: store)
    }
    var chosen: [Candidate] = []
    var isMore = false
    func take(_ candidate: Candidate) {
      guard chosen.count < settings.movesMax else { return isMore = true }
      chosen.append(candidate)
      room[candidate.wanted, default: 0] -= Int64(candidate.bytes)
    }
    forced.forEach(take)
    // The hottest first; those that find no room have some made, for the next round.
    var demand: [Int: Int64] = [:]
    var waiting: [Candidate] = []
    var promoted: [Candidate] = []
    var dueLeft = settings.dueMovesMax
    for candidate in up.sorted(by: { $0.expectedAccesses > $1.expectedAccesses }) {
      if candidate.due != nil {
        guard dueLeft > 0 else { continue }
        dueLeft -= 1
      }
      let left = room[candidate.wanted, default: 0] - Int64(candidate.bytes)
      if left >= 0 {
        room[candidate.wanted] = left
        promoted.append(candidate)
      } else {
        demand[candidate.wanted, default: 0] += Int64(candidate.bytes)
        waiting.append(candidate)
        isMore = true
      }
    }
    for (tier, left) in room where left < 0 { demand[tier, default: 0] -= left }
    for candidate in down.sorted(by: { $0.expectedAccesses < $1.expectedAccesses }) {
      guard let wanted = demand[candidate.current], wanted > 0 else { continue }
      demand[candidate.current] = wanted - Int64(candidate.bytes)
      take(candidate)
    }
    // What is left of the demand is that of the least hot ones.
    for candidate in displaced(by: waiting, demand) { take(candidate) }
    promoted.forEach { candidate in
      guard chosen.count < settings.movesMax else { return isMore = true }
      chosen.append(candidate)
    }
    return (chosen, isMore)
  }

  /// The coldest of those that lie where they belong, as far as hotter ones pay for both copies.
  ///
  /// - Parameters:
  ///   - waiting: what lacks room, the hottest first.
  ///   - demand: bytes that are to be made free on each tier.
  private func displaced(by waiting: [Candidate], _ demand: [Int: Int64]) -> [Candidate] {
    var demand = demand
    var settled = settled.sorted { $0.expectedAccesses > $1.expectedAccesses }
    var displaced: [Candidate] = []
    // From the least hot on: those before it have found room if there was any.
    for candidate in waiting.reversed() {
      let tier = candidate.wanted
      guard let index = settled.lastIndex(where: { $0.current == tier }), let wanted = demand[tier],
        wanted > 0
      else { continue }
      demand[tier] = wanted - Int64(candidate.bytes)
      let coldest = settled[index]
      let gain = candidate.expectedAccesses - coldest.expectedAccesses
      guard gain >= (candidate.cost + coldest.cost) * Self.payback else { continue }
      settled.remove(at: index)
      displaced.append(coldest)
    }
    return displaced
  }

  /// What may still be put in a store; negative: what it lacks.
  private func spare(in store: StoreCandidate) -> Int64 {
    Int64(clamping: store.freeBytes) - Int64(Double(store.capacityBytes) * settings.freeShare)
  }
}
