import Glibc
import NBDWire
import Platform
import Primitives
import Testing

@testable import NBDService

/// A server in memory that promises no more than the protocol does: a flush covers what was acknowledged
/// before it was sent, and when the server dies any part of the rest is lost.
private struct LossyServer {
  static let block = 4096

  /// What a block holds, and how often it had been written then.
  struct Content {
    var value: UInt8 = 0
    var version = 0
  }

  private(set) var live: [Content]
  private var durable: [Content]

  init(blocks: Int) {
    live = [Content](repeating: Content(), count: blocks)
    durable = live
  }

  /// The value of a block stands for its content.
  mutating func write(_ block: Int, _ value: UInt8, isDurable: Bool) {
    live[block] = Content(value: value, version: live[block].version + 1)
    if isDurable { durable[block] = live[block] }
  }

  /// Makes durable what there was when the flush was sent.
  mutating func flush(_ sent: [Content]) {
    for block in sent.indices where sent[block].version > durable[block].version {
      durable[block] = sent[block]
    }
  }

  mutating func die(_ random: inout SeededGenerator) {
    for block in live.indices {
      if random.chance(2) { live[block].value = durable[block].value }
      durable[block] = live[block]
    }
  }
}

/// Drives a session as a reactor does, with a server that answers in any order, and dies now and then. Others
/// of its connections break only; then it carries out some of what came over them later.
@safe
private final class SessionWorld {
  private static let blocks = 24
  private var random: SeededGenerator
  private var server = LossyServer(blocks: blocks)
  private let session: RemoteSession
  private let memory: UnsafeMutableRawPointer
  /// Sent, not answered: what is asked for, by cookie.
  private var atServer: [(index: UInt32, cookie: UInt64, content: [LossyServer.Content])] = []
  private var beingSent: [UInt32] = []
  /// What came over connections that have broken, and when the server carries it out.
  private var late: [(block: Int, value: UInt8, isDurable: Bool, due: UInt64)] = []
  private var now: UInt64 = 0
  /// What each block must read; nil while a write of it is not answered.
  private var expected = [UInt8](repeating: 0, count: blocks)
  private var busy = Set<Int>()
  private var nextValue: UInt8 = 1
  private var tokens: [UInt64: (kind: RemoteRequest.Kind, block: Int, value: UInt8)] = [:]
  private var nextToken: UInt64 = 0
  private let hasForceUnitAccess: Bool
  private(set) var failure: String?
  private(set) var flushes = 0
  private(set) var deaths = 0
  private(set) var lateWrites = 0

  private static let stepNanoseconds = RemoteSession.quietNanoseconds / 50

  init(seed: UInt64, hasForceUnitAccess: Bool) throws {
    random = SeededGenerator(seed: seed)
    self.hasForceUnitAccess = hasForceUnitAccess
    session = try RemoteSession(unflushedBytes: 256 << 10)
    unsafe memory = .allocate(byteCount: 64 * LossyServer.block, alignment: 4096)
    session.connected(hasForceUnitAccess: hasForceUnitAccess)
  }

  deinit {
    unsafe memory.deallocate()
  }

  func run(steps: Int) {
    for _ in 0..<steps where failure == nil {
      passTime()
      switch random.below(10) {
      case 0...3: ask()
      case 4: send()
      case 5...7: answer()
      case 8: finishSend()
      default: if random.chance(8) { random.chance(2) ? die() : breakConnection() }
      }
      collect()
    }
    settle()
  }

  /// Everything is answered, then flushed; then the server dies, and all must be there.
  private func settle() {
    drain()
    let isFlushed = flushes
    session.accept(
      unsafe RemoteRequest(
        .flush, for: .redirector(token: token(.flush, 0, 0)), offset: 0, length: 0, deadline: 9))
    drain()
    if flushes == isFlushed { fail("the last flush was not answered") }
    server.die(&random)
    for block in 0..<Self.blocks where server.live[block].value != expected[block] {
      fail("block \(block) reads \(server.live[block].value), not \(expected[block])")
    }
    if !session.isIdle { fail("something is left") }
  }

  private func drain() {
    for _ in 0..<10_000 where failure == nil && !(session.isIdle && beingSent.isEmpty && late.isEmpty) {
      passTime()
      send()
      finishSend()
      answer()
      collect()
    }
  }

  private func fail(_ text: String) {
    if failure == nil { failure = text }
  }

  private func token(_ kind: RemoteRequest.Kind, _ block: Int, _ value: UInt8) -> UInt64 {
    nextToken += 1
    tokens[nextToken] = (kind, block, value)
    return nextToken
  }

