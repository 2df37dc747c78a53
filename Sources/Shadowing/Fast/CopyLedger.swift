/// What copies have cost and what they have saved, in requests to the slow tier: the bound on what wrong
/// forecasts can do.
///
/// Copies are paid for first and earn later, so the balance may fall, by no more than a *credit* that
/// begins small and grows with the requests up to a part of what filling the tier costs. When it is used
/// up, the forecasts do not hold for this workload: then only every so manieth copy is made, to notice when
/// they do again. Gains are not saved up: what was earned yesterday is no licence to waste today.
struct CopyLedger: Sendable {
  /// Saved less spent, at most 0.
  private(set) var balance: Float = 0
  private var credit = Self.creditStart
  private let copyCost: Float
  private let creditMax: Float
  private var refusals = 0

  private static let creditStart: Float = 256
  private static let creditPerRequest: Float = 0.01
  /// As a share of the cost of filling the tier.
  private static let creditShareMax: Float = 0.5
  /// What may be lost for ever, per request: the price of noticing change.
  private static let lossPerRequest: Float = 0.005
  /// One copy in so many is made when the credit is used up.
  private static let probeEvery = 32

  /// - Parameters:
  ///   - capacity: extents that the tier holds.
  ///   - copyCost: what a copy costs.
  init(capacity: Int, copyCost: Float) {
    self.copyCost = copyCost
    creditMax = max(Float(capacity) * copyCost * Self.creditShareMax, Self.creditStart)
  }

  /// A request came.
  mutating func addRequest() {
    balance = min(balance + Self.lossPerRequest, 0)
    credit = min(credit + Self.creditPerRequest, creditMax)
  }

  /// The tier served a request.
  mutating func addHit() {
    balance = min(balance + 1, 0)
  }

  /// A copy was begun.
  mutating func addCopy() {
    balance -= copyCost
  }

  /// A copy that was booked has not been made.
  mutating func refundCopy() {
    balance = min(balance + copyCost, 0)
  }

  /// Whether a copy that is expected to pay may be made.
  mutating func grantCopy() -> Bool {
    if balance > -credit { return true }
    refusals = (refusals + 1) % Self.probeEvery
    return refusals == 0
  }
}
