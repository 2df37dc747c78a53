public import Primitives

/// What is to become of the copies of an extent.
public enum MoveKind: String, Sendable, CaseIterable {
  /// Another store gets a synced shadow.
  case replicate
  /// A copy goes to another store, and its slot is given back.
  case migrate
  /// A store's shadow, which lacks something, is made equal again.
  case resync
  /// A shadow becomes the live copy, after it was made equal if it lacks something; the old live copy stays
  /// as a shadow.
  case promote
  /// A store's shadow is given up.
  case drop
  /// A store's shadow is given up, and then another store gets a synced one: where an extent has as many
  /// copies as it can have.
  case replace
}

/// One unit of background work on one extent.
public struct Move: Sendable, Equatable {
  /// Whose extent it is.
  public var volume: VolumeID
  /// Its index in the volume.
  public var extent: UInt64
  /// What is done.
  public var kind: MoveKind
  /// The store that gets, promotes or gives up a copy.
  public var target: StoreID
  /// Of a migration or replacement: the store that gives up its copy.
  public var source: StoreID?
  /// Of a migration: whether that copy is the live one.
  public var isSourceLive: Bool
  /// Of a promotion: whether the shadow lacks nothing.
  public var isTargetSynced = true
  /// Why, in words for people.
  public var reason: String

  /// A move; `source` is needed for a migration or replacement.
  public init(
    _ kind: MoveKind, volume: VolumeID, extent: UInt64, to target: StoreID, from source: StoreID? = nil,
    isSourceLive: Bool = true, reason: String
  ) {
    precondition(kind != .migrate && kind != .replace || source != nil, "the copy comes from somewhere")
    self.volume = volume
    self.extent = extent
    self.kind = kind
    self.target = target
    self.source = source
    self.isSourceLive = isSourceLive
    self.reason = reason
  }
}
