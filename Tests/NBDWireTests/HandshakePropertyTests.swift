import NBDWire
import Primitives
import Testing

/// Limits, and properties that hold for every input.
@Suite struct HandshakePropertyTests {
  @Test func optionDataBeyondTheBudgetEndsTheSession() {
    let limits = HandshakeLimits(optionBytesMax: 100)
    let within = converse(
      Client.option(99, [UInt8](repeating: 0, count: 60))
        + Client.option(99, [UInt8](repeating: 0, count: 40)),
      limits: limits)
    #expect(within.handshake.outcome == .negotiating)
    var beyond = within
    beyond.feed(Client.option(99, [0]))
    #expect(beyond.end == .tooMuchOptionData)
    #expect(beyond.replies?.count == 2)
  }

  @Test func aHugeLengthEndsTheSessionAtTheHeader() {
    for option: UInt32 in [1, 3, 5, 6, 7, 8, 9, 10, 11, 99] {
      let driver = converse(Client.optionHeader(option, length: .max))
      #expect(driver.end == .tooMuchOptionData)
    }
    let abort = converse(Client.optionHeader(2, length: .max))
    #expect(abort.end == .tooMuchOptionData)
    #expect(abort.replies == [Reply(2, Reply.ack)])
  }

  @Test func tooManyOptionsEndTheSession() {
    var driver = converse([], limits: HandshakeLimits(optionsMax: 3))
    for _ in 0..<3 { driver.feed(Client.option(99)) }
    #expect(driver.handshake.outcome == .negotiating)
    driver.feed(Client.option(99))
    #expect(driver.end == .tooManyOptions)
  }

  @Test func waitingRepliesHoldBackFurtherOptions() {
    let shelf = Shelf()
    var handshake = Handshake(directory: shelf, limits: HandshakeLimits(outputBytesHigh: 50))
    handshake.start()
    let bytes = Client.flags() + Client.list + Client.list + Client.list
    let used = unsafe bytes.withUnsafeBytes { unsafe handshake.consume($0) }
    #expect(used == 4 + 16)
    #expect(unsafe bytes.withUnsafeBytes { unsafe handshake.consume($0) } == 0)

    let driver = converse(
      Client.list + Client.list + Client.list, shelf: shelf, limits: HandshakeLimits(outputBytesHigh: 50))
    #expect(driver.replies?.filter { $0 == Reply(3, Reply.ack) }.count == 3)
    #expect(!driver.isStuck)
  }

  /// Sessions that reach every state.
  static let sessions: [[UInt8]] = {
    let contexts = Client.structuredReply + Client.setContexts("disk", ["base:allocation", "x-gnomon:tier"])
    let junk = Client.option(99, [UInt8](repeating: 0x49, count: 70)) + Client.option(3, [1, 2])
    return [
      Client.flags() + contexts + Client.go("disk", [3, 1, 2]) + [1, 2, 3, 4, 5],
      Client.flags(1) + Client.info("nope") + Client.exportName("disk") + [9, 9],
      Client.flags() + junk + Client.list + Client.option(5) + Client.extendedHeaders + Client.go("backup"),
      Client.flags() + Client.listContexts("disk", ["base:"]) + contexts + Client.option(2, [1, 2, 3]) + [7],
      Client.flags() + Client.option(7, [UInt8](repeating: 1, count: 300)) + Client.exportName("none"),
      Client.flags(8) + Client.list, Client.flags() + Client.list + Client.option(99, []) + [0, 1],
      Client.flags() + Client.list + [UInt8](repeating: 0, count: 16),
    ]
  }()

  static func same(_ left: Driver, _ right: Driver) -> Bool {
    left.sent == right.sent && left.rest == right.rest && left.handshake.outcome == right.handshake.outcome
      && !left.isStuck && !right.isStuck
  }

  static func run(_ bytes: [UInt8], limits: HandshakeLimits, pieces: () -> Int) -> Driver {
    var driver = Driver(limits: limits)
    var position = 0
    while position < bytes.count {
      let end = min(bytes.count, position + max(1, pieces()))
      driver.feed(Array(bytes[position..<end]))
      position = end
    }
    return driver
  }

