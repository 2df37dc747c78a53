/// When a write to an extent with shadows is acknowledged.
public enum Protection: UInt8, Sendable, CaseIterable {
  /// When all synced shadows have it as well.
  case sync
  /// When the live copy has it; shadows get it a little later.
  case async
  /// When the live copy has it; shadows that lack it are left behind.
  case none

  /// The one that people call so.
  public init?(name: String) {
    guard let found = Self.allCases.first(where: { $0.name == name }) else { return nil }
    self = found
  }

  /// What people call it.
  public var name: String { "\(self)" }
}

/// What must differ between the stores of two copies, so that one failure does not take both.
public enum FailureDomain: String, Sendable, Codable, CaseIterable {
  /// Any two stores will do.
  case store
  /// Stores of different machines.
  case node
  /// Stores of different zones.
  case zone
  /// Stores of different regions.
  case region
}

/// What becomes of a request to data of which no copy can be reached now.
public enum ErrorPolicy: String, Sendable, Codable, CaseIterable {
  /// It waits for the store's server to return, for a while (`limits.remoteHoldSeconds`), then fails.
  case hold
  /// It fails at once.
  case fail
}

/// What a volume wants to survive, and what it does when that is not enough.
public struct Redundancy: Sendable, Equatable {
  /// Copies of each extent, the live one included: from 1 to `copiesMax`.
  public var copies: Int
  /// What no two of them may share.
  public var across: FailureDomain
  /// When writes are acknowledged.
  public var protection: Protection
  /// What becomes of requests when no copy can be reached.
  public var errors: ErrorPolicy

  /// The live copy and three shadows.
  public static let copiesMax = 4

  /// The default is one copy.
  public init(
    copies: Int = 1, across: FailureDomain = .store, protection: Protection = .sync,
    errors: ErrorPolicy = .hold
  ) {
    self.copies = copies
    self.across = across
    self.protection = protection
    self.errors = errors
  }
}
