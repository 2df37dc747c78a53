import Platform
import Primitives

/// A bound, listening, non-blocking stream socket; closed when it goes out of scope.
struct ListeningSocket: ~Copyable {
  let descriptor: FileDescriptor
  /// What was asked for, with the port that was taken.
  let endpoint: HTTPEndpoint
  /// The file of a unix socket, to be removed in the end.
  private let file: UnixSocketFile?

  init(_ endpoint: HTTPEndpoint) throws(GnomonError) {
    switch endpoint {
    case .unix(let path):
      let listener = try UnixSocketFile.listen(at: path, mode: 0o600)
      self.endpoint = endpoint
      file = listener.file
      descriptor = listener.socket
    case .tcp(let host, let port):
      descriptor = try TCPSocket.listen(host: host, port: port)
      self.endpoint = .tcp(host: host, port: TCPSocket.address(of: descriptor).port)
      file = nil
    }
  }

  deinit {
    // Before the socket is closed: a daemon that starts meanwhile must not lose its new file.
    file?.remove()
  }
}
