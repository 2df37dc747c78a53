import Glibc
import Platform

/// Documents that are generated, checked in and compared.
package enum Golden {
  /// What differs between a text and a file of the repository; nil if nothing does.
  ///
  /// With `GNOMON_UPDATE_GOLDEN=1` in the environment the file is written instead.
  package static func difference(
    _ text: String, from name: String, testFile: String = #filePath
  ) throws -> String? {
    let root = testFile.split(separator: "/").dropLast(3).map { "/" + $0 }.joined()
    let path = root + "/" + name
    if unsafe getenv("GNOMON_UPDATE_GOLDEN") != nil {
      let file = try FileDescriptor.open(path, O_CREAT | O_TRUNC | O_WRONLY, mode: 0o644)
      let bytes = Array(text.utf8)
      try unsafe bytes.withUnsafeBytes { try unsafe file.write($0, at: 0) }
      return nil
    }
    let file = try FileDescriptor.open(path, O_RDONLY)
    var bytes = [UInt8](repeating: 0, count: Int(try file.size()))
    _ = try unsafe bytes.withUnsafeMutableBytes { try unsafe file.read(into: $0, at: 0) }
    let found = String(decoding: bytes, as: UTF8.self).split(
      separator: "\n", omittingEmptySubsequences: false)
    let made = text.split(separator: "\n", omittingEmptySubsequences: false)
    guard found != made else { return nil }
    let line = zip(found, made).enumerated().first { $1.0 != $1.1 }?.offset ?? min(found.count, made.count)
    return "\(name) differs from line \(line + 1) on; update it with GNOMON_UPDATE_GOLDEN=1 swift test"
  }
}
