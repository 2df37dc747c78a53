import Platform
public import Primitives

/// Who uses a store that no lock protects, written at 128 KiB of an export when it is opened.
///
/// NBD knows no reservations: two daemons of one pool (a copy of its folder on another machine) could both
/// open the same export. The one that opens it last wins. The other finds a claim that is not its own when
/// it connects again, or looks after a few seconds, and stops using the store for good; what both wrote in
/// between is not told apart, which no client of NBD could.
///
/// ```
/// offset  bytes  content (little-endian; UUIDs in the order in which they are written)
///      0      8  magic "GNOMONCL"
///      8      4  version of this layout: 1
///     12      4  CRC-32C of the 4096 bytes, with these four as zero
///     16     16  UUID of the store
///     32     16  random identity of the daemon's run
///     48      1  bytes of the holder (at most 128)
///     49      …  holder: host and process, UTF-8, for people
///      …      …  zero, up to 4096
/// ```
public struct StoreClaim: Equatable, Sendable {
  /// The store that is claimed.
  public var store: UUID128
  /// Another one for each run of a daemon.
  public var session: UUID128
  /// Host and process, for people.
  public var holder: String

  static let offset: UInt64 = 128 << 10
  static let bytes = 4096
  private static let magic: UInt64 = 0x4c43_4e4f_4d4f_4e47  // "GNOMONCL"
  private static let version: UInt64 = 1
  private static let holderBytesMax = 128

  init(store: UUID128, session: UUID128, holder: String) {
    self.store = store
    self.session = session
    self.holder = holder
  }

  /// Decodes a block of 4096 bytes; nil if it is no claim.
  init?(decoding block: UnsafeRawBufferPointer) {
    guard block.count == Self.bytes else { return nil }
    func number(_ offset: Int) -> UInt64 {
      unsafe UInt64(littleEndian: block.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
    }
    func uuid(_ offset: Int) -> UUID128 {
      UUID128(high: number(offset).byteSwapped, low: number(offset + 8).byteSwapped)
    }
    guard number(0) == Self.magic, number(8) & 0xffff_ffff == Self.version,
      unsafe UInt32(number(8) >> 32) == CRC32C.ofBlock(block)
    else { return nil }
    store = uuid(16)
    session = uuid(32)
    let length = unsafe min(Int(block[48]), Self.holderBytesMax)
    holder = unsafe String(decoding: block[49..<(49 + length)], as: UTF8.self)
  }

  /// The block of 4096 bytes.
  func encoded() -> [UInt8] {
    var block = [UInt8](repeating: 0, count: Self.bytes)
    func put(_ value: UInt64, at offset: Int) {
      for index in 0..<8 { block[offset + index] = UInt8(truncatingIfNeeded: value >> UInt64(8 * index)) }
    }
    put(Self.magic, at: 0)
    put(Self.version, at: 8)
    put(store.high.byteSwapped, at: 16)
    put(store.low.byteSwapped, at: 24)
    put(session.high.byteSwapped, at: 32)
    put(session.low.byteSwapped, at: 40)
    let characters = Array(holder.utf8.prefix(Self.holderBytesMax))
    block[48] = UInt8(characters.count)
    block.replaceSubrange(49..<(49 + characters.count), with: characters)
    let checksum = unsafe block.withUnsafeBytes { unsafe CRC32C.ofBlock($0) }
    put(Self.version | UInt64(checksum) << 32, at: 8)
    return block
  }
}

extension CRC32C {
  /// The checksum of a block that carries it itself, in bytes 12 to 15, which count as zero.
  static func ofBlock(_ block: UnsafeRawBufferPointer) -> UInt32 {
    var checksum = CRC32C()
    unsafe checksum.add(UnsafeRawBufferPointer(rebasing: block[..<12]))
    unsafe [UInt8](repeating: 0, count: 4).withUnsafeBytes { unsafe checksum.add($0) }
    unsafe checksum.add(UnsafeRawBufferPointer(rebasing: block[16...]))
    return checksum.value
  }
}
