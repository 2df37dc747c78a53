public import Glibc
public import Primitives

/// The file of a listening unix socket: made with the right mode, whatever the length of its path, and
/// removed only while it is still ours.
public struct UnixSocketFile: Sendable, Equatable {
  /// As the caller wrote it.
  public let path: String
  private let device: UInt64
  private let inode: UInt64

  /// Binds a new socket at `path` and listens, non-blocking.
  ///
  /// A socket that was left there by a process that is gone is replaced; a socket that answers, or a file of
  /// another kind, is a conflict.
  public static func listen(
    at path: String, mode: mode_t, backlog: Int32 = 128
  ) throws(GnomonError) -> UnixListener {
    let address = try UnixAddress.of(path)
    try removeStale(address)
    let socket = try UnixAddress.socket(nonBlocking: true)
    try check("bind", path, address.bind(socket))
    // Before listen(2), so that nobody can connect while the umask's mode is still in force.
    try check("chmod", path, unsafe chmod(address.reachablePath, mode) == 0 ? 0 : errno)
    var status = stat()
    try check("lstat", path, unsafe lstat(address.reachablePath, &status) == 0 ? 0 : errno)
    let file = UnixSocketFile(path: path, device: UInt64(status.st_dev), inode: UInt64(status.st_ino))
    try check("listen", path, Glibc.listen(socket.raw, backlog) == 0 ? 0 : errno)
    return UnixListener(socket: socket, file: file)
  }

  /// Removes the file, if it is still the one that was made.
  public func remove() {
    guard let address = try? UnixAddress.of(path) else { return }
    var status = stat()
    guard unsafe lstat(address.reachablePath, &status) == 0, status.st_dev == device, status.st_ino == inode
    else { return }
    unsafe unlink(address.reachablePath)
  }

  /// Makes room for a new socket, if what is there belongs to nobody.
  private static func removeStale(_ address: borrowing UnixAddress) throws(GnomonError) {
    var status = stat()
    guard unsafe lstat(address.reachablePath, &status) == 0 else { return }
    guard status.st_mode & S_IFMT == S_IFSOCK else {
      throw GnomonError(
        .conflict, "can not listen on \(address.path)", cause: "a file that is not a socket is in the way",
        remedy: "remove the file, or choose another path")
    }
    // Non-blocking: a listener whose queue is full answers EAGAIN, and is alive.
    let probe = try UnixAddress.socket(nonBlocking: true)
    guard address.connect(probe) == ECONNREFUSED else {
      throw GnomonError(
        .conflict, "can not listen on \(address.path)", cause: "another process is listening there",
        remedy: "stop that process, or choose another path")
    }
    try check("unlink", address.path, unsafe unlink(address.reachablePath) == 0 ? 0 : errno)
  }

  private static func check(_ call: String, _ path: String, _ code: Int32) throws(GnomonError) {
    guard code != 0 else { return }
    throw GnomonError(
      .system, "can not listen on \(path)", cause: SystemError(call, path, errno: code).description)
  }
}

/// A listening unix socket and its file.
@frozen
public struct UnixListener: ~Copyable {
  /// The listening socket, non-blocking.
  public let socket: FileDescriptor
  /// Its file, to be removed when listening ends.
  public let file: UnixSocketFile
}
