public import Forecasting

/// Decides at each touch what is copied to the fast tier: the extent that is touched, and the one that a
/// run will reach next. It never waits for a plan: most re-use comes within a second.
///
/// The objective is requests that the slow tier is spared, less what the copies cost. An extent is copied
/// if its payoff is expected to reach `admitFrom` of what pays for the copy one and a half times over; one
/// that is hardly expected to be touched again is the next to leave. So a scan of extents that are touched
/// once, or a cold burst, moves nothing but what was needed to learn that.
///
/// Pure: the caller says when, carries out the copies, and tells nothing back. What is on its way counts as
/// being on the tier: it serves requests that arrive meanwhile (read-through).
public struct FastLoop: Sendable {
  /// What is to be done after a touch.
  public struct Decision: Sendable, Equatable {
    /// The touched extent is to be copied.
    public var admission: Promotion?
    /// Another extent is to be copied before it is touched.
    public var ahead: Promotion?
  }

  /// A copy to the fast tier.
  public struct Promotion: Sendable, Equatable {
    /// The extent to be copied.
    public var extent: UInt32
    /// The extent whose copy is dropped for it.
    public var displaced: UInt32?
    /// Why.
    public var cause: Cause
    /// The requests that it is expected to spare the slow tier, as far as they matter: one and a half times
    /// what it costs, at most.
    public var expectedRequests: Float
  }

  /// What led to a copy.
  public enum Cause: Sendable, Equatable {
    /// The extent was touched.
    case touched
    /// It may be touched next.
    case foreseen(HeatForecaster.Candidate.Reason)
  }

  /// How copies to the fast tier are weighed.
  public struct Settings: Sendable, Equatable {
    /// Bytes of an extent.
    public var extentBytes: UInt32
    /// What a copy costs, in requests to the slow tier.
    public var copyCost: Float
    /// How long a copy takes, in microseconds: by so much earlier it must begin.
    public var copyMicroseconds: UInt64
    /// Extents of which accesses are remembered.
    public var recordsMax: Int

    /// Settings; see the properties.
    public init(
      extentBytes: UInt32, copyCost: Float, copyMicroseconds: UInt64 = 0, recordsMax: Int = 1 << 20
    ) {
      self.extentBytes = extentBytes
      self.copyCost = copyCost
      self.copyMicroseconds = copyMicroseconds
      self.recordsMax = recordsMax
    }
  }

  /// The extents on the tier or on their way.
  public private(set) var tier: FastTier
  private var forecaster: HeatForecaster
  private var settings: Settings
  private var ledger: CopyLedger
  private var request: UInt32 = 0
  /// Whether all extents of the request so far were on the tier, their copies complete.
  private var isServed = false
  /// Extents of the volume: nothing is fetched beyond its end, and nothing beyond it may be touched.
  public var extentCount: UInt32

  /// From which payoff on an extent is copied; and one that follows.
  private static let admitFrom: Float = 0.6
  private static let aheadFrom: Float = 0.6
  /// Up to which an extent counts as finished.
  private static let finishedUpTo: Float = 0.1
  /// The next extent is looked at when so many requests are left to the end of the extent.
  private static let aheadRequests: UInt64 = 4
  /// Or when it will be reached within so many times as long as a copy takes; and so many extents ahead.
  private static let leadFactor: Float = 2
  private static let aheadExtents = 4

  /// - Parameters:
  ///   - capacity: extents that the fast tier holds.
  ///   - extentCount: extents of the volume.
  public init(capacity: Int, extentCount: UInt32, settings: Settings) {
    tier = FastTier(capacity: capacity)
    self.extentCount = extentCount
    self.settings = settings
    ledger = CopyLedger(capacity: capacity, copyCost: settings.copyCost)
    forecaster = HeatForecaster(
      extentBytes: settings.extentBytes, copyCost: settings.copyCost,
      residency: Float(capacity) * 4,
      recordsMax: min(settings.recordsMax, Int(extentCount)))
  }

  /// Bytes that all of it takes, from the initializer on.
  public var bytes: Int { forecaster.bytes + tier.bytes }

  /// How long a copy takes, in microseconds.
  public var copyMicroseconds: UInt64 {
    get { settings.copyMicroseconds }
    set { settings.copyMicroseconds = newValue }
  }

  /// A request begins; its touches follow.
  public mutating func beginRequest() {
    request &+= 1
    isServed = true
    ledger.addRequest()
    forecaster.beginRequest()
  }

