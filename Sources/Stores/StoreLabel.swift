import Platform
public import Primitives

/// What is written at the start of a store's file or device, so that a wrong one is never used.
///
/// ```
/// offset  bytes  content (little-endian; UUIDs in the order in which they are written)
///      0      8  magic "GNOMONST"
///      8      4  version of this layout: 1
///     12      4  CRC-32C of the 4096 bytes, with these four as zero
///     16     16  UUID of the pool
///     32     16  UUID of the store
///     48      8  bytes of the store when it was made, label included
///     56      8  offset of the first slot, in bytes
///     64      8  bytes of an allocation zone
///     72      1  id of the store in its pool
///     73      1  bytes of the name (at most 128)
///     74      …  name, UTF-8
///      …      …  zero, up to 4096
/// ```
///
/// The first copy is at offset 0, the second at 64 KiB, so that one stray write does not take both.
public struct StoreLabel: Equatable, Sendable {
  /// The pool that the store belongs to.
  public var pool: UUID128
  /// The store's own identity.
  public var store: UUID128
  /// Bytes of the store when it was made, label included.
  public var sizeBytes: UInt64
  /// Where the first slot begins, in bytes.
  public var dataOffset: UInt64
  /// Bytes of an allocation zone.
  public var zoneBytes: UInt64
  /// The store's number in its pool.
  public var id: StoreID
  /// The store's name when it was made, cut to 128 bytes.
  public var name: String

  static let magic: UInt64 = 0x5453_4e4f_4d4f_4e47  // "GNOMONST"
  static let version: UInt32 = 1
  static let bytes = 4096
  /// Offsets of the two copies, in bytes.
  static let offsets: [UInt64] = [0, 64 << 10]
  private static let nameBytesMax = 128

  /// Why a block is not a label.
  enum Fault: Error, Equatable {
    /// No magic: something else is here.
    case absent
    /// Written by a newer Gnomon.
    case version(UInt32)
    case checksum
  }

  init(of record: StoreRecord, pool: UUID128) {
    self.pool = pool
    store = record.uuid
    sizeBytes = record.sizeBytes
    dataOffset = StoreLayout.dataOffset
    zoneBytes = 64 << 20
    id = record.id
    name = record.name
  }

  /// Decodes a block of 4096 bytes.
  init(decoding block: UnsafeRawBufferPointer) throws(Fault) {
    precondition(block.count == Self.bytes)
    func number(_ offset: Int) -> UInt64 {
      unsafe UInt64(littleEndian: block.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
    }
    func uuid(_ offset: Int) -> UUID128 {
      UUID128(high: number(offset).byteSwapped, low: number(offset + 8).byteSwapped)
    }
    guard number(0) == Self.magic else { throw .absent }
    let (version, stored) = (UInt32(truncatingIfNeeded: number(8)), UInt32(number(8) >> 32))
    // The place of the checksum is the same in every version, so damage is told from progress.
    guard unsafe stored == CRC32C.ofBlock(block) else { throw .checksum }
    guard version == Self.version else { throw .version(version) }
    pool = uuid(16)
    store = uuid(32)
    sizeBytes = number(48)
    dataOffset = number(56)
    zoneBytes = number(64)
    id = unsafe StoreID(rawValue: block[72])
    let length = unsafe min(Int(block[73]), Self.nameBytesMax)
    name = unsafe String(decoding: block[74..<(74 + length)], as: UTF8.self)
  }

  /// The block of 4096 bytes.
  func encoded() -> [UInt8] {
    var block = [UInt8](repeating: 0, count: Self.bytes)
    func put(_ value: UInt64, at offset: Int) {
      for index in 0..<8 { block[offset + index] = UInt8(truncatingIfNeeded: value >> UInt64(8 * index)) }
    }
    put(Self.magic, at: 0)
    put(UInt64(Self.version), at: 8)
    put(pool.high.byteSwapped, at: 16)
    put(pool.low.byteSwapped, at: 24)
    put(store.high.byteSwapped, at: 32)
    put(store.low.byteSwapped, at: 40)
    put(sizeBytes, at: 48)
    put(dataOffset, at: 56)
    put(zoneBytes, at: 64)
    let characters = Array(name.utf8.prefix(Self.nameBytesMax))
    block[72] = id.rawValue
    block[73] = UInt8(characters.count)
    block.replaceSubrange(74..<(74 + characters.count), with: characters)
    let checksum = unsafe block.withUnsafeBytes { unsafe CRC32C.ofBlock($0) }
    put(UInt64(Self.version) | UInt64(checksum) << 32, at: 8)
    return block
  }
}
