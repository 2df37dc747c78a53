import Glibc
@testable import HTTPService
import Platform
import Primitives
import TestSupport
import Testing

/// The server over real sockets, spoken to byte by byte.
@Suite struct ServerTests: Sendable {
  private let folder = TemporaryFolder()
  private let control = FakeControlPlane()

  private func unixServer(_ limits: HTTPLimits = HTTPLimits()) throws -> (HTTPServer, HTTPEndpoint) {
    let endpoint = HTTPEndpoint.unix(path: folder.path + "/api.sock")
    return (try HTTPServer(listening: [endpoint], control: control, limits: limits), endpoint)
  }

  private func exchange(_ endpoint: HTTPEndpoint, _ request: String) throws -> String {
    let connection = try RawConnection(endpoint)
    connection.send(request)
    return connection.receive()
  }

  private static func post(_ path: String, _ body: String, type: String = "application/json") -> String {
    "POST \(path) HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: \(type)\r\n"
      + "Content-Length: \(body.utf8.count)\r\n\r\n\(body)"
  }

  private static func get(_ path: String, method: String = "GET") -> String {
    "\(method) \(path) HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
  }

  @Test func answersOnAUnixSocketThatOnlyItsUserMayUse() async throws {
    try await onThread {
      let (server, endpoint) = try unixServer()
      let answer = try exchange(endpoint, Self.get("/v1/pool"))
      #expect(answer.hasPrefix("HTTP/1.1 200 OK\r\n"))
      #expect(answer.contains("\r\nContent-Type: application/json\r\n"))
      #expect(answer.contains("\"directory\":\"/srv/pool\""))
      var status = stat()
      #expect(unsafe lstat(folder.path + "/api.sock", &status) == 0)
      #expect(status.st_mode & 0o777 == 0o600)
      server.stop()
      #expect(unsafe lstat(folder.path + "/api.sock", &status) != 0, "the socket must be gone")
    }
  }

