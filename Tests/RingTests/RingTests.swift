import Glibc
import Platform
import TestSupport
import Testing

@testable import Ring

/// A real ring on a file of its own.
@Suite struct RingTests {
  private struct Fixture: ~Copyable {
    var ring: Ring
    let file: FileDescriptor
    let folder = TemporaryFolder()
    let memory: AlignedMemory

    init() throws {
      let ring = try Ring(submissions: 8, completions: 64)
      let file = try FileDescriptor.open(folder.path + "/file", O_RDWR | O_CREAT)
      let memory = try AlignedMemory(count: 64 << 10)
      try ring.registerFileTable(count: 4)
      try ring.setFile(2, to: file.raw)
      self.ring = ring
      self.file = file
      self.memory = memory
    }

    /// Waits for so many completions.
    mutating func wait(_ count: Int) throws -> [UInt64: Int32] {
      let completions = UnsafeMutableBufferPointer<Completion>.allocate(capacity: 4)
      defer { unsafe completions.deallocate() }
      var results: [UInt64: Int32] = [:]
      while results.count < count {
        try ring.submit(waiting: true)
        for index in 0..<(unsafe ring.takeCompletions(into: completions)) {
          unsafe results[completions[index].token] = completions[index].result
        }
      }
      return results
    }
  }

