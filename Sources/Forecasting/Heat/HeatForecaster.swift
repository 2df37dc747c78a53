/// Forecasts, at each touch, what a copy of an extent on the fast tier would be worth.
///
/// The *payoff* of a copy is the number of requests that the extent will get while the fast tier would keep
/// it, as a share of what pays for the copy one and a half times over; more does not count, for it changes
/// no decision. It is learned online, volume by volume, from what came of earlier touches. What the model
/// says before it has learned anything is a plain rule: what is filled by the requests that come is worth a
/// copy if they are enough to pay.
///
/// Deterministic, and bounded: nothing grows after the initializer.
public struct HeatForecaster: Sendable {
  /// The requests after which an extent that is not touched leaves the fast tier. Set by whoever knows the
  /// tier.
  public var residency: Float

  let extentBytes: Float
  /// Touches that make the payoff 1.
  private let fullTouches: Float
  var records: ExtentRecords
  private var own: PayoffModel<9>
  private var ahead: PayoffModel<6>
  private var ownOutcomes: OutcomeQueue<9>
  private var aheadOutcomes: OutcomeQueue<6>
  /// The number of the request that is under way, from 1 on. Wraps around.
  var request: UInt32 = 0
  /// Requests so far, up to `maturityMax`.
  private var maturity: Float = 0
  var signals = AccessSignals()
  private var strides = StrideDetector()
  private var expectation: StrideDetector.Expectation?
  /// How fast the run is that the last touch belongs to.
  var runPace: (toEnd: Float, perExtent: Float)?

  /// Outcomes that are waited for, of each kind.
  private static let outcomesMax = 1 << 14
  /// Outcomes that are taken in at one request.
  private static let outcomesPerRequest = 8
  private static let maturityMax: Float = 16_777_216

  /// - Parameters:
  ///   - extentBytes: size of an extent.
  ///   - copyCost: what a copy to the fast tier costs, in requests to the slow tier.
  ///   - residency: requests for which the fast tier is expected to keep what is not touched.
  ///   - recordsMax: extents of which accesses are remembered; 54 bytes each.
  public init(extentBytes: UInt32, copyCost: Float, residency: Float, recordsMax: Int) {
    precondition(extentBytes >= 512 && copyCost > 0)
    self.extentBytes = Float(extentBytes)
    self.residency = residency
    fullTouches = 1.5 * copyCost
    records = ExtentRecords(capacity: recordsMax)
    own = PayoffModel(sizes: AccessSignals.ownSizes, start: 1)
    ahead = PayoffModel(sizes: AccessSignals.aheadSizes, start: 0.6)
    ownOutcomes = OutcomeQueue(capacity: Self.outcomesMax)
    aheadOutcomes = OutcomeQueue(capacity: Self.outcomesMax)
    applyRule()
  }

  /// Bytes that are in use, from the initializer on.
  public var bytes: Int {
    records.bytes + ownOutcomes.bytes + aheadOutcomes.bytes
  }

  /// A request begins; its touches follow.
  public mutating func beginRequest() {
    request &+= 1
    maturity = min(maturity + 1, Self.maturityMax)
    let age = UInt32(horizon)
    for _ in 0..<Self.outcomesPerRequest {
      guard let entry = ownOutcomes.next(at: request, age: age) else { break }
      own.learn(entry.cells, outcome: outcome(entry.extent, entry.touches))
    }
    for _ in 0..<Self.outcomesPerRequest {
      guard let entry = aheadOutcomes.next(at: request, age: age) else { break }
      ahead.learn(entry.cells, outcome: outcome(entry.extent, entry.touches))
    }
  }

  /// An extent that may be touched next.
  public struct Candidate: Sendable, Equatable {
    /// Its number.
    public var extent: UInt32
    /// Why it may be.
    public var reason: Reason

    /// Why an extent may be touched next.
    public enum Reason: Sendable, Equatable {
      /// It lies so many extents ahead of the one touched.
      case run(distance: Int)
      /// A stream of equal steps would come to it, and was right so many times in a row.
      case stride(confirmations: Int)
    }

    /// A candidate; see the properties.
    public init(extent: UInt32, reason: Reason) {
      self.extent = extent
      self.reason = reason
    }
  }

  /// Takes in a touch.
  ///
  /// - Returns: the payoff to expect of a copy from now on, about 0 to 1.
  public mutating func touch(_ access: ExtentAccess) -> Float {
    let place = records.makePlace(for: access.extent, at: access.microseconds)
    let previous = access.extent == 0 ? nil : records.record(of: access.extent - 1)
    let next = access.extent == .max - 1 ? nil : records.record(of: access.extent + 1)
    observe(access, at: place, previous: previous, next: next)
    expectation = strides.touch(access.extent)
    let cells = signals.ownCells()
    count(access, at: place)
    if isSampled(ownOutcomes.capacity) {
      ownOutcomes.append(
        .init(extent: access.extent, request: request, touches: records[place].touches, cells: cells))
    }
    return own.expected(cells)
  }

  /// What a copy of an extent would be worth that may follow the one just touched.
  public mutating func payoff(of candidate: Candidate, microseconds: UInt64) -> Float {
    var signals = CandidateSignals(reason: candidate.reason)
    let record = records.record(of: candidate.extent)
    if let record {
      signals.timeGap = timeGap(record, at: microseconds)
      signals.earlier = earlier(record)
      signals.recency = recency(record)
    }
    let cells = self.signals.aheadCells(next: signals)
    if isSampled(aheadOutcomes.capacity) {
      aheadOutcomes.append(
        .init(extent: candidate.extent, request: request, touches: record?.touches ?? 0, cells: cells))
    }
    return ahead.expected(cells)
  }

  /// What the stream of the last touch is expected to touch next, if it goes in known steps.
  public var strided: Candidate? {
    expectation.map { Candidate(extent: $0.extent, reason: .stride(confirmations: $0.confirmations)) }
  }

  /// Microseconds until the run of the last touch gets to the end of its extent, and then through each of the
  /// next; nil if it is no run.
  public var pace: (toEnd: Float, perExtent: Float)? { runPace }

  // MARK: - Learning

  /// Requests after which the outcome of a touch is looked at. At first sooner, to have learned something
  /// soon.
  private var horizon: Float { min(residency / 2, 50 + maturity / 2) }

  /// Every other touch is a sample; fewer if more outcomes than are waited for would be due in a horizon.
  private func isSampled(_ capacity: Int) -> Bool {
    // Mixed, or else a pattern of the workload with the same period would hide what it is about.
    (request &* 0x9e37_79b9) >> 8 % (UInt32(horizon) / UInt32(capacity) + 2) == 0
  }

  private func outcome(_ extent: UInt32, _ touchesThen: UInt32) -> Float {
    // A record that was forgotten meanwhile was not touched for long.
    guard let record = records.record(of: extent) else { return 0 }
    let touches = Float(record.touches &- touchesThen) / Float(ExtentRecord.touchUnit)
    return min(touches / fullTouches, 1)
  }

  /// The rule to begin with, as a prior of both models.
  private mutating func applyRule() {
    for fills in 0..<AccessSignals.fillsSteps {
      // The middle of the step, on the logarithmic scale.
      let requests = Float(1 << fills) / Float(1 << AccessSignals.fillsOne) * 1.4142135
      for rest in 0..<8 {
        own.shift(
          cell: fills * 8 + rest, of: AccessSignals.ownFillsTable,
          by: min(0, (requests - 1) / fullTouches - 1))
        ahead.shift(
          cell: fills * 8 + rest, of: AccessSignals.aheadFillsTable, by: min(0, requests / fullTouches - 1))
      }
    }
  }
}
