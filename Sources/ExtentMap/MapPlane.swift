/// One of the words that the catalog keeps for each extent.
///
/// The live plane has a word for almost every extent, that of the seals for those at rest, the others only
/// for extents with shadows: a plane is stored in pages, and a page without content is not stored.
@frozen
public enum MapPlane: UInt8, Sendable, CaseIterable {
  /// The address of the live copy.
  case live
  /// The addresses of the shadows.
  case shadow1, shadow2, shadow3
  /// What each shadow lacks: bit k for the k-th 64th of the extent, so 0 for a synced one.
  case missed1, missed2, missed3
  /// 1 while copies of the extent may differ on disk.
  case activity
  /// The checksum of what the extent holds, if it is sealed (`SealEntry`).
  case seal

  /// The address of a shadow, by its number from 0.
  public static func shadow(_ number: Int) -> MapPlane { MapPlane(rawValue: UInt8(1 + number))! }
  /// What a shadow lacks, by its number from 0.
  public static func missed(_ number: Int) -> MapPlane { MapPlane(rawValue: UInt8(4 + number))! }

  /// Whether its words are addresses.
  public var holdsAddresses: Bool { rawValue < 4 }

  /// Whether a word makes sense in this plane.
  public func admits(_ word: UInt64) -> Bool {
    switch self {
    case .live, .shadow1, .shadow2, .shadow3: word & ~MapEntry.addressMask == 0
    case .missed1, .missed2, .missed3: true
    case .activity: word <= 1
    case .seal:
      word == 0 || SealEntry(rawValue: word) == SealEntry(checksum: UInt32(truncatingIfNeeded: word))
    }
  }
}
