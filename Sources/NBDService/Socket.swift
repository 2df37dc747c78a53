import Glibc

/// Options of accepted sockets.
enum Socket {
  /// When a silent client is asked whether it is still there, how often after that, and for how many times
  /// without an answer: one whose machine has vanished is given up after two minutes, and not after the two
  /// hours that are the system's default.
  private static let keepAlive = (idleSeconds: Int32(60), intervalSeconds: Int32(10), probes: Int32(6))

  /// Sets what a client's socket needs and tells who it is, for the log.
  static func prepare(_ socket: Int32) -> String {
    var address = sockaddr_storage()
    var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
    let result = unsafe withUnsafeMutablePointer(to: &address) { pointer in
      unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        unsafe getpeername(socket, $0, &length)
      }
    }
    guard result == 0, address.ss_family != sa_family_t(AF_UNIX) else { return "unix" }
    set(socket, Int32(IPPROTO_TCP), TCP_NODELAY, 1)
    set(socket, SOL_SOCKET, SO_KEEPALIVE, 1)
    set(socket, Int32(IPPROTO_TCP), TCP_KEEPIDLE, keepAlive.idleSeconds)
    set(socket, Int32(IPPROTO_TCP), TCP_KEEPINTVL, keepAlive.intervalSeconds)
    set(socket, Int32(IPPROTO_TCP), TCP_KEEPCNT, keepAlive.probes)
    var host = [CChar](repeating: 0, count: 64)
    var port = [CChar](repeating: 0, count: 16)
    let named = unsafe withUnsafePointer(to: &address) { pointer in
      unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        unsafe getnameinfo(
          $0, length, &host, socklen_t(host.count), &port, socklen_t(port.count),
          NI_NUMERICHOST | NI_NUMERICSERV)
      }
    }
    guard named == 0 else { return "tcp" }
    return text(host) + ":" + text(port)
  }

  private static func set(_ socket: Int32, _ level: Int32, _ option: Int32, _ value: Int32) {
    var value = value
    unsafe setsockopt(socket, level, option, &value, socklen_t(MemoryLayout<Int32>.size))
  }

  private static func text(_ characters: [CChar]) -> String {
    String(decoding: characters.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
  }
}
