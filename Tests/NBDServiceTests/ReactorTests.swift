import ExtentMap
import Glibc
import Platform
import Primitives
import Redirection
import TestSupport
import Testing

@testable import NBDService

/// A real reactor and clients that misbehave in the ways that only exact bytes at exact times can.
@Suite struct ReactorTests {
  private static let patterned: [UInt8] = (0..<8192).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ 7) }

  /// Long option replies keep the handshake's output busy, so that the server has a receive under way when
  /// it comes to what follows them.
  private static func crowd(_ client: Client) throws {
    try client.greet()
    try client.send(Array(repeatElement(Client.list, count: 400).joined()))
    usleep(100_000)
  }

  @Test func aWriteThatBeganInTheHandshakeGetsItsOwnBytes() async throws {
    try await onThread {
      let service = try Service()
      let client = try service.connect()
      try Self.crowd(client)
      let write = Client.request(Client.write, cookie: 1, length: 8192)
      try client.send(Client.go + write + Self.patterned[..<1000])
      usleep(100_000)
      try client.awaitGo()
      usleep(100_000)
      try client.send(Array(Self.patterned[1000...]))
      #expect(try client.reply().error == 0)
      try client.send(Client.request(Client.read, cookie: 2, length: 8192))
      let answer = try client.reply(bytes: 8192)
      #expect(answer.cookie == 2 && answer.data == Self.patterned)
    }
  }

  @Test func aClientThatEndsItsSideStillGetsItsAnswers() async throws {
    try await onThread {
      let service = try Service()
      let client = try service.connect()
      try Self.crowd(client)
      let requests = (1...20 as ClosedRange<UInt64>).map {
        Client.request(Client.read, cookie: $0, offset: $0 << 17, length: 65536)
      }
      try client.send(Client.go + requests.joined() + Client.request(Client.disconnect))
      usleep(100_000)
      try client.awaitGo()
      usleep(100_000)
      client.finishSending()
      var cookies: [UInt64] = []
      for _ in requests { cookies.append(try client.reply(bytes: 65536).cookie) }
      #expect(cookies.sorted() == Array(1...20))
      #expect(throws: Client.NoAnswer.self) { try client.receive(1) }
      usleep(50_000)
      #expect(service.clientCount == 0)
    }
  }

  @Test func halfAWriteDoesNotKeepTheServerFromShuttingDown() async throws {
    try await onThread {
      var limits = ServiceLimits()
      limits.stalledSendSeconds = 2
      let service = try Service(limits)
      let client = try service.connect()
      try client.attach()
      try client.send(Client.request(Client.write, length: 8192) + [1, 2, 3])
      usleep(50_000)
      #expect(try service.shutDown(seconds: 6))
      #expect(service.clientCount == 0)
    }
  }

  @Test func halfAWriteDoesNotKeepMemoryFromOthersForEver() async throws {
    try await onThread {
      var limits = ServiceLimits()
      limits.stalledSendSeconds = 1
      limits.bytesPerReactorMax = 1 << 20
      let service = try Service(limits)
      let lazy = try service.connect()
      try lazy.attach()
      try lazy.send(Client.request(Client.write, length: 768 << 10) + [1, 2, 3])
      usleep(50_000)
      let client = try service.connect()
      try client.attach()
      try client.send(
        Client.request(Client.write, cookie: 5, length: 512 << 10) + [UInt8](repeating: 9, count: 512 << 10))
      #expect(try client.reply().cookie == 5)
      #expect(throws: Client.NoAnswer.self) { try lazy.receive(1) }
    }
  }

  @Test func aTrickleDoesNotKeepMemoryFromOthersForEver() async throws {
    try await onThread {
      var limits = ServiceLimits()
      limits.stalledSendSeconds = 1
      limits.bytesPerReactorMax = 1 << 20
      let service = try Service(limits)
      let slow = try service.connect()
      try slow.attach()
      try slow.send(Client.request(Client.write, length: 768 << 10))
      usleep(50_000)
      let client = try service.connect()
      try client.attach()
      try client.send(Client.request(Client.read, cookie: 5, length: 512 << 10))
      for _ in 0..<25 where !client.hasAnswer {
        try? slow.send([1])
        usleep(200_000)
      }
      #expect(client.hasAnswer)
      #expect(throws: Client.NoAnswer.self) { try slow.receive(1) }
    }
  }

  @Test func aWriteThatComesSlowlyIsTakenWhileNobodyWaits() async throws {
    try await onThread {
      var limits = ServiceLimits()
      limits.stalledSendSeconds = 1
      let service = try Service(limits)
      let slow = try service.connect()
      try slow.attach()
      try slow.send(Client.request(Client.write, cookie: 3, length: 12))
      for _ in 0..<12 {
        try slow.send([1])
        usleep(300_000)
      }
      #expect(try slow.reply().cookie == 3)
    }
  }

  @Test func aNegotiationThatEndedIsBoundByItsDeadlineToo() async throws {
    try await onThread {
      var limits = ServiceLimits()
      limits.handshakeSeconds = 2
      let service = try Service(limits)
      let client = try service.connect()
      try client.greet()
      // Everything is said in one go; but the replies are never taken.
      try client.send(Array(repeatElement(Client.list, count: 400).joined()) + Client.option(2))
      usleep(4_500_000)
      #expect(service.clientCount == 0)
    }
  }

  @Test func optionsThatTheInputHasNoRoomForWait() async throws {
    try await onThread {
      let service = try Service()
      let client = try service.connect()
      try Self.crowd(client)
      let unknown = Client.option(99, [UInt8](repeating: 7, count: 1000))
      try client.send(Array(repeatElement(unknown, count: 200).joined()))
      usleep(100_000)
      try client.send(Client.go)
      try client.awaitGo()
      try client.send(Client.request(Client.read, cookie: 7, length: 4096))
      #expect(try client.reply(bytes: 4096).cookie == 7)
    }
  }

  @Test func namesAreToldApartByTheirBytes() throws {
    let service = try Service()
    // One name for Unicode, two for everybody who stores names.
    let name = "\u{e9}"
    service.exports.add(
      Volume(
        VolumeRecord(
          id: VolumeID(rawValue: 2), uuid: UUID128(high: 0, low: 2), name: name, sizeBytes: 1 << 20,
          extentBytes: 1 << 16),
        map: try ExtentMap(volume: VolumeID(rawValue: 2), extentBytes: 1 << 16, extentCount: 16)))
    #expect(service.exports.export(named: name) != nil)
    #expect(service.exports.export(named: "e\u{301}") == nil)
  }

  @Test func refusalsThatNobodyReadsLeaveRoomForOthers() async throws {
    try await onThread {
      let service = try Service()
      let deaf = try service.connect()
      try deaf.attach()
      try deaf.send(Array(repeatElement(Client.request(99), count: 3000).joined()))
      usleep(200_000)
      let client = try service.connect()
      try client.attach()
      let before = MonotonicClock.nanoseconds()
      for cookie in 1...50 as ClosedRange<UInt64> {
        try client.send(Client.request(Client.read, cookie: cookie, length: 4096))
        #expect(try client.reply(bytes: 4096).cookie == cookie)
      }
      #expect(MonotonicClock.nanoseconds() - before < 3_000_000_000)
      // And the one who did not read gets every refusal in the end.
      for _ in 0..<3000 { #expect(try deaf.reply().error != 0) }
    }
  }

  @Test func whoWaitedIsAnsweredAtOnceWhenMemoryComesBack() async throws {
    try await onThread {
      var limits = ServiceLimits()
      limits.bytesPerReactorMax = 1 << 20
      let service = try Service(limits)
      let client = try service.connect()
      try client.attach()
      for cookie in 1...4 as ClosedRange<UInt64> {
        var lazy: Client? = try service.connect()
        try lazy?.attach()
        try lazy?.send(Client.request(Client.write, length: 768 << 10) + [1, 2, 3])
        usleep(50_000)
        try client.send(Client.request(Client.read, cookie: cookie, length: 512 << 10))
        usleep(50_000)
        let before = MonotonicClock.nanoseconds()
        lazy = nil
        #expect(try client.reply(bytes: 512 << 10).cookie == cookie)
        // Not at the next tick, which comes once a second.
        #expect(MonotonicClock.nanoseconds() - before < 400_000_000)
      }
    }
  }

  @Test func clientsThatVanishLeaveNothingBehind() async throws {
    try await onThread {
      let service = try Service()
      var generator = SeededGenerator(seed: 4)
      let session =
        Client.big(UInt32(3)) + Client.list + Client.go
        + Client.request(Client.write, length: 8192) + Self.patterned
        + Client.request(Client.read, length: 1 << 20) + Client.request(Client.flush)
        + Client.request(Client.write, offset: 1000, length: 8192) + Self.patterned
      for _ in 0..<60 {
        let client = try service.connect()
        try client.send(Array(session[..<generator.below(session.count)]))
        if generator.chance(2) { usleep(UInt32(generator.below(2000))) }
        if generator.chance(3) { client.finishSending() }
      }
      usleep(300_000)
      #expect(service.clientCount == 0)
      let client = try service.connect()
      try client.attach()
      try client.send(Client.request(Client.read, cookie: 7, length: 8192))
      #expect(try client.reply(bytes: 8192).cookie == 7)
      try client.send(Client.request(Client.disconnect))
      #expect(try service.shutDown(seconds: 4))
    }
  }

}
