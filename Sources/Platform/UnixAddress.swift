import Glibc
public import Primitives

/// The address of a unix socket, of any length.
///
/// The kernel takes 107 bytes at most. A longer path is reached through its opened folder, as
/// `/proc/self/fd/N/name`, so the address lives as long as this value.
public struct UnixAddress: ~Copyable {
  static let pathBytesMax = 107

  /// As the caller wrote it.
  let path: String
  /// What the kernel is given: the same file by a path that is short enough.
  let reachablePath: String
  private let folder: FileDescriptor?

  private init(_ path: String, reachablePath: String, folder: consuming FileDescriptor?) {
    self.path = path
    self.reachablePath = reachablePath
    self.folder = folder
  }

  /// Makes the address of the socket at `path`; of a long path, the folder must exist.
  public static func of(_ path: String) throws(GnomonError) -> UnixAddress {
    guard path.utf8.count > pathBytesMax else { return UnixAddress(path, reachablePath: path, folder: nil) }
    let name = path.split(separator: "/").last ?? ""
    let parent = path.contains("/") ? String(path.dropLast(name.count)) : "."
    let folder: FileDescriptor
    do {
      folder = try FileDescriptor.open(parent, O_RDONLY | O_DIRECTORY)
    } catch {
      throw GnomonError(.system, "can not reach the socket \(path)", cause: error.description)
    }
    let reachablePath = "/proc/self/fd/\(folder.raw)/\(name)"
    guard reachablePath.utf8.count <= pathBytesMax else {
      throw GnomonError(
        .invalid, "the name of the socket is too long: \(path)", remedy: "use a name of at most 80 bytes")
    }
    return UnixAddress(path, reachablePath: reachablePath, folder: folder)
  }

  /// A new stream socket.
  public static func socket(nonBlocking: Bool) throws(GnomonError) -> FileDescriptor {
    var kind = SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue
    if nonBlocking { kind |= SOCK_NONBLOCK.rawValue }
    let raw = Glibc.socket(AF_UNIX, Int32(kind), 0)
    guard raw >= 0 else {
      throw GnomonError(.system, "no socket can be had", cause: SystemError("socket").description)
    }
    return FileDescriptor(owning: raw, subject: "unix socket")
  }

  /// Gives the socket this address.
  ///
  /// - Returns: 0, or errno.
  public func bind(_ socket: borrowing FileDescriptor) -> Int32 {
    unsafe apply { unsafe Glibc.bind(socket.raw, $0, $1) }
  }

  /// Connects the socket to whoever listens at this address.
  ///
  /// - Returns: 0, or errno.
  public func connect(_ socket: borrowing FileDescriptor) -> Int32 {
    unsafe apply { unsafe Glibc.connect(socket.raw, $0, $1) }
  }

  private func apply(_ call: (UnsafePointer<sockaddr>, socklen_t) -> Int32) -> Int32 {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    unsafe withUnsafeMutableBytes(of: &address.sun_path) { bytes in
      // The rest is zero already; the path is at least one byte shorter than the field.
      unsafe bytes.copyBytes(from: reachablePath.utf8)
    }
    let length = socklen_t(MemoryLayout<sockaddr_un>.size)
    while true {
      let code = unsafe withUnsafePointer(to: &address) { pointer in
        unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { unsafe call($0, length) }
      }
      if code == 0 { return 0 }
      if errno != EINTR { return errno }
    }
  }

  /// The path that a bound unix socket has; nil if it is a socket of another family.
  public static func path(of socket: borrowing FileDescriptor) -> String? {
    var address = sockaddr_un()
    var length = socklen_t(MemoryLayout<sockaddr_un>.size)
    let result = unsafe withUnsafeMutablePointer(to: &address) { pointer in
      unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        unsafe getsockname(socket.raw, $0, &length)
      }
    }
    guard result == 0, address.sun_family == sa_family_t(AF_UNIX) else { return nil }
    return unsafe withUnsafeBytes(of: &address.sun_path) { bytes in
      unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
    }
  }

  /// Sends one datagram to a socket; `@name` is in the abstract namespace. Failure is ignored.
  public static func sendDatagram(_ text: String, to name: String) {
    guard name.utf8.count <= pathBytesMax else { return }
    let socket = Glibc.socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    guard socket >= 0 else { return }
    defer { close(socket) }
    var bytes = Array(name.utf8)
    if bytes.first == UInt8(ascii: "@") { bytes[0] = 0 }
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: bytes) }
    let length = socklen_t(MemoryLayout<sa_family_t>.size + bytes.count)
    let message = Array(text.utf8)
    _ = unsafe withUnsafePointer(to: &address) { pointer in
      unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        unsafe sendto(socket, message, message.count, 0, $0, length)
      }
    }
  }
}
