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
  private let settings: Settings
  private var ledger: CopyLedger
  private var request: UInt32 = 0
  /// Whether all extents of the request so far were on the tier, their copies complete.
  private var isServed = false
  /// Extents of the volume: nothing is fetched beyond its end.
  private let extentCount: UInt32

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

  /// Bytes that the forecaster has in use.
  public var forecasterBytes: Int { forecaster.bytes }

  /// A request begins; its touches follow.
  public mutating func beginRequest() {
    request &+= 1
    isServed = true
    ledger.addRequest()
    forecaster.beginRequest()
  }

  /// Decides on one touch of the request that is under way.
  ///
  /// - Parameter isLast: whether it is the last extent that the request touches.
  public mutating func touch(_ access: ExtentAccess, isLast: Bool) -> Decision {
    let payoff = forecaster.touch(access)
    var decision = Decision()
    let isFinished = payoff < Self.finishedUpTo
    if let ready = tier.touch(access.extent, request: request, isFinished: isFinished) {
      isServed = isServed && ready <= access.microseconds
    } else {
      isServed = false
      if payoff > Self.admitFrom, ledger.grantCopy() {
        decision.admission = promote(access.extent, at: access.microseconds)
      }
    }
    if isLast {
      decision.ahead = runAhead(of: access)
      if isServed { ledger.addHit() }
    }
    return decision
  }

  /// Fetches what the request's stream will touch next, if it is missing and worth it.
  private mutating func runAhead(of access: ExtentAccess) -> Promotion? {
    if let candidate = forecaster.strided, let promotion = fetch(candidate, at: access.microseconds) {
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
      if tier.contains(next) { continue }
      return fetch(.init(extent: next, reason: .run(distance: distance)), at: access.microseconds)
    }
    return nil
  }

  private mutating func fetch(_ candidate: HeatForecaster.Candidate, at microseconds: UInt64) -> Promotion? {
    guard candidate.extent < extentCount, !tier.contains(candidate.extent),
      forecaster.payoff(of: candidate, microseconds: microseconds) > Self.aheadFrom, ledger.grantCopy()
    else { return nil }
    return promote(candidate.extent, at: microseconds)
  }

  private mutating func promote(_ extent: UInt32, at microseconds: UInt64) -> Promotion {
    ledger.addCopy()
    let departure = tier.add(
      extent, request: request, readyMicroseconds: microseconds + settings.copyMicroseconds)
    if let idle = departure?.idleRequests {
      // The time that what was left alone has stayed; smoothed over about half a turnover of the tier.
      let capacity = Float(tier.capacity)
      let change = max(Float(idle), capacity) - forecaster.residency
      forecaster.residency += change * min(0.05, 2 / capacity)
    }
    return Promotion(extent: extent, displaced: departure?.extent)
  }
}
