import Glibc
import NBDWire
import Platform
import Primitives

/// One connection to a server's export for whoever may block: one request at a time, each with a deadline.
///
/// What the server says is checked, byte by byte; a server that breaks a rule is disconnected. After any
/// error that is not the server's answer to a request the connection is of no more use.
final class NBDConnection {
  /// What the server says about the export.
  let export: ExportInfo
  private let socket: StreamSocket
  private let uri: NBDURI
  private var cookie: UInt64 = 0

  /// Time for reaching a server and for the whole negotiation with it, and for each request.
  private static let deadlineNanoseconds: UInt64 = 10_000_000_000

  /// Reaches the server and opens the export.
  ///
  /// - Throws: `unavailable` if nobody answers in time, the server does not have the export, or it breaks the
  ///   protocol.
  init(opening uri: NBDURI) throws(GnomonError) {
    self.uri = uri
    let deadline = Self.deadline()
    let connected: StreamSocket
    switch uri.endpoint {
    case .unix(let path): connected = try StreamSocket.connect(path: path, deadline: deadline)
    case .tcp(let host, let port):
      connected = try StreamSocket.connect(host: host, port: port, deadline: deadline)
    }
    export = try Self.negotiate(uri, connected, deadline)
    socket = connected
  }

  private static func negotiate(
    _ uri: NBDURI, _ socket: borrowing StreamSocket, _ deadline: UInt64
  ) throws(GnomonError) -> ExportInfo {
    var handshake = ClientHandshake(exportName: uri.exportName)
    func failed(_ cause: String) -> GnomonError {
      GnomonError(.unavailable, "\(uri) can not be opened", cause: cause)
    }
    while true {
      let unused: Int
      do throws(SystemError) {
        unused = try exchange(&handshake, socket, deadline)
      } catch {
        throw failed(error.errno == ETIMEDOUT ? "the server does not answer" : error.description)
      }
      switch handshake.outcome {
      case .negotiating: continue
      case .closed(let end): throw failed(end.description)
      case .transmission(let export):
        // Nothing has been asked for yet.
        guard unused == 0 else { throw failed("the server answers unasked") }
        return export
      }
    }
  }

  /// Sends what the handshake has to say and hands it what comes.
  ///
  /// - Returns: bytes that it did not use.
  private static func exchange(
    _ handshake: inout ClientHandshake, _ socket: borrowing StreamSocket, _ deadline: UInt64
  ) throws(SystemError) -> Int {
    try socket.send(handshake.takeOutput(), deadline: deadline)
    let bytes = try socket.receive(upTo: 4096, deadline: deadline)
    guard !bytes.isEmpty else { throw SystemError("nbd negotiation", errno: ECONNRESET) }
    return bytes.count - (unsafe bytes.withUnsafeBytes { unsafe handshake.consume($0) })
  }

  /// Gives the connection to a ring; it is not used here any more.
  ///
  /// - Returns: a descriptor that the caller closes.
  func takeSocket() throws(SystemError) -> Int32 {
    try socket.duplicateForRing()
  }

  // MARK: Requests

  /// Reads exactly `count` bytes, at most `ExportInfo.payloadMaximum`.
  func read(_ count: Int, at offset: UInt64) throws(SystemError) -> [UInt8] {
    try perform(.read, offset: offset, length: UInt64(count))
    return try socket.receive(exactly: count, deadline: Self.deadline())
  }

  /// Writes all of `bytes`.
  func write(_ bytes: [UInt8], at offset: UInt64) throws(SystemError) {
    try perform(.write, offset: offset, length: UInt64(bytes.count), payload: bytes)
  }

  /// Makes a range read as zeros and keeps it allocated.
  func zero(offset: UInt64, length: UInt64) throws(SystemError) {
    try perform(.writeZeroes, flags: .noHole, offset: offset, length: length)
  }

  /// Makes everything written durable.
  func flush() throws(SystemError) {
    try perform(.flush, offset: 0, length: 0)
  }

  /// Tells the server that this was all.
  func disconnect() {
    try? send(.disconnect, [], offset: 0, length: 0, payload: [])
  }

  private func perform(
    _ command: Command, flags: CommandFlags = [], offset: UInt64, length: UInt64, payload: [UInt8] = []
  ) throws(SystemError) {
    try send(command, flags, offset: offset, length: length, payload: payload)
    let bytes = try socket.receive(exactly: SimpleReply.size, deadline: Self.deadline())
    let reply = unsafe bytes.withUnsafeBytes { unsafe SimpleReply.decode($0.baseAddress!) }
    guard let reply, reply.cookie == cookie else {
      throw SystemError("nbd", "\(uri): a reply that belongs to no request", errno: EPROTO)
    }
    guard reply.error == 0 else {
      throw SystemError("nbd \(command)", "\(uri)", errno: NBDErrno.systemNumber(of: reply.error))
    }
  }

  private func send(
    _ command: Command, _ flags: CommandFlags, offset: UInt64, length: UInt64, payload: [UInt8]
  ) throws(SystemError) {
    cookie += 1
    let header = RequestHeader(
      flags: flags, commandNumber: command.rawValue, cookie: cookie, offset: offset, length: length)
    var message = [UInt8](repeating: 0, count: RequestHeader.compactSize)
    _ = unsafe message.withUnsafeMutableBytes {
      unsafe header.encode(into: $0.baseAddress!, isExtended: false)
    }
    try socket.send(message + payload, deadline: Self.deadline())
  }

  private static func deadline() -> UInt64 {
    MonotonicClock.nanoseconds() + deadlineNanoseconds
  }
}
