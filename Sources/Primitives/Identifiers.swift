/// Identifies a volume within its pool. Never reused, so that a journal record of a deleted volume can
/// not be taken for one of its successor's.
@frozen
public struct VolumeID: RawRepresentable, Hashable, Comparable, Sendable, Codable {
  /// The number, from 1 on.
  public let rawValue: UInt32

  /// The volume with this number.
  @inlinable
  public init(rawValue: UInt32) {
    self.rawValue = rawValue
  }

  /// Orders by number, which is the order of creation.
  @inlinable
  public static func < (left: VolumeID, right: VolumeID) -> Bool {
    left.rawValue < right.rawValue
  }
}

/// Identifies a store within its pool: 0…255, because an extent map entry has eight bits for it.
@frozen
public struct StoreID: RawRepresentable, Hashable, Comparable, Sendable, Codable {
  /// The number.
  public let rawValue: UInt8

  /// The store with this number.
  @inlinable
  public init(rawValue: UInt8) {
    self.rawValue = rawValue
  }

  /// Orders by number.
  @inlinable
  public static func < (left: StoreID, right: StoreID) -> Bool {
    left.rawValue < right.rawValue
  }
}
