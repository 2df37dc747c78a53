import Glibc
import HTTPService
import Platform
import Primitives

/// The sockets on which NBD clients arrive.
final class Listeners {
  /// Descriptors for the reactors.
  private(set) var descriptors: [Int32] = []
  /// Where clients connect, with the ports that were taken.
  private(set) var endpoints: [NBDEndpoint] = []
  private var files: [UnixSocketFile] = []
  /// Whether the sockets belong to a service manager, which goes on to listen.
  private var areInherited = false

  /// Clients that may wait to be accepted.
  private static let backlog: Int32 = 1024
  /// First descriptor that a service manager hands over (sd_listen_fds(3)).
  private static let firstInherited: Int32 = 3

  /// Takes over the sockets of the service manager, if there are any and nothing else was asked for;
  /// otherwise binds the configured ones.
  init(_ configuration: Configuration) throws(GnomonError) {
    let inherited = Self.inheritedCount()
    if inherited > 0 && !configuration.listenIsExplicit {
      areInherited = true
      for number in Self.firstInherited..<Self.firstInherited + inherited { try take(inherited: number) }
      return
    }
    do {
      for endpoint in configuration.listen { try bind(endpoint) }
    } catch {
      close()
      throw error
    }
  }

  /// Sockets that were handed to this very process (LISTEN_PID), none otherwise.
  private static func inheritedCount() -> Int32 {
    func number(_ name: String) -> Int32? {
      unsafe getenv(name).flatMap { unsafe Int32(String(cString: $0)) }
    }
    guard number("LISTEN_PID") == getpid(), let count = number("LISTEN_FDS"), count > 0 else { return 0 }
    for name in ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"] { unsafe unsetenv(name) }
    return count
  }

  private func take(inherited number: Int32) throws(GnomonError) {
    let descriptor = FileDescriptor(owning: number, subject: "socket \(number)")
    do throws(SystemError) {
      try descriptor.setBlocking()
    } catch {
      throw GnomonError(
        .system, "socket \(number) of the service manager can not be used", cause: error.description)
    }
    if let path = UnixAddress.path(of: descriptor) {
      endpoints.append(.unix(path: path))
    } else {
      let address = TCPSocket.address(of: descriptor)
      endpoints.append(.tcp(host: address.host, port: address.port))
    }
    descriptors.append(descriptor.release())
  }

  private func bind(_ endpoint: NBDEndpoint) throws(GnomonError) {
    do {
      switch endpoint {
      case .unix(let path):
        let listener = try UnixSocketFile.listen(at: path, mode: 0o600, backlog: Self.backlog)
        files.append(listener.file)
        try add(listener.socket.duplicate(), endpoint)
      case .tcp(let host, let port):
        let descriptor = try TCPSocket.listen(host: host, port: port, backlog: Self.backlog)
        let taken = TCPSocket.address(of: descriptor).port
        try add(descriptor, .tcp(host: host, port: taken))
      }
    } catch let error as GnomonError {
      throw error
    } catch {
      throw GnomonError(.system, "can not listen on \(endpoint)", cause: "\(error)")
    }
  }

  private func add(_ descriptor: consuming FileDescriptor, _ endpoint: NBDEndpoint) throws(SystemError) {
    try descriptor.setBlocking()
    endpoints.append(endpoint)
    descriptors.append(descriptor.release())
  }

  /// Closes the sockets and removes their files. Clients that are connected stay connected.
  func close() {
    for descriptor in descriptors {
      // A reactor's ring holds on to the socket for a while: closing alone does not free the address.
      if !areInherited { _ = shutdown(descriptor, Int32(SHUT_RDWR)) }
      _ = Glibc.close(descriptor)
    }
    for file in files { file.remove() }
    descriptors = []
    files = []
  }
}
