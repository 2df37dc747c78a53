/// How much of the fast tier shadows may take that no volume asked for.
///
/// They live on what is left over: new extents are allocated on the fast tier first, and must find room there
/// without waiting until a shadow has gone.
public struct ShadowAllowance: Sendable, Equatable {
  /// The share of the tier's capacity that they may take, from 0 to 1.
  public var share: Double

  /// What stays free, as a share of a store's capacity, and in extents.
  private static let headroomShare = 0.05
  private static let headroomExtents: UInt64 = 4

  /// - Parameter share: from 0 to 1.
  public init(share: Double) {
    precondition((0...1).contains(share))
    self.share = share
  }

  /// What must stay free in a store.
  ///
  /// - Parameter extentBytes: bytes of the largest extents.
  public func headroomBytes(in store: StoreCandidate, extentBytes: UInt64) -> UInt64 {
    max(UInt64(Double(store.capacityBytes) * Self.headroomShare), Self.headroomExtents * extentBytes)
  }

  /// What they may take at most, however empty the tier is.
  public func shareBytes(in stores: [StoreCandidate]) -> UInt64 {
    UInt64(Double(stores.reduce(0) { $0 + $1.capacityBytes }) * share)
  }

  /// What they may take in all now.
  ///
  /// - Parameters:
  ///   - stores: those of the fast tier.
  ///   - ownBytes: what they take already.
  public func bytes(in stores: [StoreCandidate], ownBytes: UInt64, extentBytes: UInt64) -> UInt64 {
    var free: UInt64 = 0
    for store in stores {
      let headroom = headroomBytes(in: store, extentBytes: extentBytes)
      free += store.freeBytes - min(headroom, store.freeBytes)
    }
    return min(shareBytes(in: stores), ownBytes + free)
  }
}
