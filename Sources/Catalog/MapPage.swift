import ExtentMap
import Platform
import Primitives

/// 4096 consecutive words of one plane of a volume's extent map as one BLOB.
///
/// ```
/// offset  bytes  content (little-endian)
///      0      8  seq: the last journal row that is folded in
///      8      4  CRC-32C over the row's key (8 bytes), seq (8 bytes) and the entries
///     12      4  zero
///     16  32768  4096 words of 8 bytes (MapPlane); in the live plane 0 = unmapped
/// ```
///
/// The row's key is `volume × 2³¹ + (plane mod 8) × 2²⁸ + (plane div 8) × 2²⁷ + page`: when there were eight
/// planes, pages had the bit that tells the ninth from the first. It is under the checksum, so that a page in
/// the wrong place is found. The image has one size for ever: SQLite then overwrites only those of its own
/// pages that changed.
enum MapPage {
  static let entryCount = 4096
  static let entryShift: UInt64 = 12
  static let headerBytes = 16
  static let imageBytes = headerBytes + 8 * entryCount
  /// Pages that a plane can have: the extents of a volume are numbered below 2³⁹.
  static let countMax: UInt64 = 1 << 27
  private static let planeShift: Int64 = 28
  private static let highPlaneShift: Int64 = 27
  private static let volumeShift: Int64 = 31

  static func key(volume: VolumeID, _ plane: MapPlane, page: UInt64) -> Int64 {
    precondition(page < countMax)
    let (low, high) = (Int64(plane.rawValue & 7), Int64(plane.rawValue >> 3))
    return Int64(volume.rawValue) << volumeShift | low << planeShift | high << highPlaneShift | Int64(page)
  }

  static func keys(of volume: VolumeID, _ plane: MapPlane) -> ClosedRange<Int64> {
    key(volume: volume, plane, page: 0)...key(volume: volume, plane, page: countMax - 1)
  }

  /// The keys of all planes.
  static func keys(of volume: VolumeID) -> ClosedRange<Int64> {
    let first = Int64(volume.rawValue) << volumeShift
    return first...first + (1 << volumeShift - 1)
  }

  static func volume(ofKey key: Int64) -> VolumeID { VolumeID(rawValue: UInt32(key >> volumeShift)) }

  /// The plane of a page; nil if there is no such plane.
  static func plane(ofKey key: Int64) -> MapPlane? {
    MapPlane(rawValue: UInt8(key >> planeShift & 7 | (key >> highPlaneShift & 1) << 3))
  }

  static func page(ofKey key: Int64) -> UInt64 { UInt64(key) & (countMax - 1) }

  /// The sequence number of a valid image; nil, with the reason, if it is damaged.
  static func verify(_ image: UnsafeRawBufferPointer, key: Int64) -> Result<UInt64, MapPageDamage> {
    guard image.count == imageBytes else { return .failure(.size(image.count)) }
    let seq = unsafe UInt64(littleEndian: image.loadUnaligned(as: UInt64.self))
    let stored = unsafe UInt32(littleEndian: image.loadUnaligned(fromByteOffset: 8, as: UInt32.self))
    let computed = unsafe checksum(of: image, key: key, seq: seq)
    guard stored == computed || Canary.trustsDamagedPages.isOut else {
      return .failure(.checksum(stored: stored, computed: computed))
    }
    return .success(seq)
  }

  /// Completes an image whose entries are in place.
  static func seal(_ image: UnsafeMutableRawBufferPointer, key: Int64, seq: UInt64) {
    precondition(image.count == imageBytes)
    let checksum = unsafe checksum(of: UnsafeRawBufferPointer(image), key: key, seq: seq)
    unsafe image.storeBytes(of: seq.littleEndian, as: UInt64.self)
    unsafe image.storeBytes(of: checksum.littleEndian, toByteOffset: 8, as: UInt32.self)
    unsafe image.storeBytes(of: 0, toByteOffset: 12, as: UInt32.self)
  }

  private static func checksum(of image: UnsafeRawBufferPointer, key: Int64, seq: UInt64) -> UInt32 {
    var checksum = CRC32C()
    checksum.add(UInt64(key))
    checksum.add(seq)
    unsafe checksum.add(UnsafeRawBufferPointer(rebasing: image[headerBytes...]))
    return checksum.value
  }
}

/// Why a map page can not be trusted.
enum MapPageDamage: Error, CustomStringConvertible {
  case size(Int)
  case checksum(stored: UInt32, computed: UInt32)

  var description: String {
    switch self {
    case .size(let count): "it has \(count) bytes instead of \(MapPage.imageBytes)"
    case .checksum(let stored, let computed):
      "its checksum is \(String(stored, radix: 16)), its content gives \(String(computed, radix: 16))"
    }
  }
}