  @Test(arguments: [false, true]) func filesAreWrittenAndRead(isRegistered: Bool) throws {
    var fixture = try Fixture()
    let base = unsafe fixture.memory.base
    if isRegistered { #expect(unsafe fixture.ring.registerBuffer(base, count: 64 << 10)) }
    unsafe memset(base, 0x5a, 8192)
    unsafe fixture.ring.write(file: 2, from: base, count: 4096, at: 4096, durable: false, token: 1)
    unsafe fixture.ring.write(file: 2, from: base, count: 4096, at: 12288, durable: true, token: 2)
    #expect(try fixture.wait(2) == [1: 4096, 2: 4096])
    fixture.ring.synchronizeData(file: 2, token: 3)
    #expect(try fixture.wait(1) == [3: 0])
    unsafe fixture.ring.read(file: 2, into: base + 16384, count: 16384, at: 0, token: 4)
    unsafe fixture.ring.read(file: 2, into: base, count: 4096, at: 1 << 20, token: 5)
    #expect(try fixture.wait(2) == [4: 16384, 5: 0])
    for block in 0..<4 {
      let byte = unsafe (base + 16384 + block * 4096 + 4095).load(as: UInt8.self)
      #expect(byte == (block % 2 == 1 ? 0x5a : 0))
    }
  }

  @Test func rangesArePunchedAndReserved() throws {
    var fixture = try Fixture()
    let base = unsafe fixture.memory.base
    unsafe memset(base, 1, 16384)
    unsafe fixture.ring.write(file: 2, from: base, count: 16384, at: 0, durable: false, token: 1)
    _ = try fixture.wait(1)
    fixture.ring.allocate(file: 2, mode: AllocationMode.punchHole, offset: 4096, count: 4096, token: 2)
    fixture.ring.allocate(file: 2, mode: AllocationMode.reserve, offset: 1 << 20, count: 4096, token: 3)
    let results = try fixture.wait(2)
    #expect([0, -EOPNOTSUPP].contains(results[2]!) && [0, -EOPNOTSUPP].contains(results[3]!))
    #expect(try fixture.file.size() == 16384)
    let bytes = try fixture.file.readBytes(16384, at: 0)
    #expect(bytes[4095] == 1 && bytes[8192] == 1)
    #expect(results[2] != 0 || bytes[4096..<8192].allSatisfy { $0 == 0 })
  }

  @Test func moreIsQueuedThanTheQueueHolds() throws {
    var fixture = try Fixture()
    let base = unsafe fixture.memory.base
    for token in 0..<40 as Range<UInt64> {
      unsafe fixture.ring.write(
        file: 2, from: base, count: 512, at: token * 512, durable: false, token: token)
    }
    let results = try fixture.wait(40)
    #expect(results.count == 40 && results.values.allSatisfy { $0 == 512 })
  }

  @Test func aFileThatWasTakenOutIsGone() throws {
    var fixture = try Fixture()
    try fixture.ring.setFile(2, to: -1)
    unsafe fixture.ring.read(file: 2, into: fixture.memory.base, count: 512, at: 0, token: 9)
    #expect(try fixture.wait(1) == [9: -EBADF])
    #expect(throws: SystemError.self) { try fixture.ring.setFile(4, to: 0) }
  }

  @Test func timeoutsEnd() throws {
    var fixture = try Fixture()
    let interval = UnsafeMutablePointer<TimeInterval>.allocate(capacity: 1)
    defer { unsafe interval.deallocate() }
    unsafe interval.initialize(to: TimeInterval(milliseconds: 1))
    unsafe fixture.ring.timeout(interval, token: 3)
    #expect(try fixture.wait(1) == [3: -ETIME])
    #expect(TimeInterval(milliseconds: 1500).nanoseconds == 500_000_000)
  }

  /// Two ends of a connection; the caller closes them.
  private static func socketPair() -> (Int32, Int32) {
    var sockets: (Int32, Int32) = (0, 0)
    let made = unsafe withUnsafeMutableBytes(of: &sockets) { bytes in
      unsafe socketpair(
        AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, bytes.bindMemory(to: Int32.self).baseAddress)
    }
    #expect(made == 0)
    return sockets
  }

  @Test func whatWaitsIsCancelled() throws {
    var fixture = try Fixture()
    let sockets = Self.socketPair()
    defer {
      close(sockets.0)
      close(sockets.1)
    }
    unsafe fixture.ring.receive(socket: sockets.0, into: fixture.memory.base, count: 16, token: 1)
    fixture.ring.cancel(1, token: 2)
    #expect(try fixture.wait(2) == [1: -ECANCELED, 2: 0])
    fixture.ring.cancel(1, token: 3)
    #expect(try fixture.wait(1) == [3: -ENOENT])
  }

  @Test func pollingEndsWithACompletionOrAtTheDeadline() throws {
    var fixture = try Fixture()
    #expect(try !fixture.ring.submit(pollingUntil: MonotonicClock.nanoseconds() + 1_000_000))
    unsafe fixture.ring.write(
      file: 2, from: fixture.memory.base, count: 512, at: 0, durable: true, token: 1)
    #expect(try fixture.ring.submit(pollingUntil: MonotonicClock.nanoseconds() + 10_000_000_000))
    #expect(try fixture.wait(1) == [1: 512])
  }

  @Test func messagesGatherAndScatter() throws {
    var fixture = try Fixture()
    let sockets = Self.socketPair()
    defer {
      close(sockets.0)
      close(sockets.1)
    }
    let base = unsafe fixture.memory.base
    for index in 0..<3000 { unsafe (base + index).storeBytes(of: UInt8(index % 251), as: UInt8.self) }
    let outgoing = Message(capacity: 4)
    let incoming = Message(capacity: 2)
    defer {
      outgoing.deallocate()
      incoming.deallocate()
    }
    // 0..<100, 1000..<2000, 200..<300
    unsafe outgoing.append(base, 100)
    unsafe outgoing.append(base + 1000, 1000)
    unsafe outgoing.append(base + 200, 100)
    unsafe incoming.append(base + 8192, 500)
    unsafe incoming.append(base + 16384, 4000)
    fixture.ring.send(socket: sockets.0, message: outgoing, token: 1)
    #expect(try fixture.wait(1) == [1: 1200])
    fixture.ring.receive(socket: sockets.1, message: incoming, token: 2)
    #expect(try fixture.wait(1) == [2: 1200])
    let sent = Array(0..<100) + Array(1000..<2000) + Array(200..<300)
    let places = Array(8192..<8692) + Array(16384..<17084)
    for (index, place) in zip(sent, places) {
      #expect(unsafe (base + place).load(as: UInt8.self) == UInt8(index % 251))
    }
    shutdown(sockets.0, Int32(SHUT_RDWR))
    unsafe fixture.ring.send(socket: sockets.0, from: base, count: 10, token: 3)
    unsafe fixture.ring.receive(socket: sockets.1, into: base, count: 10, token: 4)
    #expect(try fixture.wait(2) == [3: -EPIPE, 4: 0])
  }
}
