import Glibc

/// Where text goes: a file descriptor, or memory in tests.
struct TextOutput: Sendable {
  let write: @Sendable (String) -> Void

  /// Writes to a descriptor. A reader that is gone is no error, anything else ends the program.
  static func descriptor(_ number: Int32) -> TextOutput {
    TextOutput { text in
      let bytes = Array(text.utf8)
      var done = 0
      while done < bytes.count {
        let count = unsafe bytes.withUnsafeBytes {
          unsafe Glibc.write(number, $0.baseAddress! + done, $0.count - done)
        }
        if count >= 0 {
          done += count
        } else if errno == EPIPE {
          return
        } else if errno != EINTR {
          exit(ExitStatus.failure.rawValue)
        }
      }
    }
  }
}
