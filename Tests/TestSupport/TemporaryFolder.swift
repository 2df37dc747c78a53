import Glibc

/// A folder that is removed when the test is over.
package final class TemporaryFolder: Sendable {
  /// Its absolute path.
  package let path: String

  /// Makes the folder.
  package init() {
    var template = Array("/tmp/gnomon-test-XXXXXX".utf8CString)
    path = unsafe template.withUnsafeMutableBufferPointer {
      unsafe String(cString: mkdtemp($0.baseAddress!)!)
    }
  }

  deinit {
    Self.remove(path)
  }

  private static func remove(_ path: String) {
    if let folder = unsafe opendir(path) {
      while let entry = unsafe readdir(folder) {
        let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) { pointer in
          unsafe pointer.withMemoryRebound(to: CChar.self, capacity: 256) { unsafe String(cString: $0) }
        }
        if name != ".", name != ".." { remove(path + "/" + name) }
      }
      unsafe closedir(folder)
      _ = unsafe rmdir(path)
    } else {
      _ = unsafe unlink(path)
    }
  }
}
