import Glibc
import HTTPService
import Platform

/// A plain socket that says to the server whatever a test wants.
struct RawConnection: ~Copyable {
  private let socket: FileDescriptor

  init(_ endpoint: HTTPEndpoint) throws {
    var limit = timeval(tv_sec: 20, tv_usec: 0)
    let code: Int32
    switch endpoint {
    case .unix(let path):
      socket = FileDescriptor(owning: Glibc.socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0))
      var address = sockaddr_un()
      address.sun_family = sa_family_t(AF_UNIX)
      unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: path.utf8) }
      code = Self.connect(socket.raw, &address)
    case .tcp(_, let port):
      socket = FileDescriptor(owning: Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0))
      var address = sockaddr_in()
      address.sin_family = sa_family_t(AF_INET)
      address.sin_port = port.bigEndian
      address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
      code = Self.connect(socket.raw, &address)
    }
    guard code == 0 else { throw SystemError("connect", "\(endpoint)") }
    _ = unsafe setsockopt(socket.raw, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
  }

  private static func connect<Address>(_ socket: Int32, _ address: inout Address) -> Int32 {
    unsafe withUnsafePointer(to: &address) { pointer in
      unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        unsafe Glibc.connect(socket, $0, socklen_t(MemoryLayout<Address>.size))
      }
    }
  }

  /// Sends bytes; a peer that has closed is no error.
  func send(_ text: String) {
    send(Array(text.utf8))
  }

  /// Sends bytes that need not be text.
  func send(_ bytes: [UInt8]) {
    var done = 0
    while done < bytes.count {
      let count = unsafe bytes.withUnsafeBytes {
        unsafe Glibc.send(socket.raw, $0.baseAddress! + done, $0.count - done, Int32(MSG_NOSIGNAL))
      }
      if count <= 0 { return }
      done += count
    }
  }

  /// Whether nothing comes for a while.
  func isSilent(milliseconds: Int32) -> Bool {
    var wait = pollfd(fd: socket.raw, events: Int16(POLLIN), revents: 0)
    return unsafe poll(&wait, 1, milliseconds) == 0
  }

  /// Ends the sending side.
  func finishSending() {
    shutdown(socket.raw, Int32(SHUT_WR))
  }

  /// Everything until the server closes, or until `text` has come.
  func receive(until text: String? = nil) -> String {
    var received: [UInt8] = []
    var part = [UInt8](repeating: 0, count: 4096)
    while true {
      let count = unsafe part.withUnsafeMutableBytes { unsafe recv(socket.raw, $0.baseAddress, $0.count, 0) }
      if count <= 0 { break }
      received += part[..<count]
      if let text, String(decoding: received, as: UTF8.self).contains(text) { break }
    }
    return String(decoding: received, as: UTF8.self)
  }
}
