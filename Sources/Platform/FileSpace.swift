import CLinux
import Glibc

/// What a path leads to, as far as storage is concerned.
public enum FileKind: Sendable, Equatable {
  /// A regular file.
  case regular
  /// A disk, a partition, a loop device and the like.
  case blockDevice
  /// A folder, a pipe, a socket, a character device.
  case other
}

/// Space management of files and block devices: holes, zeros, reservation, geometry.
extension FileDescriptor {
  /// The open flag O_DIRECT.
  public static var direct: Int32 { gnomon_o_direct }

  /// What was opened.
  public func kind() throws(SystemError) -> FileKind {
    switch try status().st_mode & S_IFMT {
    case S_IFREG: .regular
    case S_IFBLK: .blockDevice
    default: .other
    }
  }

  /// Gives a range back to the file system or device; it reads zero afterwards. The size stays.
  public func punchHole(offset: UInt64, length: UInt64) throws(SystemError) {
    try allocate(mode: gnomon_falloc_punch_hole | gnomon_falloc_keep_size, offset: offset, length: length)
  }

  /// Makes a range read zero without writing zeros where the file system or device can do that. The range
  /// stays reserved, and the size stays.
  public func zeroRange(offset: UInt64, length: UInt64) throws(SystemError) {
    try allocate(mode: gnomon_falloc_zero_range | gnomon_falloc_keep_size, offset: offset, length: length)
  }

  /// Reserves space for a range, so that writes to it can not fail for lack of room. Content and size stay.
  public func reserve(offset: UInt64, length: UInt64) throws(SystemError) {
    try allocate(mode: gnomon_falloc_keep_size, offset: offset, length: length)
  }

  /// Bytes of a block device.
  public func blockDeviceSize() throws(SystemError) -> UInt64 {
    var bytes: UInt64 = 0
    guard unsafe gnomon_block_device_size(raw, &bytes) == 0 else {
      throw SystemError("BLKGETSIZE64", subject)
    }
    return bytes
  }

  /// Bytes of a block device's logical sector, the smallest unit of direct I/O.
  public func blockDeviceSectorSize() throws(SystemError) -> UInt64 {
    var bytes: Int32 = 0
    guard unsafe gnomon_block_device_sector(raw, &bytes) == 0 else { throw SystemError("BLKSSZGET", subject) }
    return UInt64(bytes)
  }

  /// Reads up to `count` bytes at `offset`, fewer only at the end of the file.
  public func readBytes(_ count: Int, at offset: UInt64) throws(SystemError) -> [UInt8] {
    let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: count, alignment: 16)
    defer { unsafe memory.deallocate() }
    let done = unsafe try read(into: memory, at: offset)
    return unsafe Array(memory[..<done])
  }

  /// Writes all of `bytes` at `offset`.
  public func writeBytes(_ bytes: [UInt8], at offset: UInt64) throws(SystemError) {
    let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 16)
    defer { unsafe memory.deallocate() }
    unsafe memory.copyBytes(from: bytes)
    unsafe try write(UnsafeRawBufferPointer(memory), at: offset)
  }
}
