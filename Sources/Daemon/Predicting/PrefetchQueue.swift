import Primitives

/// Extents that somebody says will be read, on their way to the fast tier: a few at a time, as there is room.
struct PrefetchQueue {
  /// One extent of a range.
  struct Item {
    var volume: VolumeID
    var extent: UInt64
    /// Who said so, in words.
    var reason: String
    var sinceMicroseconds: UInt64
  }

  private struct Stretch {
    var volume: VolumeID
    var extents: Range<UInt64>
    var reason: String
    var sinceMicroseconds: UInt64
  }

  /// Ranges that wait; what comes beyond that is forgotten.
  static let rangesMax = 256
  private var stretches: [Stretch] = []

  /// Whether a range that holds `extents` waits already.
  private func contains(_ volume: VolumeID, _ extents: Range<UInt64>) -> Bool {
    stretches.contains { $0.volume == volume && $0.extents.contains(extents) }
  }

  /// Adds a range of extents, unless it waits already or there is no room.
  mutating func add(
    _ volume: VolumeID, _ extents: Range<UInt64>, reason: String, sinceMicroseconds: UInt64
  ) {
    guard !extents.isEmpty, stretches.count < Self.rangesMax, !contains(volume, extents) else { return }
    stretches.append(
      Stretch(volume: volume, extents: extents, reason: reason, sinceMicroseconds: sinceMicroseconds))
  }

  /// Takes the next extent.
  mutating func next() -> Item? {
    guard let first = stretches.first else { return nil }
    let extent = first.extents.lowerBound
    if first.extents.count == 1 {
      stretches.removeFirst()
    } else {
      stretches[0].extents = extent + 1..<first.extents.upperBound
    }
    return Item(
      volume: first.volume, extent: extent, reason: first.reason, sinceMicroseconds: first.sinceMicroseconds)
  }
}
