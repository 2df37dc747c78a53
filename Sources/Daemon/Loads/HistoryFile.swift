import Glibc
import Measurement
import Platform
import Primitives

/// The file in which a pool keeps the history of its loads: `DIR/history`.
///
/// It is worth something and never needed: without it, or if it is damaged, history begins anew. So it lies
/// beside the catalog, which stays small and has nothing in it that may be lost.
///
///     offset  bytes  content
///          0      8  magic "GNOMONHI"
///          8      4  version of this layout: 1
///         12      4  CRC-32C of what follows
///         16      …  volumes, then stores                       (layout: RecordedLoads)
struct HistoryFile {
  private let directory: String
  private var path: String { directory + "/history" }

  private static let magic = UInt64(bytesOf: "GNOMONHI")
  private static let version: UInt32 = 1
  /// As much as the file of a pool with all that can be recorded has at most.
  private static let bytesMax: UInt64 = 512 << 20

  init(directory: String) {
    self.directory = directory
  }

  /// Replaces the file, durably: after a crash there is the old or the new one.
  func write(_ loads: RecordedLoads) throws(SystemError) {
    var body = ByteWriter()
    loads.write(to: &body)
    var head = ByteWriter()
    head.append(Self.magic)
    head.append(Self.version)
    head.append(unsafe body.bytes.withUnsafeBytes { unsafe CRC32C.checksum(of: $0) })
    let draft = path + ".new"
    let file = try FileDescriptor.open(draft, O_WRONLY | O_CREAT | O_TRUNC)
    try Self.write(head.bytes, to: file, at: 0)
    try Self.write(body.bytes, to: file, at: UInt64(head.bytes.count))
    try file.synchronize()
    guard unsafe rename(draft, path) == 0 else { throw SystemError("rename", path) }
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
  /// - Throws: `corrupt` or `system` if it can not be read, or makes no sense.
  func read(nowSeconds: Int) throws(GnomonError) -> RecordedLoads? {
    guard unsafe access(path, F_OK) == 0 else { return nil }
    let bytes: [UInt8]
    do throws(SystemError) {
      bytes = try content()
    } catch {
      throw GnomonError(.system, "\(path) can not be read", cause: error.description)
    }
    var reader = ByteReader(bytes)
    guard reader.take(UInt64.self) == Self.magic, let version = reader.take(UInt32.self),
      let checksum = reader.take(UInt32.self)
    else { throw GnomonError(.corrupt, "\(path) is no history of loads") }
    guard version == Self.version else {
      throw GnomonError(
        .invalid, "\(path) was written by another version of Gnomon", cause: "version \(version)")
    }
    let found = unsafe bytes.withUnsafeBytes {
      unsafe CRC32C.checksum(of: UnsafeRawBufferPointer(rebasing: $0[16...]))
    }
    guard checksum == found, let loads = RecordedLoads(from: &reader, nowSeconds: nowSeconds), reader.isAtEnd
    else { throw GnomonError(.corrupt, "\(path) is damaged") }
    return loads
  }

  private func content() throws(SystemError) -> [UInt8] {
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

extension UInt64 {
  /// Eight characters as they lie in a file.
  fileprivate init(bytesOf text: String) {
    self = text.utf8.reversed().reduce(0) { $0 << 8 | UInt64($1) }
  }
}