  private func ask() {
    guard tokens.count < 60 else { return }
    let block = random.below(Self.blocks)
    // Whoever redirects keeps requests that overlap apart.
    guard !busy.contains(block) else { return }
    let choice = random.below(12)
    if choice == 0 {
      let name = token(.flush, 0, 0)
      session.accept(
        unsafe RemoteRequest(.flush, for: .redirector(token: name), offset: 0, length: 0, deadline: 9))
      return
    }
    busy.insert(block)
    let kind: RemoteRequest.Kind = choice < 7 ? .write : choice < 8 ? .zero : .read
    nextValue = nextValue == 255 ? 1 : nextValue + 1
    let value = kind == .write ? nextValue : kind == .zero ? 0 : expected[block]
    let name = token(kind, block, value)
    let buffer = unsafe memory + (block * LossyServer.block)
    unsafe buffer.storeBytes(of: kind == .write ? value : 0xee, as: UInt8.self)
    session.accept(
      unsafe RemoteRequest(
        kind, for: .redirector(token: name), offset: UInt64(block * LossyServer.block),
        length: UInt64(LossyServer.block), buffer: buffer, isDurable: kind == .write && random.chance(4),
        deadline: 9))
  }

  private func send() {
    guard beingSent.isEmpty else { return }
    while beingSent.count < 8, let (index, cookie) = session.nextToSend(at: now, deadline: 10) {
      beingSent.append(index)
      atServer.append((index, cookie, server.live))
    }
  }

  private func finishSend() {
    for index in beingSent { session.sent(index) }
    beingSent = []
  }

  private func answer() {
    guard !atServer.isEmpty else { return }
    let (index, cookie, content) = atServer.remove(at: random.below(atServer.count))
    let block = carryOut(index, content)
    switch session.received(SimpleReply.of(cookie)) {
    case .payload(let index, let bytes):
      if bytes != LossyServer.block { fail("a read of \(bytes) bytes") }
      let buffer = unsafe session.slots[Int(index)].buffer!
      unsafe buffer.storeBytes(of: server.live[block].value, as: UInt8.self)
      session.payloadReceived(index)
    case .ended: break
    case .farewell, .stray: fail("an answer that was due is not wanted")
    }
  }

  /// What the server does for a request, whether or not it gets to answer it.
  ///
  /// - Returns: the block that it was for.
  private func carryOut(_ index: UInt32, _ content: [LossyServer.Content]) -> Int {
    let request = unsafe session.slots[Int(index)]
    let block = Int(request.offset) / LossyServer.block
    switch request.kind {
    case .write:
      server.write(
        block, unsafe request.buffer!.load(as: UInt8.self), isDurable: request.isSentDurable)
    case .zero: server.write(block, 0, isDurable: false)
    case .flush: server.flush(content)
    case .read, .trim: break
    }
    return block
  }

  private func die() {
    deaths += 1
    for sent in atServer where random.chance(2) { _ = carryOut(sent.index, sent.content) }
    server.die(&random)
    late = []
    connectAgain()
  }

  /// The server lives, and has any part of what came over the connection still before it.
  private func breakConnection() {
    for sent in atServer where random.chance(2) {
      let request = unsafe session.slots[Int(sent.index)]
      guard request.changes else { continue }
      late.append(
        (
          block: Int(request.offset) / LossyServer.block,
          value: request.kind == .write ? unsafe request.buffer!.load(as: UInt8.self) : 0,
          isDurable: request.isSentDurable,
          due: now + UInt64(random.below(Int(RemoteSession.quietNanoseconds)))
        ))
    }
    connectAgain()
  }

  private func connectAgain() {
    atServer = []
    beingSent = []
    session.doubt(session.disconnected(), at: now)
    collect()
    session.connected(hasForceUnitAccess: hasForceUnitAccess)
  }

  private func passTime() {
    now += Self.stepNanoseconds
    for write in late where write.due <= now {
      lateWrites += 1
      server.write(write.block, write.value, isDurable: write.isDurable)
    }
    late.removeAll { $0.due <= now }
  }

  private func collect() {
    while let index = session.popEnded() {
      let request = unsafe session.slots[Int(index)]
      session.release(index)
      guard case .redirector(let name) = request.requester, let asked = tokens.removeValue(forKey: name)
      else {
        fail("somebody unknown is told")
        return
      }
      if request.result < 0 { fail("\(asked) ended with \(request.result)") }
      switch asked.kind {
      case .flush: flushes += 1
      case .read:
        busy.remove(asked.block)
        let got = unsafe request.buffer!.load(as: UInt8.self)
        if got != asked.value { fail("block \(asked.block) reads \(got), not \(asked.value)") }
      case .write, .zero, .trim:
        busy.remove(asked.block)
        expected[asked.block] = asked.value
      }
    }
  }
}

