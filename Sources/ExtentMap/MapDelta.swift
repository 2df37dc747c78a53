public import Primitives

/// One change of the extent map: from now on the word of `extent` in a plane of its volume's map is `word`.
///
/// Deltas of one extent are appended to the journal in the order in which the map changed.
@frozen
public struct MapDelta: Hashable, Sendable {
  /// Whose map changed.
  public var volume: VolumeID
  /// Which word of the extent.
  public var plane: MapPlane
  /// Index of the extent in its volume.
  public var extent: UInt64
  /// The new word; of an address without run-time bits, 0 for none.
  public var word: UInt64

  /// A change of any plane.
  @inlinable
  public init(volume: VolumeID, plane: MapPlane, extent: UInt64, word: UInt64) {
    self.volume = volume
    self.plane = plane
    self.extent = extent
    self.word = plane.holdsAddresses ? word & MapEntry.addressMask : word
  }

  /// The live copy lies at `entry` now; only the address is kept.
  @inlinable
  public init(volume: VolumeID, extent: UInt64, entry: MapEntry) {
    self.init(volume: volume, plane: .live, extent: extent, word: entry.rawValue)
  }

  /// The word as an address. Only meaningful in a plane that holds addresses.
  @inlinable public var entry: MapEntry { MapEntry(rawValue: word) }
}
