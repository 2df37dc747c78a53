import ExtentMap
import Primitives
import Synchronization

/// Locks on block ranges within extents, for writes that overlap a read-modify-write, and for all writes to
/// extents with shadows.
///
/// A write that covers a block in part reads the block, changes it and writes it back; a second write
/// to that block in between would be lost. While an extent has such a write its entry is `ranged`, and
/// every write to it takes a lock on its blocks first. Writes to extents with shadows do so always: those
/// that overlap reach every copy in one order. Other extents cost nothing here.
final class RangeLocks: Sendable {
  private struct Held {
    var volume: VolumeID
    var extent: UInt64
    var blocks: Range<UInt64>
  }

  // No more than there are writes in flight to extents that are shadowed or ranged: a list beats a tree.
  private let held = Mutex<[Held]>([])

  /// Locks the blocks if nobody holds one of them and writes to the extent still take locks.
  func tryLock(_ extent: UInt64, of view: ExtentMapView, blocks: Range<UInt64>) -> Bool {
    held.withLock { list in
      let entry = view.entry(extent)
      guard entry.isRanged || entry.isShadowed else { return false }
      let isTaken = list.contains {
        $0.extent == extent && $0.volume == view.volume && $0.blocks.overlaps(blocks)
      }
      let ignores = Canary.dropsRangeLocks.isOut || Canary.mirrorsInAnyOrder.isOut && entry.isShadowed
      if isTaken && !ignores { return false }
      list.append(Held(volume: view.volume, extent: extent, blocks: blocks))
      return true
    }
  }

  /// Unlocks; with the last lock of an extent its `ranged` bit is cleared.
  func unlock(_ extent: UInt64, of view: ExtentMapView, blocks: Range<UInt64>) {
    held.withLock { list in
      guard
        let index = list.firstIndex(where: {
          $0.extent == extent && $0.volume == view.volume && $0.blocks == blocks
        })
      else { preconditionFailure("unlocking blocks that are not locked") }
      list.swapAt(index, list.count - 1)
      list.removeLast()
      let isLast = !list.contains { $0.extent == extent && $0.volume == view.volume }
      if isLast { view.clearRanged(extent) }
    }
  }
}