extension SimpleReply {
  fileprivate static func of(_ cookie: UInt64, error: UInt32 = 0) -> SimpleReply {
    var bytes = [UInt8](repeating: 0, count: ReplyFormat.replyBytesMax)
    return unsafe bytes.withUnsafeMutableBytes { buffer in
      let start = buffer.baseAddress!
      if let error = NBDErrno(rawValue: error) {
        _ = unsafe ReplyFormat.simple.error(into: start, cookie: cookie, requestOffset: 0, error)
      } else {
        _ = unsafe ReplyFormat.simple.success(into: start, cookie: cookie, requestOffset: 0)
      }
      return unsafe SimpleReply.decode(start)!
    }
  }
}

@Suite struct RemoteSessionTests {
  /// Whatever the server loses when it dies, and whatever it does late, clients see what they wrote, and a
  /// flush keeps it.
  @Test(arguments: 0..<60 as Range<UInt64>)
  func nothingIsLostWithTheServer(seed: UInt64) throws {
    let world = try SessionWorld(seed: seed, hasForceUnitAccess: seed % 3 != 0)
    world.run(steps: 3000)
    #expect(world.failure == nil, "seed \(seed)")
    #expect(world.deaths > 0 && world.flushes > 1 && world.lateWrites > 0, "seed \(seed)")
  }

  private func session() throws -> RemoteSession { try RemoteSession(unflushedBytes: 1 << 20) }

  private func flush(_ token: UInt64, deadline: UInt64 = 10) -> RemoteRequest {
    unsafe RemoteRequest(.flush, for: .redirector(token: token), offset: 0, length: 0, deadline: deadline)
  }

  private func result(_ session: RemoteSession) -> Int32? {
    guard let index = session.popEnded() else { return nil }
    defer { session.release(index) }
    return unsafe session.slots[Int(index)].result
  }

  @Test func whatWaitsTooLongFails() throws {
    let session = try session()
    session.accept(flush(1, deadline: 5))
    session.accept(flush(2, deadline: 6))
    #expect(!session.expire(at: 4) && !session.hasEnded)
    #expect(!session.expire(at: 5))
    #expect(result(session) == -RemoteErrno.timedOut)
    #expect(!session.hasEnded)
    session.connected(hasForceUnitAccess: true)
    let sent = try #require(session.nextToSend(at: 0, deadline: 10))
    session.sent(sent.index)
    #expect(session.expire(at: 6), "the server owes an answer for too long")
    _ = session.disconnected()
    #expect(!session.expire(at: 6))
    #expect(result(session) == -RemoteErrno.timedOut)
    #expect(session.isIdle)
  }

  @Test func aServerThatEndsIsAskedAgainLater() throws {
    let session = try session()
    session.connected(hasForceUnitAccess: true)
    session.accept(flush(1))
    let sent = try #require(session.nextToSend(at: 0, deadline: 10))
    session.sent(sent.index)
    #expect(session.received(.of(sent.cookie, error: 108)) == .farewell)
    _ = session.disconnected()
    session.connected(hasForceUnitAccess: true)
    let again = try #require(session.nextToSend(at: 0, deadline: 10))
    #expect(session.received(.of(sent.cookie)) == .stray, "the old answer is not for the new request")
    session.sent(again.index)
    #expect(session.received(.of(again.cookie)) == .ended)
    #expect(result(session) == 0)
  }

  /// A message that has not left keeps its memory, whatever the server says meanwhile.
  @Test func anEarlyAnswerWaitsForTheMessage() throws {
    let session = try session()
    session.connected(hasForceUnitAccess: true)
    session.accept(flush(1))
    let sent = try #require(session.nextToSend(at: 0, deadline: 10))
    #expect(session.received(.of(sent.cookie)) == .ended)
    #expect(!session.hasEnded)
    session.sent(sent.index)
    #expect(result(session) == 0)
  }

  /// The server acknowledges a write, which is not flushed.
  private func acknowledgeWrite(_ session: RemoteSession) throws {
    let memory = UnsafeMutableRawPointer.allocate(byteCount: 4096, alignment: 4096)
    defer { unsafe memory.deallocate() }
    session.accept(
      unsafe RemoteRequest(
        .write, for: .redirector(token: 1), offset: 0, length: 4096, buffer: memory, deadline: 10))
    let write = try #require(session.nextToSend(at: 0, deadline: 10))
    session.sent(write.index)
    _ = session.received(.of(write.cookie))
  }

