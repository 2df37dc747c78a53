/// Something that is on a file or device already: what a look at its first and last megabyte shows.
struct ForeignContent: CustomStringConvertible {
  let description: String

  private static let signatures: [(name: String, offset: Int, bytes: [UInt8])] = [
    ("an XFS file system", 0, Array("XFSB".utf8)),
    ("a LUKS volume", 0, Array("LUKS".utf8) + [0xba, 0xbe]),
    ("a qcow2 image", 0, Array("QFI".utf8) + [0xfb]),
    ("an NTFS file system", 3, Array("NTFS".utf8)),
    ("a GPT partition table", 512, Array("EFI PART".utf8)),
    ("an LVM physical volume", 512, Array("LABELONE".utf8)),
    ("an F2FS file system", 1024, [0x10, 0x20, 0xf5, 0xf2]),
    ("an ext2, ext3 or ext4 file system", 1080, [0x53, 0xef]),
    ("swap space", 4086, Array("SWAPSPACE2".utf8)),
    ("an md RAID member", 4096, [0xfc, 0x4e, 0x2b, 0xa9]),
    ("an ISO 9660 file system", 32769, Array("CD001".utf8)),
    ("a btrfs file system", 65600, Array("_BHRfS_M".utf8)),
    ("a partition table", 510, [0x55, 0xaa]),
  ]

  private static let windowBytes = 1 << 20

  /// Nil if both windows are zero.
  ///
  /// - Parameter read: reads so many bytes at an offset, all of them before the end at `size`.
  init?(size: UInt64, read: (Int, UInt64) throws -> [UInt8]) throws {
    let head = size > 0 ? try read(Int(min(size, UInt64(Self.windowBytes))), 0) : []
    for (name, offset, bytes) in Self.signatures
    where head.count >= offset + bytes.count && head[offset..<(offset + bytes.count)].elementsEqual(bytes) {
      description = "there is \(name)"
      return
    }
    if let first = head.firstIndex(where: { $0 != 0 }) {
      description = "there is data at offset \(first)"
      return
    }
    guard size > UInt64(head.count) else { return nil }
    let start = max(UInt64(head.count), size - UInt64(Self.windowBytes))
    let tail = try read(Int(size - start), start)
    guard let first = tail.firstIndex(where: { $0 != 0 }) else { return nil }
    description = "there is data at offset \(start + UInt64(first))"
  }
}
