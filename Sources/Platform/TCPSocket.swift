import Glibc
public import Primitives

/// Listening on TCP.
public enum TCPSocket {
  /// Binds and listens; port 0 takes a free one.
  public static func listen(
    host: String, port: UInt16, backlog: Int32 = 64
  ) throws(GnomonError) -> FileDescriptor {
    var hints = unsafe addrinfo()
    unsafe hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    unsafe hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV
    var found: UnsafeMutablePointer<addrinfo>?
    let code = unsafe getaddrinfo(host, String(port), &hints, &found)
    guard code == 0, let first = unsafe found else {
      throw GnomonError(
        .invalid, "no such address: \(host)", cause: unsafe String(cString: gai_strerror(code)),
        remedy: "use an address of this machine, for example 127.0.0.1")
    }
    defer { unsafe freeaddrinfo(first) }
    do throws(SystemError) {
      let kind = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue)
      let raw = unsafe socket(first.pointee.ai_family, kind, 0)
      guard raw >= 0 else { throw SystemError("socket") }
      let descriptor = FileDescriptor(owning: raw, subject: "\(host):\(port)")
      var one: Int32 = 1
      // So that a restart does not wait for the connections of the last run to be forgotten.
      _ = unsafe setsockopt(raw, SOL_SOCKET, SO_REUSEADDR, &one, socklen_t(MemoryLayout<Int32>.size))
      guard unsafe Glibc.bind(raw, first.pointee.ai_addr, first.pointee.ai_addrlen) == 0 else {
        throw SystemError("bind", descriptor.subject)
      }
      guard Glibc.listen(raw, backlog) == 0 else { throw SystemError("listen", descriptor.subject) }
      return descriptor
    } catch {
      throw GnomonError(
        error.errno == EADDRINUSE ? .conflict : .system, "can not listen on \(host) port \(port)",
        cause: error.description,
        remedy: error.errno == EADDRINUSE
          ? "stop the process that listens there, or choose another port" : nil)
    }
  }

  /// The address that a bound socket has, in numbers, and the port.
  public static func address(of socket: borrowing FileDescriptor) -> (host: String, port: UInt16) {
    var address = sockaddr_in6()
    var length = socklen_t(MemoryLayout<sockaddr_in6>.size)
    var host = [CChar](repeating: 0, count: Int(NI_MAXHOST))
    unsafe withUnsafeMutablePointer(to: &address) { pointer in
      unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        unsafe getsockname(socket.raw, $0, &length)
        unsafe getnameinfo($0, length, &host, socklen_t(host.count), nil, 0, NI_NUMERICHOST)
      }
    }
    // The port lies at the same place in the addresses of both families.
    let name = host.prefix { $0 != 0 }.map(UInt8.init(bitPattern:))
    return (String(decoding: name, as: UTF8.self), UInt16(bigEndian: address.sin6_port))
  }
}