  private func write(
    _ session: RemoteSession, _ token: UInt64, at block: UInt64, deadline: UInt64 = .max,
    _ memory: UnsafeMutableRawPointer
  ) {
    session.accept(
      unsafe RemoteRequest(
        .write, for: .redirector(token: token), offset: block * 4096, length: 4096, buffer: memory,
        deadline: deadline))
  }

  private func send(_ session: RemoteSession, at now: UInt64 = 0) -> UInt64? {
    guard let (index, _) = session.nextToSend(at: now, deadline: .max) else { return nil }
    session.sent(index)
    guard case .redirector(let token) = unsafe session.slots[Int(index)].requester else { return nil }
    return token
  }

  /// A write that ended without an answer may be carried out over a later one, which therefore waits.
  @Test func whatAnOldWriteMayUndoWaits() throws {
    let session = try session()
    let memory = UnsafeMutableRawPointer.allocate(byteCount: 4096, alignment: 4096)
    defer { unsafe memory.deallocate() }
    session.connected(hasForceUnitAccess: true)
    unsafe write(session, 1, at: 7, deadline: 5, memory)
    unsafe write(session, 2, at: 3, memory)
    #expect(send(session) == 1 && send(session) == 2)
    session.doubt(session.disconnected(), at: 100)
    #expect(!session.expire(at: 5))
    #expect(result(session) == -RemoteErrno.timedOut)
    session.connected(hasForceUnitAccess: true)
    unsafe write(session, 3, at: 7, memory)
    session.accept(flush(4))
    unsafe write(session, 5, at: 8, memory)
    let end = 100 + RemoteSession.quietNanoseconds
    #expect(send(session, at: 101) == 2, "what is sent again leaves the same")
    #expect(send(session, at: 101) == 4)
    #expect(send(session, at: 101) == 5)
    #expect(send(session, at: end - 1) == nil && !session.isIdle)
    #expect(send(session, at: end) == 3)
  }

  /// If what was acknowledged can not be written again, the next flush says so.
  @Test func lostWritesFailTheNextFlush() throws {
    let session = try session()
    session.connected(hasForceUnitAccess: true)
    try acknowledgeWrite(session)
    #expect(result(session) == 4096)
    _ = session.disconnected()
    session.accept(flush(2))
    session.connected(hasForceUnitAccess: true)
    let again = try #require(session.nextToSend(at: 0, deadline: 10))
    #expect(unsafe session.slots[Int(again.index)].kind == .write)
    #expect(session.nextToSend(at: 0, deadline: 10) == nil, "the flush waits for what is sent again")
    session.sent(again.index)
    _ = session.received(.of(again.cookie, error: 28))
    #expect(session.nextToSend(at: 0, deadline: 10) == nil)
    #expect(result(session) == -RemoteErrno.io)
  }

  /// What the session sends by itself has a deadline too: nobody else would notice that the server hangs.
  @Test func aServerThatHangsWhileWritesAreSentAgainIsGivenUp() throws {
    let session = try session()
    session.connected(hasForceUnitAccess: true)
    try acknowledgeWrite(session)
    _ = session.disconnected()
    session.connected(hasForceUnitAccess: true)
    let again = try #require(session.nextToSend(at: 0, deadline: 20))
    session.sent(again.index)
    #expect(!session.expire(at: 19))
    #expect(session.expire(at: 20))
    _ = session.disconnected()
    session.connected(hasForceUnitAccess: true)
    #expect(session.nextToSend(at: 0, deadline: 40) != nil, "it is sent once more")
  }

  /// A flush that the session asked for by itself counts like any other: asking again may succeed without
  /// the data.
  @Test func aFlushThatFailsIsNotForgotten() throws {
    let session = try session()
    session.connected(hasForceUnitAccess: true)
    session.accept(unsafe RemoteRequest(.flush, for: .control, offset: 0, length: 0, deadline: 10))
    let first = try #require(session.nextToSend(at: 0, deadline: 10))
    session.sent(first.index)
    _ = session.received(.of(first.cookie, error: 5))
    #expect(result(session) == -RemoteErrno.io)
    session.accept(flush(2))
    #expect(session.nextToSend(at: 0, deadline: 10) == nil)
    #expect(result(session) == -RemoteErrno.io)
  }

