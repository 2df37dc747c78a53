import Forecasting
import Primitives
import Shadowing

/// Something that prediction decided on an extent, and what came of it.
struct Decision: Sendable {
  /// What is done.
  enum Action: String, Sendable {
    /// A shadow is made on the fast tier.
    case shadow
    /// It is given up.
    case drop
    /// A shadow was worth making, and is not made.
    case refuse
  }

  /// What led to it.
  enum Cause: Sendable {
    /// The fast loop, see `FastLoop.Cause`.
    case foreseen(FastLoop.Cause)
    /// Somebody said that it will be read; in words.
    case hint(String)
    /// Others are worth more.
    case displaced
    /// Shadows may not take so much of the fast tier any more.
    case room
    /// It lacks something, so it can not be read.
    case stale
    /// Its store is not of the fast tier any more.
    case otherTier
    /// The volume is to have no copies on the fast tier any more.
    case forbidden
  }

  /// What has come of it.
  enum Outcome: Sendable {
    case underWay
    case done
    /// Nobody wanted it any more before it was begun or done.
    case withdrawn
    /// Why not, in words.
    case failed(String)
  }

  let volume: VolumeID
  let extent: UInt64
  let action: Action
  let cause: Cause
  /// Where the shadow is made or given up; nil if it is not.
  var store: StoreID?
  /// The requests that it is expected to spare the slow tier; nil if nobody knows.
  var expectedRequests: Float?
  /// In seconds since 1970.
  let seconds: Int64
  var outcome = Outcome.underWay
  /// From the request that led to it until it was done.
  var microseconds: UInt64?
  /// The reads that the shadow has answered, as far as is known by now; of shadows that were made.
  var reads: UInt32?

  /// Why, in words.
  var reason: String {
    switch cause {
    case .foreseen(.touched): "reads of it are expected to pay for the copy"
    case .foreseen(.foreseen(.run(let distance))):
      distance == 1
        ? "a sequential stream will reach it next"
        : "a sequential stream will reach it, \(distance) extents ahead"
    case .foreseen(.foreseen(.stride(let confirmations))):
      "a stream of equal steps will reach it next (right \(confirmations) times)"
    case .hint(let words): words
    case .displaced: "others are worth more"
    case .room: "shadows may not take so much of the fast tier"
    case .stale: "it lacks what was written meanwhile"
    case .otherTier: "its store is not of the fast tier any more"
    case .forbidden: "the volume is never to have copies on the fast tier"
    }
  }
}

/// The latest decisions; older ones are forgotten.
struct DecisionLog: Sendable {
  /// Decisions that are remembered.
  static let countMax = 4096

  private var decisions: [Decision] = []
  /// Decisions that were ever made; the number of the next one.
  private(set) var total = 0

  /// Adds a decision.
  ///
  /// - Returns: its number.
  mutating func add(_ decision: Decision) -> Int {
    if decisions.count < Self.countMax {
      decisions.append(decision)
    } else {
      decisions[total % Self.countMax] = decision
    }
    total += 1
    return total - 1
  }

  /// Changes a decision, if it is still remembered.
  mutating func update(_ number: Int, _ change: (inout Decision) -> Void) {
    guard number < total, number >= total - decisions.count else { return }
    change(&decisions[number % Self.countMax])
  }

  /// The latest of those that are wanted, newest first.
  func latest(_ countMax: Int, where isWanted: (Decision) -> Bool = { _ in true }) -> [Decision] {
    var result: [Decision] = []
    var number = total - 1
    while number >= total - decisions.count, result.count < countMax {
      let decision = decisions[number % Self.countMax]
      if isWanted(decision) { result.append(decision) }
      number -= 1
    }
    return result
  }
}
