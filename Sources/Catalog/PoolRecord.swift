public import Primitives

/// The pool itself as its catalog describes it.
public struct PoolRecord: Sendable, Equatable {
  /// Written into the label of every store, so that a store of another pool is noticed.
  public var uuid: UUID128
  /// When the pool was made, in seconds since 1970-01-01 UTC.
  public var createdSeconds: Int64

  /// Describes a pool.
  public init(uuid: UUID128, createdSeconds: Int64 = 0) {
    self.uuid = uuid
    self.createdSeconds = createdSeconds
  }
}