  /// Decides on one touch of the request that is under way.
  ///
  /// - Parameters:
  ///   - isLast: whether it is the last extent that the request touches.
  ///   - mayFetch: whether an extent is worth fetching ahead, as far as the caller knows: not if the slow
  ///     tier does not have it.
  public mutating func touch(
    _ access: ExtentAccess, isLast: Bool, mayFetch: (UInt32) -> Bool = { _ in true }
  ) -> Decision {
    let payoff = forecaster.touch(access)
    var decision = Decision()
    let isFinished = payoff < Self.finishedUpTo
    if let ready = tier.touch(
      access.extent, request: request, at: access.microseconds, isFinished: isFinished)
    {
      isServed = isServed && ready <= access.microseconds
    } else {
      isServed = false
      if payoff > Self.admitFrom, ledger.grantCopy() {
        decision.admission = promote(access.extent, .touched, payoff, at: access.microseconds)
      }
    }
    if isLast {
      decision.ahead = runAhead(of: access, mayFetch)
      if isServed { ledger.addHit() }
    }
    return decision
  }

  /// Fetches what the request's stream will touch next, if it is missing and worth it.
  private mutating func runAhead(of access: ExtentAccess, _ mayFetch: (UInt32) -> Bool) -> Promotion? {
    if let candidate = forecaster.strided, mayFetch(candidate.extent),
      let promotion = fetch(candidate, at: access.microseconds)
    {
      return promotion
    }
    // The next extents of a run, near enough that their copies must begin now; the first that is missing.
    let left = UInt64(settings.extentBytes - access.end)
    let isNear = left <= UInt64(access.requestBytes) * Self.aheadRequests
    let pace = forecaster.pace
    let lead = Float(settings.copyMicroseconds) * Self.leadFactor
    for distance in 1...Self.aheadExtents {
      let isDue = pace.map { $0.toEnd + Float(distance - 1) * $0.perExtent <= lead } ?? false
      guard distance == 1 && isNear || isDue, UInt32(distance) < extentCount - access.extent else {
        return nil
      }
      let next = access.extent + UInt32(distance)
      if tier.contains(next) || !mayFetch(next) { continue }
      return fetch(.init(extent: next, reason: .run(distance: distance)), at: access.microseconds)
    }
    return nil
  }

  private mutating func fetch(_ candidate: HeatForecaster.Candidate, at microseconds: UInt64) -> Promotion? {
    guard candidate.extent < extentCount, !tier.contains(candidate.extent) else { return nil }
    let payoff = forecaster.payoff(of: candidate, microseconds: microseconds)
    guard payoff > Self.aheadFrom, ledger.grantCopy() else { return nil }
    return promote(candidate.extent, .foreseen(candidate.reason), payoff, at: microseconds)
  }

  private mutating func promote(
    _ extent: UInt32, _ cause: Cause, _ payoff: Float, at microseconds: UInt64
  ) -> Promotion {
    ledger.addCopy()
    let departure = tier.add(
      extent, request: request, at: microseconds,
      readyMicroseconds: microseconds + settings.copyMicroseconds)
    if let idle = departure?.idleRequests { learnResidency(idleRequests: idle) }
    return Promotion(
      extent: extent, displaced: departure?.extent, cause: cause,
      expectedRequests: payoff * 1.5 * settings.copyCost)
  }

  /// What was left alone for so long has left.
  private mutating func learnResidency(idleRequests: UInt32) {
    // Smoothed over about half a turnover of the tier.
    let capacity = Float(tier.count)
    let change = max(Float(idleRequests), capacity) - forecaster.residency
    forecaster.residency += change * min(0.05, 2 / capacity)
  }

  // MARK: What the caller knows better

  /// The copy of an extent is gone, or is not made.
  ///
  /// - Parameter isRefunded: it was decided upon, and has cost nothing.
  public mutating func forget(_ extent: UInt32, isRefunded: Bool = false) {
    tier.remove(extent)
    if isRefunded { ledger.refundCopy() }
  }

  /// The tier has less room than was thought: the extent that is the next to leave goes.
  public mutating func dropNext() -> UInt32? {
    guard let departure = tier.next else { return nil }
    if let idle = departure.idleRequests(at: request) { learnResidency(idleRequests: idle) }
    tier.remove(departure.extent)
    return departure.extent
  }

  /// An extent has, or is to have, a copy that was not decided upon here. It stays as long as others would;
  /// what it costs is not booked as a wrong forecast.
  ///
  /// - Returns: the extent whose copy is dropped for it.
  public mutating func place(_ extent: UInt32, at microseconds: UInt64) -> UInt32? {
    guard extent < extentCount else { return nil }
    if tier.touch(extent, request: request, at: microseconds, isFinished: false) != nil { return nil }
    return tier.add(
      extent, request: request, at: microseconds,
      readyMicroseconds: microseconds + settings.copyMicroseconds)?.extent
  }
}
