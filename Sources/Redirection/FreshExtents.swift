public import Primitives
import Synchronization

/// Extents that were mapped a moment ago and are to have shadows: whoever makes these need not search the
/// maps, which can be huge, to be quick.
public final class FreshExtents: Sendable {
  /// An extent of a volume.
  public struct FreshExtent: Sendable, Equatable {
    /// Whose it is.
    public var volume: VolumeID
    /// Its index there.
    public var extent: UInt64
  }

  /// More are not remembered: a search finds them.
  public static let countMax = 1 << 14

  private let extents = Mutex<[FreshExtent]>([])

  init() {}

  func note(_ extent: UInt64, of volume: VolumeID) {
    extents.withLock { list in
      if list.count < Self.countMax { list.append(FreshExtent(volume: volume, extent: extent)) }
    }
  }

  /// Takes those that were noted first.
  public func take(_ countMax: Int) -> [FreshExtent] {
    extents.withLock { list in
      let first = Array(list.prefix(countMax))
      list.removeFirst(first.count)
      return first
    }
  }
}
