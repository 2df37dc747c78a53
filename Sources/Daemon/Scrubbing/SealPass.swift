import ExtentMap
import NBDService
import Primitives
import Redirection
import Shadowing

/// Goes over all extents once: those that nobody has written to since the pass before are handed out to be
/// sealed, and the others are watched until the next one.
struct SealPass {
  private var cursor = ExtentCursor()
  private static let extentsPerCall = 64

  /// The next extents to be sealed; nil at the end of the pass.
  mutating func next(_ volumes: [Volume], _ changes: MapChanges) -> [(volume: Volume, extent: UInt64)]? {
    var found: [(volume: Volume, extent: UInt64)] = []
    let stop = cursor.advance(volumes) { volume, extent, _ in
      let seal = volume.map.view.seal(extent)
      if seal.isWatched {
        found.append((volume, extent))
      } else if seal.isOpen, (try? volume.map.makeSeal(extent)) != nil {
        _ = changes.watch(extent, of: volume.map.view)
      }
      return found.count < Self.extentsPerCall
    }
    return stop == .end && found.isEmpty ? nil : found
  }
}
