import ExtentMap
import Glibc
import Platform
import Primitives
import Redirection
import Stores
import Synchronization
import TestSupport

@testable import NBDService

/// One reactor over a file, or over memory that the test may look into, with a catalog that agrees to
/// everything.
final class Service: Sendable {
  static let volumeBytes: UInt64 = 4 << 20

  private final class Background: PoolBackground {
    let shared: SharedState
    let reactor: ReactorHandle

    init(_ shared: SharedState, _ reactor: ReactorHandle) {
      self.shared = shared
      self.reactor = reactor
    }

    func report(_ faults: [Fault]) {}

    func commitMapChanges(_ done: @escaping @Sendable (Int32) -> Void) { done(0) }

    func reclaimSlots() {
      let slots = shared.reclaimer.takeReady()
      for slot in slots { shared.placement.release(slot.store, slot: slot.slot, slotBytes: slot.slotBytes) }
      shared.reclaimer.released(slots.count)
      reactor.post(.retryParked)
    }
  }

  let reactor: ReactorHandle
  private let folder = TemporaryFolder()
  private let file: FileDescriptor
  let exports = ExportTable()

  init(_ limits: ServiceLimits = ServiceLimits(), over memory: MemoryStore? = nil) throws {
    file = try FileDescriptor.open(folder.path + "/store", O_RDWR | O_CREAT)
    try file.truncate(to: 16 << 20)
    let store = StoreID(rawValue: 0)
    let shared = SharedState(redirectorCount: 1)
    shared.stores.add(
      store, tier: 0, dataOffset: memory == nil ? 4096 : 0, prepare: memory == nil ? .writeZeros : .zeroRange)
    shared.placement.add(store, at: StorePlace(), allocator: SlotAllocator(capacityBytes: 15 << 20))
    let record = VolumeRecord(
      id: VolumeID(rawValue: 1), uuid: UUID128(high: 0, low: 1), name: "v", sizeBytes: Self.volumeBytes,
      extentBytes: 256 << 10)
    let map = try ExtentMap(
      volume: record.id, extentBytes: record.extentBytes, extentCount: record.extentCount)
    exports.add(Volume(record, map: map))
    reactor = try ReactorHandle(number: 0)
    try reactor.start(
      ReactorEnvironment(
        shared: shared, exports: exports, limits: limits, background: Background(shared, reactor),
        reactors: [reactor],
        stores: [store: memory.map(StoreAccess.memory) ?? .file(descriptor: file.raw, isCached: false)],
        listeners: []))
  }

  deinit {
    reactor.post(.stop)
    reactor.join()
  }

  /// Clients that the reactor still knows.
  var clientCount: Int { reactor.connectionCount.load(ordering: .relaxed) }

  /// - Returns: whether the reactor has closed all connections within so many seconds.
  func shutDown(seconds: UInt64) throws -> Bool {
    let signal = try Signal()
    reactor.post(.shutDown { signal.raise() })
    return signal.wait(seconds: seconds)
  }

  /// A client whose server keeps few bytes for it in the kernel.
  func connect() throws -> Client {
    var sockets: (Int32, Int32) = (0, 0)
    let made = unsafe withUnsafeMutableBytes(of: &sockets) { bytes in
      unsafe socketpair(
        AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, bytes.bindMemory(to: Int32.self).baseAddress)
    }
    guard made == 0 else { throw SystemError("socketpair") }
    var size: Int32 = 4096
    unsafe setsockopt(sockets.1, SOL_SOCKET, SO_SNDBUF, &size, 4)
    reactor.connectionCount.add(1, ordering: .relaxed)
    reactor.post(.adopt(socket: sockets.1, peer: "test"))
    return Client(sockets.0)
  }
}

/// A client that says exactly what a test wants said.
final class Client {
  struct NoAnswer: Error {}

  let socket: Int32

  init(_ socket: Int32) {
    self.socket = socket
    var patience = timeval(tv_sec: 8, tv_usec: 0)
    unsafe setsockopt(
      socket, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
    unsafe setsockopt(
      socket, SOL_SOCKET, SO_SNDTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
  }

  deinit {
    close(socket)
  }

  func send(_ bytes: [UInt8]) throws {
    var done = 0
    while done < bytes.count {
      let count = unsafe bytes.withUnsafeBytes { buffer in
        unsafe Glibc.send(
          socket, buffer.baseAddress! + done, bytes.count - done, Int32(MSG_NOSIGNAL))
      }
      guard count > 0 else { throw NoAnswer() }
      done += count
    }
  }

  func receive(_ count: Int) throws -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    var done = 0
    while done < count {
      let got = unsafe bytes.withUnsafeMutableBytes { buffer in
        unsafe recv(socket, buffer.baseAddress! + done, count - done, 0)
      }
      guard got > 0 else { throw NoAnswer() }
      done += got
    }
    return bytes
  }

  /// Whether something can be received without waiting.
  var hasAnswer: Bool {
    var byte: UInt8 = 0
    return unsafe recv(socket, &byte, 1, Int32(MSG_PEEK | MSG_DONTWAIT)) > 0
  }

  /// Nothing more will be sent.
  func finishSending() {
    shutdown(socket, Int32(SHUT_WR))
  }

  // MARK: Words of the protocol

  static func big<Number: FixedWidthInteger>(_ number: Number) -> [UInt8] {
    (0..<Number.bitWidth / 8).reversed().map { UInt8(truncatingIfNeeded: number >> Number($0 * 8)) }
  }

  static func number(_ bytes: some Sequence<UInt8>) -> UInt64 {
    bytes.reduce(0) { $0 << 8 | UInt64($1) }
  }

  static func option(_ number: UInt32, _ data: [UInt8] = []) -> [UInt8] {
    big(UInt64(0x4948_4156_454f_5054)) + big(number) + big(UInt32(data.count)) + data
  }

  static let list = option(3)
  static let go = option(7, big(UInt32(1)) + Array("v".utf8) + big(UInt16(0)))

  static func request(
    _ command: UInt16, cookie: UInt64 = 0, offset: UInt64 = 0, length: UInt32 = 0
  ) -> [UInt8] {
    big(UInt32(0x2560_9513)) + big(UInt16(0)) + big(command) + big(cookie) + big(offset) + big(length)
  }

  static let (read, write, disconnect, flush): (UInt16, UInt16, UInt16, UInt16) = (0, 1, 2, 3)

  /// Takes the greeting and says what kind of client this is.
  func greet() throws {
    _ = try receive(18)
    try send(Self.big(UInt32(3)))
  }

  /// Reads option replies up to the acknowledgement of GO.
  func awaitGo() throws {
    while true {
      let header = try receive(20)
      _ = try receive(Int(Self.number(header[16..<20])))
      if Self.number(header[8..<12]) == 7, Self.number(header[12..<16]) == 1 { return }
    }
  }

  func attach() throws {
    try greet()
    try send(Self.go)
    try awaitGo()
  }

  /// Takes a simple reply.
  func reply(bytes: Int = 0) throws -> (error: UInt64, cookie: UInt64, data: [UInt8]) {
    let header = try receive(16)
    guard Self.number(header[0..<4]) == 0x6744_6698 else { throw NoAnswer() }
    let error = Self.number(header[4..<8])
    let data = error == 0 && bytes > 0 ? try receive(bytes) : []
    return (error, Self.number(header[8..<16]), data)
  }
}
