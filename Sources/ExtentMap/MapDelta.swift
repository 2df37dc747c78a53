public import Primitives

/// One change of the extent map: from now on `extent` of `volume` lies at `entry` (0: unmapped).
///
/// Deltas of one extent are appended to the journal in the order in which the map changed.
@frozen
public struct MapDelta: Hashable, Sendable {
  /// Whose map changed.
  public var volume: VolumeID
  /// Index of the extent in its volume.
  public var extent: UInt64
  /// The new address; run-time bits are clear.
  public var entry: MapEntry

  /// A change; of `entry` only the address is kept.
  @inlinable
  public init(volume: VolumeID, extent: UInt64, entry: MapEntry) {
    self.volume = volume
    self.extent = extent
    self.entry = entry.address
  }
}
