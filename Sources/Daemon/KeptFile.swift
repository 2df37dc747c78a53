import Glibc
import Measurement
import Platform
import Primitives

/// A file of a pool beside its catalog, with what is worth something and never needed: without it, or if it
/// is damaged, it begins anew. So the catalog stays small and has nothing in it that may be lost.
///
///     offset  bytes  content
///          0      8  magic
///          8      4  version of the content's layout
///         12      4  CRC-32C of the content
///         16      …  the content
struct KeptFile {
  /// What it holds, in words.
  let what: String
  private let directory: String
  private let path: String
  private let magic: UInt64
  private let version: UInt32
  private let oldestVersion: UInt32

  /// More than any of them has at most.
  private static let bytesMax: UInt64 = 512 << 20

  /// - Parameters:
  ///   - directory: the pool's.
  ///   - magic: eight characters.
  ///   - version: of the layout that is written.
  ///   - oldestVersion: the first one that can be read; nil: none but that.
  init(
    _ name: String, in directory: String, magic: String, version: UInt32, oldestVersion: UInt32? = nil,
    what: String
  ) {
    self.directory = directory
    self.what = what
    self.version = version
    self.oldestVersion = oldestVersion ?? version
    path = directory + "/" + name
    self.magic = magic.utf8.reversed().reduce(0) { $0 << 8 | UInt64($1) }
  }

  /// Replaces the file, durably: after a crash there is the old or the new one.
  func write(_ content: ByteWriter) throws(SystemError) {
    var head = ByteWriter()
    head.append(magic)
    head.append(version)
    head.append(unsafe content.bytes.withUnsafeBytes { unsafe CRC32C.checksum(of: $0) })
    let draft = path + ".new"
    let file = try FileDescriptor.open(draft, O_WRONLY | O_CREAT | O_TRUNC)
    try Self.write(head.bytes, to: file, at: 0)
    try Self.write(content.bytes, to: file, at: UInt64(head.bytes.count))
    try file.synchronize()
    Failpoint.keptFileDrafted.pass()
    guard unsafe rename(draft, path) == 0 else { throw SystemError("rename", path) }
    Failpoint.keptFileReplaced.pass()
    try FileDescriptor.open(directory, O_RDONLY | O_DIRECTORY).synchronize()
  }

  private static func write(
    _ bytes: [UInt8], to file: borrowing FileDescriptor, at offset: UInt64
  ) throws(SystemError) {
    var failure: SystemError?
    unsafe bytes.withUnsafeBytes { buffer in
      do throws(SystemError) {
        try unsafe file.write(buffer, at: offset)
      } catch {
        failure = error
      }
    }
    if let failure { throw failure }
  }

  /// What was kept; nil if there is no file.
  ///
  /// - Parameter parse: makes something of the content, which has a layout of that version; nil if it makes
  ///   no sense.
  /// - Throws: `corrupt`, `invalid` or `system` if it can not be read, or makes no sense.
  func read<Content>(_ parse: (inout ByteReader, UInt32) -> Content?) throws(GnomonError) -> Content? {
    guard unsafe access(path, F_OK) == 0 else { return nil }
    let bytes: [UInt8]
    do throws(SystemError) {
      bytes = try allBytes()
    } catch {
      throw GnomonError(.system, "\(path) can not be read", cause: error.description)
    }
    var reader = ByteReader(bytes)
    guard reader.take(UInt64.self) == magic, let version = reader.take(UInt32.self),
      let checksum = reader.take(UInt32.self)
    else { throw GnomonError(.corrupt, "\(path) is no \(what)") }
    guard (oldestVersion...self.version).contains(version) else {
      throw GnomonError(
        .invalid, "\(path) was written by another version of Gnomon", cause: "version \(version)")
    }
    let found = unsafe bytes.withUnsafeBytes {
      unsafe CRC32C.checksum(of: UnsafeRawBufferPointer(rebasing: $0[16...]))
    }
    guard checksum == found, let content = parse(&reader, version), reader.isAtEnd else {
      throw GnomonError(.corrupt, "\(path) is damaged")
    }
    return content
  }

  private func allBytes() throws(SystemError) -> [UInt8] {
    let file = try FileDescriptor.open(path, O_RDONLY)
    let size = min(try file.size(), Self.bytesMax)
    var failure: SystemError?
    let bytes = unsafe [UInt8](unsafeUninitializedCapacity: Int(size)) { buffer, count in
      do throws(SystemError) {
        count = try unsafe file.read(into: UnsafeMutableRawBufferPointer(buffer), at: 0)
      } catch {
        failure = error
      }
    }
    if let failure { throw failure }
    return bytes
  }
}
