import Glibc

/// Prints a line at once: what was said before a trap must not be lost in a buffer.
func say(_ line: String) {
  let bytes = Array((line + "\n").utf8)
  var done = 0
  while done < bytes.count {
    let count = unsafe bytes.withUnsafeBytes { unsafe write(1, $0.baseAddress! + done, bytes.count - done) }
    if count <= 0 { return }
    done += count
  }
}
