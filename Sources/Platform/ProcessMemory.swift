import Glibc

/// Memory of this process.
public enum ProcessMemory {
  /// Bytes of physical memory in use, 0 if the system does not tell.
  public static func residentBytes() -> UInt64 {
    guard let file = try? FileDescriptor.open("/proc/self/statm", O_RDONLY),
      let bytes = try? file.readBytes(128, at: 0)
    else { return 0 }
    let fields = String(decoding: bytes, as: UTF8.self).split(separator: " ")
    guard fields.count > 1, let pages = UInt64(fields[1]) else { return 0 }
    return pages * UInt64(getpagesize())
  }
}