  @Test func theServerIsAskedToFlushBeforeMemoryRunsOut() throws {
    let session = try RemoteSession(unflushedBytes: 256 << 10)
    session.connected(hasForceUnitAccess: true)
    let memory = UnsafeMutableRawPointer.allocate(byteCount: 4096, alignment: 4096)
    defer { unsafe memory.deallocate() }
    var flushes = 0
    for number in 0..<500 as Range<UInt64> {
      session.accept(
        unsafe RemoteRequest(
          .write, for: .redirector(token: number), offset: number * 4096, length: 4096, buffer: memory,
          deadline: 10))
      while let (index, cookie) = session.nextToSend(at: 0, deadline: 10) {
        if unsafe session.slots[Int(index)].kind == .flush { flushes += 1 }
        session.sent(index)
        _ = session.received(.of(cookie))
      }
      #expect(result(session) == 4096)
    }
    #expect((10...20).contains(flushes))
  }
}

@Suite struct OwedAnswersTests {
  private static func head(_ cookie: UInt8, error: UInt8 = 0) -> [UInt8] {
    [0x67, 0x44, 0x66, 0x98, 0, 0, 0, error] + [0, 0, 0, 0, 0, 0, 0, cookie]
  }

  private func owed() -> OwedAnswers {
    var owed = OwedAnswers(payloadLeft: 10)
    let kinds: [(RemoteRequest.Kind, UInt64)] = [
      (.read, 100), (.write, 50), (.flush, 0), (.trim, 70), (.read, 5),
    ]
    for (number, (kind, length)) in kinds.enumerated() {
      owed.add(
        unsafe RemoteRequest(
          kind, for: .control, offset: UInt64(number) << 20, length: length, deadline: .max),
        cookie: UInt64(number))
    }
    return owed
  }

  private func take(_ owed: inout OwedAnswers, _ bytes: some Collection<UInt8>) -> Bool {
    unsafe Array(bytes).withUnsafeBytes { unsafe owed.take($0) }
  }

  /// However the input is cut, the last change is what ends it.
  @Test(arguments: 1..<40) func allChangesAreAnswered(step: Int) {
    var owed = owed()
    let zeros = [UInt8](repeating: 0, count: 110)
    let before = zeros[..<10] + Self.head(3, error: 5) + Self.head(4, error: 5) + Self.head(0) + zeros[..<100]
    let input = before + Self.head(1)
    for start in stride(from: 0, to: input.count, by: step) {
      #expect(!owed.isSettled)
      #expect(take(&owed, input[start..<min(start + step, input.count)]))
    }
    #expect(owed.isSettled, "a flush that is owed changes nothing")
  }

  @Test func onlyWhatHadNoAnswerIsInDoubt() {
    let written: Range<UInt64> = 0x10_0000..<0x10_0032
    let trimmed: Range<UInt64> = 0x30_0000..<0x30_0046
    var owed = owed()
    #expect(Set(owed.ranges) == [written, trimmed])
    #expect(take(&owed, [UInt8](repeating: 0, count: 10) + Self.head(1)))
    #expect(owed.ranges == [trimmed])
  }

  @Test func nonsenseIsFoundOut() {
    var answeredTwice = owed()
    #expect(!take(&answeredTwice, [UInt8](repeating: 0, count: 10) + Self.head(1) + Self.head(1)))
    var outOfStep = owed()
    #expect(!take(&outOfStep, [UInt8](repeating: 0, count: 11) + Self.head(1)))
  }
}

@Suite struct CoveredRangesTests {
  /// Against a bit for each byte.
  @Test(arguments: 0..<20 as Range<UInt64>)
  func gapsAreWhatWasNotCovered(seed: UInt64) {
    var random = SeededGenerator(seed: seed)
    var ranges = CoveredRanges()
    var model = [Bool](repeating: false, count: 200)
    for _ in 0..<100 {
      let start = random.below(190)
      let end = start + 1 + random.below(10)
      var gaps: [Int] = []
      for gap in ranges.add(UInt64(start)..<UInt64(end)) { gaps += gap.map(Int.init) }
      #expect(gaps == (start..<end).filter { !model[$0] })
      for index in start..<end { model[index] = true }
    }
  }
}

@Suite struct BackoffTests {
  @Test func waitsGrowUpToABoundAndBeginAnew() {
    var backoff = Backoff(seed: 1)
    #expect(backoff.next() == 0)
    var bound = Backoff.firstMilliseconds
    for _ in 0..<12 {
      let wait = backoff.next()
      #expect((bound / 2...bound).contains(wait))
      bound = min(bound * 2, Backoff.maxMilliseconds)
    }
    backoff.reset()
    #expect(backoff.next() == 0)
  }
}
