import Glibc
import Platform
import Primitives
import TestSupport
import Testing

@testable import HTTPService

/// Where the API listens, and who may already be there.
@Suite struct UnixSocketTests: Sendable {
  private let folder = TemporaryFolder()

  private func exists(_ path: String) -> Bool {
    unsafe access(path, F_OK) == 0
  }

  @Test func anAbandonedSocketIsReplaced() throws {
    let path = folder.path + "/s"
    do {
      let listener = try UnixSocketFile.listen(at: path, mode: 0o600)
      _ = listener.file
    }
    #expect(exists(path), "the socket of a process that was killed stays")
    let listener = try UnixSocketFile.listen(at: path, mode: 0o600)
    listener.file.remove()
    #expect(!exists(path))
  }

  @Test func aSocketThatAnswersIsAConflict() throws {
    let path = folder.path + "/s"
    let listener = try UnixSocketFile.listen(at: path, mode: 0o600)
    do {
      let second = try UnixSocketFile.listen(at: path, mode: 0o600)
      _ = second.file
      Issue.record("it was taken away from its owner")
    } catch {
      #expect(error.code == .conflict)
    }
    #expect(exists(path))
    listener.file.remove()
  }

  @Test func aFileOfAnotherKindIsLeftAlone() throws {
    let path = folder.path + "/s"
    let file = try FileDescriptor.open(path, O_CREAT | O_WRONLY)
    do {
      let listener = try UnixSocketFile.listen(at: path, mode: 0o600)
      _ = listener.file
      Issue.record("a file was replaced")
    } catch {
      #expect(error.code == .conflict)
    }
    #expect(exists(path))
    _ = file.raw
  }

  @Test func aSuccessorsSocketIsNotRemoved() throws {
    let path = folder.path + "/s"
    let first = try UnixSocketFile.listen(at: path, mode: 0o600)
    _ = unsafe unlink(path)
    let second = try UnixSocketFile.listen(at: path, mode: 0o600)
    first.file.remove()
    #expect(exists(path))
    second.file.remove()
  }

  @Test func longPathsAreReached() async throws {
    var path = folder.path
    for _ in 0..<20 {
      path += "/a-folder-with-a-long-name"
      _ = unsafe mkdir(path, 0o700)
    }
    let socket = path + "/api.sock"
    try await onThread {
      let server = try HTTPServer(listening: [.unix(path: socket)], control: FakeControlPlane())
      #expect(try APIClient(socket: socket).pool().storeCount == 1)
      server.stop()
    }
    #expect(!exists(socket))
    #expect(throws: GnomonError.self) {
      try HTTPServer(
        listening: [.unix(path: path + "/" + String(repeating: "x", count: 100))], control: FakeControlPlane()
      )
    }
  }

  @Test func aPortThatIsTakenIsAConflict() throws {
    let first = try HTTPServer(listening: [.tcp(host: "127.0.0.1", port: 0)], control: FakeControlPlane())
    do {
      _ = try HTTPServer(
        listening: [.unix(path: folder.path + "/s")] + first.endpoints, control: FakeControlPlane())
      Issue.record("a port was taken twice")
    } catch {
      #expect(error.code == .conflict)
    }
    #expect(!exists(folder.path + "/s"), "what was bound before must be given back")
    first.stop()
  }

  @Test(arguments: [
    ("unix:/a/b", HTTPEndpoint.unix(path: "/a/b")),
    ("http://127.0.0.1:80", .tcp(host: "127.0.0.1", port: 80)),
    ("http://[::1]:8080/", .tcp(host: "::1", port: 8080)),
    ("http://localhost:0", .tcp(host: "localhost", port: 0)),
    ("http://127.0.0.1", nil), ("https://127.0.0.1:1", nil), ("unix:", nil), ("http://:80", nil),
    ("http://a b:80", nil), ("http://::1:80", nil), ("http://h:65536", nil), ("http://u@h:1", nil),
  ])
  func endpointsAreParsed(text: String, expected: HTTPEndpoint?) {
    #expect(HTTPEndpoint(parsing: text) == expected)
  }
}