  @Test func queriesAreUnderstoodAndOthersRefused() async throws {
    try await onThread {
      let (server, endpoint) = try unixServer()
      let path = "/v1/volumes/disk0/forecast"
      let answer = try exchange(endpoint, Self.get(path + "?metric=latency&horizon=2m"))
      #expect(
        answer.hasPrefix("HTTP/1.1 200 OK\r\n") && answer.contains("\"metric\":\"latency\""), "\(answer)")
      #expect(answer.ranges(of: "\"high\"").count == 2, "two minutes are asked for")
      for query in ["horizon=2m&horizon=3m", "horizon", "window=2m", "far=2m", "horizon=2m&x", "metric=2"] {
        let answer = try exchange(endpoint, Self.get(path + "?" + query))
        #expect(answer.hasPrefix("HTTP/1.1 400 "), "\(query): \(answer)")
      }
      #expect(try exchange(endpoint, Self.get("/v1/volumes?window=1m")).hasPrefix("HTTP/1.1 400 "))
      server.stop()
    }
  }

  @Test func answersOnTheLoopback() async throws {
    try await onThread {
      let server = try HTTPServer(listening: [.tcp(host: "127.0.0.1", port: 0)], control: control)
      guard case .tcp(_, let port) = server.endpoints[0] else { throw SystemError("no TCP") }
      #expect(port != 0)
      let answer = try exchange(server.endpoints[0], Self.get("/v1/volumes/disk0"))
      #expect(answer.hasPrefix("HTTP/1.1 200 OK\r\n"))
      #expect(answer.contains("\"name\":\"disk0\""))
      server.stop()
    }
  }

  @Test(arguments: ["evil.example", "localhost.evil.example", "1.2.3.4.evil.example:80", ""])
  func refusesOtherHostsByTCP(host: String) async throws {
    try await onThread {
      let server = try HTTPServer(listening: [.tcp(host: "127.0.0.1", port: 0)], control: control)
      let answer = try exchange(
        server.endpoints[0], "GET /v1/pool HTTP/1.1\r\nHost: \(host)\r\nConnection: close\r\n\r\n")
      #expect(answer.hasPrefix("HTTP/1.1 421 "))
      #expect(control.calls == 0)
      server.stop()
    }
  }

  @Test func headHasNoBody() async throws {
    try await onThread {
      let (server, endpoint) = try unixServer()
      let answer = try exchange(endpoint, Self.get("/v1/pool", method: "HEAD"))
      #expect(answer.hasPrefix("HTTP/1.1 200 OK\r\n"))
      #expect(answer.hasSuffix("\r\n\r\n"))
      server.stop()
    }
  }

  @Test func keepsConnectionsOpen() async throws {
    try await onThread {
      let (server, endpoint) = try unixServer()
      let connection = try RawConnection(endpoint)
      for _ in 0..<3 {
        connection.send("GET /v1/pool HTTP/1.1\r\nHost: localhost\r\n\r\n")
        #expect(connection.receive(until: "}\n").hasPrefix("HTTP/1.1 200 OK\r\n"))
      }
      server.stop()
    }
  }

  @Test func unknownPathsAndMethodsAreTold() async throws {
    try await onThread {
      let (server, endpoint) = try unixServer()
      #expect(try exchange(endpoint, Self.get("/v2/pool")).hasPrefix("HTTP/1.1 404 "))
      let wrong = try exchange(endpoint, Self.get("/v1/pool", method: "DELETE"))
      #expect(wrong.hasPrefix("HTTP/1.1 405 "))
      #expect(wrong.contains("\r\nAllow: GET, HEAD\r\n"))
      #expect(control.calls == 0)
      server.stop()
    }
  }

  @Test func aZeroByteDoesNotCutANameShort() async throws {
    try await onThread {
      let (server, endpoint) = try unixServer()
      #expect(
        try exchange(endpoint, Self.get("/v1/volumes/disk0%00x", method: "DELETE")).hasPrefix("HTTP/1.1 404 ")
      )
      #expect(try exchange(endpoint, Self.get("/v1/volumes/disk%2F0")).hasPrefix("HTTP/1.1 404 "))
      #expect(try exchange(endpoint, Self.get("/v1/volumes/d%69sk0")).hasPrefix("HTTP/1.1 200 "))
      server.stop()
    }
  }

  @Test func bodiesAreBounded() async throws {
    try await onThread {
      let (server, endpoint) = try unixServer()
      let limit = 64 << 10
      let fits = "{\"name\":\"\(String(repeating: " ", count: limit - 11))\"}"
      #expect(try exchange(endpoint, Self.post("/v1/volumes", fits)).hasPrefix("HTTP/1.1 400 "))
      #expect(try exchange(endpoint, Self.post("/v1/volumes", fits + " ")).hasPrefix("HTTP/1.1 413 "))
      let claimed = "POST /v1/volumes HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999999\r\n\r\n"
      #expect(try exchange(endpoint, claimed).hasPrefix("HTTP/1.1 413 "))
      server.stop()
    }
  }

  @Test func chunkedBodiesAreBoundedToo() async throws {
    try await onThread {
      let (server, endpoint) = try unixServer()
      let head =
        "POST /v1/volumes HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n"
        + "Transfer-Encoding: chunked\r\n\r\n"
      let chunk = "4000\r\n" + String(repeating: " ", count: 0x4000) + "\r\n"
      #expect(
        try exchange(endpoint, head + String(repeating: chunk, count: 8) + "0\r\n\r\n").hasPrefix(
          "HTTP/1.1 413 "))
      // Without end: the connection is closed rather than read for ever.
      let begin = MonotonicClock.nanoseconds()
      #expect(try exchange(endpoint, head + String(repeating: chunk, count: 200)) == "")
      #expect(MonotonicClock.nanoseconds() - begin < 8_000_000_000, "only the silence has ended it")
      let body = "{\"name\":\"a\",\"sizeBytes\":4096}"
      let small = head + String(body.utf8.count, radix: 16) + "\r\n" + body + "\r\n0\r\n\r\n"
      #expect(try exchange(endpoint, small).hasPrefix("HTTP/1.1 201 "))
      server.stop()
    }
  }

  @Test(arguments: Nonsense.allCases)
  func survivesNonsense(nonsense: Nonsense) async throws {
    try await onThread {
      let (server, endpoint) = try unixServer(HTTPLimits(idleSeconds: 1))
      let connection = try RawConnection(endpoint)
      connection.send(nonsense.text)
      connection.finishSending()
      let answer = connection.receive()
      #expect(!answer.hasPrefix("HTTP/1.1 2"))
      #expect(try exchange(endpoint, Self.get("/v1/pool")).hasPrefix("HTTP/1.1 200 "))
      server.stop()
    }
  }

  @Test func aClientThatLeavesWhileItsRequestIsAnsweredHarmsNobody() async throws {
    try await onThread {
      let (server, endpoint) = try unixServer()
      control.delay(milliseconds: 200)
      for _ in 0..<20 {
        let connection = try RawConnection(endpoint)
        connection.send(Self.get("/v1/pool"))
      }
      #expect(try exchange(endpoint, Self.get("/v1/pool")).hasPrefix("HTTP/1.1 200 "))
      server.stop()
    }
  }

  @Test func silentConnectionsAreClosed() async throws {
    try await onThread {
      let (server, endpoint) = try unixServer(HTTPLimits(idleSeconds: 1))
      let begin = MonotonicClock.nanoseconds()
      let silent = try RawConnection(endpoint)
      let halfway = try RawConnection(endpoint)
      halfway.send("GET /v1/po")
      #expect(silent.receive() == "")
      #expect(!halfway.receive().hasPrefix("HTTP/1.1 2"))
      #expect(MonotonicClock.nanoseconds() - begin < 6_000_000_000)
      server.stop()
    }
  }

  @Test func connectionsAreBounded() async throws {
    try await onThread {
      let (server, endpoint) = try unixServer(HTTPLimits(connections: 2))
      control.delay(milliseconds: 1000)
      let requests = try (0..<2).map { _ in try Answered(endpoint, Self.get("/v1/pool")) }
      while control.calls < 2 { usleep(2000) }
      // One more is let in, but nobody gives way who is being answered; and then there is no room.
      let third = try RawConnection(endpoint)
      let fourth = try RawConnection(endpoint)
      control.delay(milliseconds: 0)
      fourth.send(Self.get("/v1/pool"))
      let waits = fourth.isSilent(milliseconds: 300)
      #expect(waits)
      for request in requests { #expect(request.answer().hasPrefix("HTTP/1.1 200 ")) }
      #expect(fourth.receive().hasPrefix("HTTP/1.1 200 "))
      server.stop()
      _ = consume third
    }
  }

  /// A connection that can be put into an array.
  private final class Answered {
    private let connection: RawConnection

    init(_ endpoint: HTTPEndpoint, _ request: String) throws {
      connection = try RawConnection(endpoint)
      connection.send(request)
    }

    func answer() -> String { connection.receive() }
  }

  @Test func clientsThatNeverFinishTheirRequestsGiveWay() async throws {
    try await onThread {
      let (server, endpoint) = try unixServer(HTTPLimits(connections: 4))
      let slow = try (0..<4).map { _ in try Answered(endpoint, "GET /v1/pool HTTP/1.1\r\nHost: loc") }
      let begin = MonotonicClock.nanoseconds()
      for _ in 0..<20 {
        #expect(try exchange(endpoint, Self.get("/v1/pool")).hasPrefix("HTTP/1.1 200 "))
      }
      #expect(MonotonicClock.nanoseconds() - begin < 3_000_000_000)
      // The one that came first.
      #expect(slow[0].answer() == "")
      server.stop()
    }
  }

  @Test func namesThatAreNoTextAreNotRepaired() async throws {
    try await onThread {
      let (server, endpoint) = try unixServer()
      _ = try APIClient(socket: folder.path + "/api.sock").createVolume(
        VolumeRequest(name: "\u{fffd}", sizeBytes: 4096))
      let connection = try RawConnection(endpoint)
      connection.send(Array("DELETE /v1/volumes/".utf8) + [0xff])
      connection.send(" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
      #expect(connection.receive().hasPrefix("HTTP/1.1 404 "))
      #expect(try APIClient(socket: folder.path + "/api.sock").volumes().count == 2)
      server.stop()
    }
  }

  @Test func stopWaitsForWhatIsBeingAnswered() async throws {
    try await onThread {
      let (server, endpoint) = try unixServer()
      control.delay(milliseconds: 300)
      let connection = try RawConnection(endpoint)
      connection.send(Self.get("/v1/pool"))
      while control.calls == 0 { usleep(2000) }
      server.stop()
      #expect(connection.receive().hasPrefix("HTTP/1.1 200 "))
      #expect(throws: (any Error).self) { _ = try RawConnection(endpoint) }
    }
  }

  @Test func stopDoesNotWaitForEver() async throws {
    try await onThread {
      let (server, endpoint) = try unixServer(HTTPLimits(stopMilliseconds: 300))
      control.delay(milliseconds: 60_000)
      let connection = try RawConnection(endpoint)
      connection.send(Self.get("/v1/pool"))
      while control.calls == 0 { usleep(2000) }
      let begin = MonotonicClock.nanoseconds()
      server.stop()
      #expect(MonotonicClock.nanoseconds() - begin < 3_000_000_000)
      #expect(connection.receive().hasPrefix("HTTP/1.1 503 "))
    }
  }

  @Test func manyClientsAtATime() async throws {
    let (server, endpoint) = try unixServer()
    guard case .unix(let path) = endpoint else { throw SystemError("no unix socket") }
    try await withThrowingTaskGroup(of: Void.self) { group in
      for client in 0..<8 {
        group.addTask {
          try await onThread { () throws in
            for number in 0..<50 {
              let volume = VolumeRequest(name: "\(client)-\(number)", sizeBytes: 4096)
              let made = try APIClient(socket: path).createVolume(volume)
              #expect(made.name == volume.name)
            }
          }
        }
      }
      try await group.waitForAll()
    }
    let count = try await onThread { try APIClient(socket: path).volumes().count }
    #expect(count == 401)
    server.stop()
  }

  @Test func requestsAreAnsweredSideBySide() async throws {
    try await onThread {
      let (server, endpoint) = try unixServer()
      control.delay(milliseconds: 400)
      let first = try RawConnection(endpoint)
      let second = try RawConnection(endpoint)
      let third = try RawConnection(endpoint)
      first.send(Self.get("/v1/pool"))
      second.send(Self.get("/v1/pool"))
      third.send(Self.get("/v1/pool"))
      for answer in [first.receive(), second.receive(), third.receive()] {
        #expect(answer.hasPrefix("HTTP/1.1 200 "))
      }
      // Not measured by time: other tests may keep the machine busy for longer than that.
      #expect(control.callsAtOnce == 3)
      server.stop()
    }
  }
}

/// What a server must bear.
enum Nonsense: String, CaseIterable {
  case emptyLines, noPath, binary, otherProtocol, longPath, manyHeaders, negativeLength, wordLength, badChunk

  var text: String {
    switch self {
    case .emptyLines: "\r\n\r\n\r\n"
    case .noPath: "GET\r\n\r\n"
    case .binary: "\u{0}\u{1}\u{2}\u{3}\r\n\r\n"
    case .otherProtocol: "NBDMAGICIHAVEOPT"
    case .longPath: "GET " + String(repeating: "/a", count: 100_000) + " HTTP/1.1\r\n\r\n"
    case .manyHeaders: "GET /v1/pool HTTP/1.1\r\n" + String(repeating: "X: y\r\n", count: 20_000) + "\r\n"
    case .negativeLength: "POST /v1/volumes HTTP/1.1\r\nContent-Length: -5\r\n\r\n"
    case .wordLength: "POST /v1/volumes HTTP/1.1\r\nContent-Length: abc\r\n\r\n{}"
    case .badChunk: "POST /v1/volumes HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"
    }
  }
}
