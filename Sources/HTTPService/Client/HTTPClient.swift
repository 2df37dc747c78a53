import Glibc
import Platform
import Primitives

/// A blocking HTTP client over a unix socket: one connection per request.
struct HTTPClient {
  /// The daemon's socket.
  let path: String
  /// How long the peer may be silent; adding a large store takes a while.
  static let silenceSeconds = 120

  /// Sends a request and waits for the whole response.
  func send(
    _ method: String, _ target: String, body: [UInt8]? = nil
  ) throws(GnomonError) -> (status: Int, body: [UInt8]) {
    let socket = try connect()
    var head = "\(method) \(target) HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    if let body { head += "Content-Type: application/json\r\nContent-Length: \(body.count)\r\n" }
    try write(Array((head + "\r\n").utf8) + (body ?? []), to: socket)
    var reader = ResponseReader()
    do {
      while !reader.isComplete {
        let part = try receive(from: socket)
        if part.isEmpty {
          try reader.finish()
        } else {
          try reader.feed(part)
        }
      }
    } catch let error as GnomonError {
      throw error
    } catch {
      throw GnomonError(
        .system, "the answer of the daemon can not be understood", cause: "\(error)",
        remedy: "is it a Gnomon daemon that listens at \(path)?")
    }
    return (reader.status, reader.body)
  }

  private func connect() throws(GnomonError) -> FileDescriptor {
    let address = try UnixAddress.of(path)
    let socket = try UnixAddress.socket(nonBlocking: false)
    var limit = timeval(tv_sec: Self.silenceSeconds, tv_usec: 0)
    for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
      _ = unsafe setsockopt(socket.raw, SOL_SOCKET, option, &limit, socklen_t(MemoryLayout<timeval>.size))
    }
    let code = address.connect(socket)
    guard code == 0 else {
      let cause = SystemError("connect", path, errno: code).description
      switch code {
      case ENOENT, ECONNREFUSED, ENOTDIR:
        throw GnomonError(.unavailable, "no daemon answers at \(path)", cause: cause)
      case EACCES, EPERM:
        throw GnomonError(
          .system, "the daemon at \(path) may not be talked to", cause: cause,
          remedy: "run the command as the user that runs the daemon")
      default:
        throw GnomonError(.system, "the daemon at \(path) can not be reached", cause: cause)
      }
    }
    return socket
  }

  private func write(_ bytes: [UInt8], to socket: borrowing FileDescriptor) throws(GnomonError) {
    var done = 0
    while done < bytes.count {
      let count = unsafe bytes.withUnsafeBytes {
        unsafe Glibc.send(socket.raw, $0.baseAddress! + done, $0.count - done, Int32(MSG_NOSIGNAL))
      }
      if count > 0 {
        done += count
      } else if errno == EPIPE || errno == ECONNRESET {
        // The daemon refused early; its answer says why.
        return
      } else if errno != EINTR {
        throw lost(errno)
      }
    }
  }

  private func receive(from socket: borrowing FileDescriptor) throws(GnomonError) -> ArraySlice<UInt8> {
    var part = [UInt8](repeating: 0, count: 16 << 10)
    while true {
      let count = unsafe part.withUnsafeMutableBytes { unsafe recv(socket.raw, $0.baseAddress, $0.count, 0) }
      if count >= 0 { return part[..<count] }
      if errno != EINTR { throw lost(errno) }
    }
  }

  private func lost(_ code: Int32) -> GnomonError {
    if code == EAGAIN {
      return GnomonError(
        .system, "the daemon does not answer", cause: "nothing came for \(Self.silenceSeconds) seconds",
        remedy: "it may still carry out the request: look with 'gnomon status' before you repeat it")
    }
    return GnomonError(
      .system, "the connection to the daemon was lost", cause: SystemError.text(of: code),
      remedy: "see the daemon's log")
  }
}
