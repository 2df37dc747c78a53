import Primitives
import TestSupport
import Testing

@testable import HTTPService

/// The client against the server, and its parser against anything.
@Suite struct ClientTests: Sendable {
  private let folder = TemporaryFolder()
  private let control = FakeControlPlane()

  @Test func everyCallGoesThere() async throws {
    let path = folder.path + "/api.sock"
    try await onThread {
      let server = try HTTPServer(listening: [.unix(path: path)], control: control)
      let client = APIClient(socket: path)
      #expect(try client.pool().directory == "/srv/pool")
      #expect(try client.status().pid == 4711)
      #expect(try client.stores().map(\.name) == ["fast"])
      #expect(try client.store(name: "fast").state == .online)
      let store = StoreRequest(name: "slow", path: "/x", sizeBytes: 1 << 30, tier: 2, zone: "z", cache: .page)
      #expect(try client.addStore(store).zone == "z")
      try client.removeStore(name: "slow")
      let volume = try client.createVolume(
        VolumeRequest(name: "a b", sizeBytes: 1 << 30, extentBytes: 1 << 16))
      #expect(try client.volume(name: "a b") == volume)
      #expect(try client.resizeVolume(name: "a b", VolumeChange(sizeBytes: 1 << 31)).sizeBytes == 1 << 31)
      try client.deleteVolume(name: "a b")
      #expect(try client.volumes().map(\.name) == ["disk0"])
      #expect(throws: GnomonError(.conflict, "the volume is attached")) {
        try client.deleteVolume(name: "disk0")
      }
      server.stop()
      let error = #expect(throws: GnomonError.self) { try client.pool() }
      #expect(error?.code == .unavailable)
    }
  }

  private func read(_ text: String, pieces: Int) throws -> ResponseReader {
    var reader = ResponseReader()
    let bytes = Array(text.utf8)
    for start in stride(from: 0, to: bytes.count, by: pieces) {
      try reader.feed(bytes[start..<min(start + pieces, bytes.count)])
    }
    try reader.finish()
    return reader
  }

  @Test(arguments: [
    // A line about a chunk that is too long, and a head that is.
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;\(String(repeating: "x", count: 70))\r\nhe\r\n0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nX: \(String(repeating: "x", count: 17 << 10))\r\nContent-Length: 0\r\n\r\n",
  ])
  func boundsDoNotDependOnThePieces(text: String) {
    for pieces in [1, 30, 1 << 20] {
      #expect(throws: ResponseReader.Problem.malformed) { try read(text, pieces: pieces) }
    }
  }

  @Test(arguments: [
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length:5\r\n\r\nhello",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\n\r\n",
    "HTTP/1.0 200 OK\r\n\r\nhello",
  ])
  func readsEveryFraming(text: String) throws {
    for pieces in [1, 2, 3, 7, 1000] {
      let reader = try read(text, pieces: pieces)
      #expect(reader.status == 200)
      #expect(reader.body == Array("hello".utf8))
    }
  }

  @Test(arguments: [
    ("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello", ResponseReader.Problem.truncated),
    ("HTTP/1.1 200 OK\r\n", .truncated),
    ("", .truncated),
    ("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", .malformed),
    ("HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n", .tooLarge),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", .malformed),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe", .truncated),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-2\r\nhe\r\n", .malformed),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffff\r\n", .tooLarge),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhello\r\n", .malformed),
    ("NBDMAGIC\r\n\r\n", .malformed),
    (String(repeating: "x", count: 20_000), .malformed),
  ])
  func brokenResponsesAreTold(text: String, problem: ResponseReader.Problem) {
    #expect(throws: problem) { try read(text, pieces: 1000) }
  }
}
