public import Primitives
import Synchronization

/// Extents that were mapped a moment ago and are to have shadows, or whose shadows have missed writes of a
/// store that is well again: whoever makes these need not search the maps, which can be huge, to be quick.
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
  private let listener = Mutex<(@Sendable () -> Void)?>(nil)

  init() {}

  func note(_ extent: UInt64, of volume: VolumeID) {
    extents.withLock { list in
      if list.count < Self.countMax { list.append(FreshExtent(volume: volume, extent: extent)) }
    }
  }

  /// Has somebody called, on any thread, when it is time to look at what was noted.
  public func onReady(_ body: @escaping @Sendable () -> Void) {
    listener.withLock { $0 = body }
  }

  func tellReady() {
    listener.withLock { $0 }?()
  }

  /// Takes those that were noted first.
  public func take(_ countMax: Int) -> [FreshExtent] {
    extents.withLock { list in
      // What is returned shares no memory with the list, which others append to.
      var first: [FreshExtent] = []
      if list.count <= countMax {
        swap(&first, &list)
      } else {
        first = Array(list.prefix(countMax))
        list.removeFirst(countMax)
      }
      return first
    }
  }
}