  static let smallLimits = HandshakeLimits(optionBytesMax: 600, optionBytesKeptMax: 256, outputBytesHigh: 90)

  @Test(arguments: sessions)
  func howTheInputIsCutMakesNoDifference(session: [UInt8]) {
    for limits in [HandshakeLimits(), Self.smallLimits] {
      let whole = Self.run(session, limits: limits) { session.count }
      #expect(Self.same(whole, Self.run(session, limits: limits) { 1 }))
      for seed in 0..<50 as Range<UInt64> {
        var generator = SeededGenerator(seed: seed)
        let cut = Self.run(session, limits: limits) { Int.random(in: 1...40, using: &generator) }
        #expect(Self.same(whole, cut), "seed \(seed)")
      }
    }
  }

  /// A valid session with a few bytes flipped, removed, doubled or made up.
  static func mutated(_ session: [UInt8], using generator: inout SeededGenerator) -> [UInt8] {
    var bytes = session
    for _ in 0..<Int.random(in: 1...6, using: &generator) where !bytes.isEmpty {
      let place = Int.random(in: 0..<bytes.count, using: &generator)
      switch Int.random(in: 0..<6, using: &generator) {
      case 0: bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
      case 1: bytes[place] = UInt8.random(in: .min ... .max, using: &generator)
      case 2: bytes.remove(at: place)
      case 3: bytes.insert(UInt8.random(in: .min ... .max, using: &generator), at: place)
      case 4: bytes.insert(contentsOf: bytes[place..<min(bytes.count, place + 20)], at: place)
      default: bytes[place] = [0, 0xff, 0x7f, 0x80].randomElement(using: &generator) ?? 0
      }
    }
    return bytes
  }

  @Test(arguments: 0..<8 as Range<UInt64>)
  func mutatedSessionsNeverTrapAndCutsMakeNoDifference(seed: UInt64) {
    var generator = SeededGenerator(seed: seed)
    for round in 0..<400 {
      let session = Self.sessions[round % Self.sessions.count]
      let bytes = Self.mutated(session, using: &generator)
      let limits = round % 2 == 0 ? HandshakeLimits() : Self.smallLimits
      let whole = Self.run(bytes, limits: limits) { bytes.count }
      var cuts = generator
      let cut = Self.run(bytes, limits: limits) { Int.random(in: 1...30, using: &cuts) }
      #expect(Self.same(whole, cut), "seed \(seed), round \(round)")
      // Every byte that is left over is left for a reason.
      #expect(whole.rest.isEmpty || whole.handshake.outcome != .negotiating, "seed \(seed), round \(round)")
    }
  }

  @Test(arguments: 100..<104 as Range<UInt64>)
  func randomBytesBehindAValidHeaderNeverTrap(seed: UInt64) {
    var generator = SeededGenerator(seed: seed)
    for round in 0..<300 {
      var bytes = Client.flags() + Client.structuredReply
      for _ in 0..<Int.random(in: 1...5, using: &generator) {
        let number = UInt32.random(in: 0...13, using: &generator)
        let length = Int.random(in: 0...60, using: &generator)
        bytes += Client.option(
          number,
          (0..<length).map { _ in UInt8(truncatingIfNeeded: generator.next() & generator.next() & 0x1f) })
      }
      let driver = Self.run(bytes, limits: HandshakeLimits()) { bytes.count }
      #expect(!driver.isStuck, "seed \(seed), round \(round)")
      // Short option data cannot make the replies grow without bound.
      #expect(driver.sent.count < 5_000, "seed \(seed), round \(round)")
    }
  }

  @Test func consumeAfterTheEndUsesNothing() {
    var driver = converse(Client.abort)
    driver.feed(Client.list)
    #expect(driver.rest == Client.list)
    #expect(driver.replies?.count == 1)
  }
}
