public import Primitives

/// What the health policy has a store do.
public enum HealthState: String, Sendable, Codable, CaseIterable {
  /// Everything.
  case serving
  /// What it has, and nothing new.
  case noNewPlacements = "no-new-placements"
  /// Likewise, while its extents move elsewhere.
  case evacuating
  /// Nothing: shadows have taken over.
  case satOut = "sat-out"
  /// It is well again, and gets what it has missed; it is not read from before it has it.
  case returning
}

/// Why the policy did not go as far as a score would have it.
public enum HoldingBack: Sendable, Equatable {
  /// Every store of its kind, or most of all stores, turned slow at about the same time: the cause is not
  /// this one.
  case commonCause
  /// It has the only synced copy of so many extents.
  case onlyCopies(UInt64)
  /// As many stores are sat out already as redundancy allows.
  case redundancy(satOut: Int)
  /// Another store is being sat out now; what is left of redundancy is known after that.
  case oneAtATime
}

extension HoldingBack: CustomStringConvertible {
  /// In plain words.
  public var description: String {
    switch self {
    case .commonCause: "its peers turned slow at the same time: the cause lies elsewhere"
    case .onlyCopies(let count): "it has the only synced copy of \(Words.count(count, "extent"))"
    case .redundancy(let satOut):
      "\(Words.count(UInt64(max(0, satOut)), "store")) sat out already, no more are allowed"
    case .oneAtATime: "another store is being sat out"
    }
  }
}

/// What else the policy must know about a store, at the moment of a decision.
public struct StoreRedundancy: Sendable, Equatable {
  /// Extents of which no store that is not sat out has another synced copy.
  public var onlyCopies: UInt64
  /// Copies on the store that are not synced: what it must get before it can serve again.
  public var staleCopies: UInt64

  /// So many extents.
  public init(onlyCopies: UInt64, staleCopies: UInt64 = 0) {
    self.onlyCopies = onlyCopies
    self.staleCopies = staleCopies
  }
}

/// A change of a store's state.
public struct HealthEvent: Sendable, Equatable {
  /// The store.
  public var store: StoreID
  /// When: the time that was handed in.
  public var nanoseconds: UInt64
  /// The state before.
  public var from: HealthState
  /// The state from now on.
  public var to: HealthState
  /// The failure score, 0…100.
  public var score: Double
  /// What the score is made of, worst first, in plain words.
  public var reasons: [String]
}
