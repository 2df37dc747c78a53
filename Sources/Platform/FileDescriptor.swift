import CLinux
public import Glibc

/// An open file, socket or device; closed when it goes out of scope.
///
/// All blocking system calls on descriptors are fenced in here: EINTR is retried, failures are typed.
public struct FileDescriptor: ~Copyable, Sendable {
  /// The number, for calls that take one. Valid as long as this value lives.
  public private(set) var raw: Int32
  /// What it was opened on, for error messages.
  public let subject: String

  /// Takes ownership of an open descriptor.
  public init(owning raw: Int32, subject: String = "") {
    self.raw = raw
    self.subject = subject
  }

  deinit {
    if raw >= 0 { close(raw) }
  }

  /// Gives up ownership without closing.
  public consuming func release() -> Int32 {
    defer { raw = -1 }
    return raw
  }

  /// Opens `path`; O_CLOEXEC is always added.
  public static func open(
    _ path: String, _ flags: Int32, mode: mode_t = 0o600
  ) throws(SystemError) -> FileDescriptor {
    let raw = try retrying("open", path) { unsafe Int(Glibc.open(path, flags | O_CLOEXEC, mode)) }
    return FileDescriptor(owning: Int32(raw), subject: path)
  }

  /// Reads up to `buffer.count` bytes at `offset`, fewer only at the end of the file.
  public func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(SystemError) -> Int {
    var done = 0
    while done < buffer.count {
      let count = try retrying("pread", subject) {
        unsafe pread(raw, buffer.baseAddress! + done, buffer.count - done, off_t(offset) + done)
      }
      if count == 0 { break }
      done += count
    }
    return done
  }

  /// Writes all of `buffer` at `offset`.
  public func write(_ buffer: UnsafeRawBufferPointer, at offset: UInt64) throws(SystemError) {
    var done = 0
    while done < buffer.count {
      done += try retrying("pwrite", subject) {
        unsafe pwrite(raw, buffer.baseAddress! + done, buffer.count - done, off_t(offset) + done)
      }
    }
  }

  /// Makes written data, and the metadata needed to read it back, durable.
  public func synchronizeData() throws(SystemError) {
    try retrying("fdatasync", subject) { Int(fdatasync(raw)) }
  }

  /// Makes data and all metadata durable; on a folder, its entries.
  public func synchronize() throws(SystemError) {
    try retrying("fsync", subject) { Int(fsync(raw)) }
  }

  /// fallocate(2) with `mode` (FALLOC_FL_…) over a range of bytes.
  public func allocate(mode: Int32, offset: UInt64, length: UInt64) throws(SystemError) {
    try retrying("fallocate", subject) { Int(fallocate(raw, mode, off_t(offset), off_t(length))) }
  }

  /// Sets the size of a regular file, in bytes; what is new reads zero.
  public func truncate(to size: UInt64) throws(SystemError) {
    try retrying("ftruncate", subject) { Int(ftruncate(raw, off_t(size))) }
  }

  /// What the system knows about the file (fstat(2)).
  public func status() throws(SystemError) -> stat {
    var result = stat()
    try retrying("fstat", subject) { unsafe Int(fstat(raw, &result)) }
    return result
  }

  /// The size of a regular file or block device, in bytes.
  public func size() throws(SystemError) -> UInt64 {
    let end = try retrying("lseek", subject) { Int(lseek(raw, 0, SEEK_END)) }
    return UInt64(end)
  }

  /// Takes an exclusive advisory lock for as long as the descriptor is open.
  ///
  /// - Returns: false if another open file description holds it.
  public func tryLock() throws(SystemError) -> Bool {
    while flock(raw, LOCK_EX | LOCK_NB) != 0 {
      if errno == EWOULDBLOCK { return false }
      if errno != EINTR { throw SystemError("flock", subject) }
    }
    return true
  }

  /// Takes the exclusive advisory lock; if another open file description holds it, tries again for a while.
  ///
  /// Somebody who starts right after a process that was killed needs this: the kernel keeps the files of an
  /// io_uring open, and so their locks, until it has taken the ring apart in the background.
  ///
  /// - Parameters:
  ///   - waitMilliseconds: when to give up.
  ///   - whenHeld: called once before waiting, to tell people why nothing happens.
  /// - Returns: false if it was held all the time.
  public func lock(waitMilliseconds: UInt64, whenHeld: () -> Void) throws(SystemError) -> Bool {
    if try tryLock() { return true }
    guard waitMilliseconds > 0 else { return false }
    whenHeld()
    let deadline = MonotonicClock.nanoseconds() + waitMilliseconds * 1_000_000
    while MonotonicClock.nanoseconds() < deadline {
      usleep(Self.lockRetryMicroseconds)
      if try tryLock() { return true }
    }
    return false
  }

  /// How long a start waits for locks that may be about to be released.
  public static let lockWaitMilliseconds: UInt64 = 5000
  private static let lockRetryMicroseconds: UInt32 = 10_000

  /// Gives the lock up at once, although somebody else (an io_uring) may still hold the open file.
  public func unlock() {
    _ = flock(raw, LOCK_UN)
  }

  /// Another descriptor of the same open file.
  public func duplicate() throws(SystemError) -> FileDescriptor {
    let copy = try retrying("fcntl", subject) { Int(fcntl(raw, F_DUPFD_CLOEXEC, 0)) }
    return FileDescriptor(owning: Int32(copy), subject: subject)
  }

  /// Clears O_NONBLOCK: on a non-blocking descriptor io_uring answers EAGAIN instead of waiting.
  public func setBlocking() throws(SystemError) {
    let flags = try retrying("fcntl", subject) { Int(fcntl(raw, F_GETFL)) }
    try retrying("fcntl", subject) { Int(fcntl(raw, F_SETFL, Int32(flags) & ~O_NONBLOCK)) }
  }
}
