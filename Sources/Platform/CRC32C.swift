import CISAL

/// CRC-32C (Castagnoli), the checksum of everything Gnomon keeps on disk.
///
/// It starts from all ones and is inverted at the end, as in iSCSI and ext4: the checksum of the nine
/// bytes `123456789` is 0xe3069283.
public struct CRC32C: Sendable {
  private var state: UInt32 = ~0

  /// The checksum of nothing.
  public init() {}

  /// The checksum of everything added so far.
  public var value: UInt32 { ~state }

  /// Adds bytes.
  public mutating func add(_ bytes: UnsafeRawBufferPointer) {
    guard var next = bytes.baseAddress else { return }
    var remaining = bytes.count
    while remaining > 0 {
      // The library takes the length as a C int.
      let count = min(remaining, 1 << 30)
      let mutable = unsafe UnsafeMutablePointer(mutating: next.assumingMemoryBound(to: UInt8.self))
      state = unsafe crc32_iscsi(mutable, Int32(count), state)
      unsafe next += count
      remaining -= count
    }
  }

  /// Adds a number as its eight little-endian bytes.
  public mutating func add(_ number: UInt64) {
    unsafe withUnsafeBytes(of: number.littleEndian) { bytes in unsafe add(bytes) }
  }

  /// The checksum of one run of bytes.
  public static func checksum(of bytes: UnsafeRawBufferPointer) -> UInt32 {
    var checksum = CRC32C()
    unsafe checksum.add(bytes)
    return checksum.value
  }
}
