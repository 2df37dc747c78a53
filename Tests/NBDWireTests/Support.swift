import NBDWire
import Synchronization

/// A directory with two volumes; the first is also the default export.
final class Shelf: ExportDirectory {
  private let shelved: Mutex<[ExportInfo]>
  let hasDefault: Bool

  init(_ exports: [ExportInfo] = [.disk, .backup], hasDefault: Bool = true) {
    shelved = Mutex(exports)
    self.hasDefault = hasDefault
  }

  var exports: [ExportInfo] { shelved.withLock { $0 } }

  func replace(with exports: [ExportInfo]) { shelved.withLock { $0 = exports } }

  func exportNames() -> [String] { exports.map(\.name) }

  func export(named name: String) -> ExportInfo? {
    if name.isEmpty { return hasDefault ? exports.first : nil }
    return exports.first { $0.name == name }
  }
}

extension ExportInfo {
  static let disk = ExportInfo(
    name: "disk", description: "the first", sizeBytes: 0x1_0000_0000,
    transmissionFlags: [
      .sendFlush, .sendFUA, .sendTrim, .sendWriteZeroes, .sendDontFragment, .canMultiConnect, .sendCache,
      .sendFastZero,
    ],
    blockSizeMinimum: 1, blockSizePreferred: 4096, payloadMaximum: 32 << 20,
    metaContexts: ["base:allocation", "x-gnomon:tier", "x-gnomon:store"])

  static let backup = ExportInfo(
    name: "backup", sizeBytes: 1 << 20, transmissionFlags: [.readOnly],
    metaContexts: ["base:allocation"])
}

/// Numbers in network byte order.
func big(_ value: some FixedWidthInteger & UnsignedInteger) -> [UInt8] {
  (0..<value.bitWidth / 8).reversed().map { UInt8(truncatingIfNeeded: value >> ($0 * 8)) }
}

/// What a client sends.
enum Client {
  static let haveOption: UInt64 = 0x4948_4156_454f_5054

  static func flags(_ value: UInt32 = 3) -> [UInt8] { big(value) }

  static func option(_ number: UInt32, _ data: [UInt8] = []) -> [UInt8] {
    optionHeader(number, length: UInt32(data.count)) + data
  }

  static func optionHeader(_ number: UInt32, length: UInt32) -> [UInt8] {
    big(haveOption) + big(number) + big(length)
  }

  static func exportName(_ name: String) -> [UInt8] { option(1, Array(name.utf8)) }
  static let abort = option(2)
  static let list = option(3)
  static func info(_ name: String, _ requests: [UInt16] = []) -> [UInt8] {
    option(6, infoData(name, requests))
  }
  static func go(_ name: String, _ requests: [UInt16] = []) -> [UInt8] {
    option(7, infoData(name, requests))
  }
  static let structuredReply = option(8)
  static func listContexts(_ name: String, _ queries: [String] = []) -> [UInt8] {
    option(9, contextData(name, queries))
  }
  static func setContexts(_ name: String, _ queries: [String] = []) -> [UInt8] {
    option(10, contextData(name, queries))
  }
  static let extendedHeaders = option(11)

  static func infoData(_ name: String, _ requests: [UInt16] = []) -> [UInt8] {
    counted(name) + big(UInt16(requests.count)) + requests.flatMap { big($0) }
  }

  static func contextData(_ name: String, _ queries: [String] = []) -> [UInt8] {
    counted(name) + big(UInt32(queries.count)) + queries.flatMap { counted($0) }
  }

  static func counted(_ text: String) -> [UInt8] { big(UInt32(text.utf8.count)) + Array(text.utf8) }
}

/// One reply to an option.
struct Reply: Hashable, CustomStringConvertible {
  var option: UInt32
  var type: UInt32
  var data: [UInt8]

  init(_ option: UInt32, _ type: UInt32, _ data: [UInt8] = []) {
    self.option = option
    self.type = type
    self.data = data
  }

  static let ack: UInt32 = 1
  static let server: UInt32 = 2
  static let info: UInt32 = 3
  static let context: UInt32 = 4
  static let unsupported: UInt32 = 0x8000_0001
  static let invalid: UInt32 = 0x8000_0003
  static let unknown: UInt32 = 0x8000_0006
  static let shutdown: UInt32 = 0x8000_0007
  static let tooBig: UInt32 = 0x8000_0009
  static let extendedRequired: UInt32 = 0x8000_000a

  var description: String { "(\(option), 0x\(String(type, radix: 16)), \(data.count) bytes)" }

  /// The reply without the text that errors carry for people.
  var bare: Reply { type >= 0x8000_0000 ? Reply(option, type) : self }

  static func context(_ option: UInt32, _ id: UInt32, _ name: String) -> Reply {
    Reply(option, context, big(id) + Array(name.utf8))
  }
}

/// Drives a handshake as a connection does: keeps what was not used, takes the output, goes on.
struct Driver {
  static let greetingBytes = 18

  var handshake: Handshake
  var sent: [UInt8] = []
  /// Bytes that were not used yet.
  var rest: [UInt8] = []
  /// True if the handshake wanted neither input nor to be relieved of output: it would hang.
  var isStuck = false

  init(
    _ shelf: Shelf = Shelf(), limits: HandshakeLimits = HandshakeLimits(), offersChunks: Bool = true
  ) {
    handshake = Handshake(directory: shelf, limits: limits, offersChunks: offersChunks)
    handshake.start()
  }

  mutating func feed(_ bytes: [UInt8]) {
    rest += bytes
    while true {
      let used = unsafe rest.withUnsafeBytes { unsafe handshake.consume($0) }
      rest.removeFirst(used)
      let output = handshake.takeOutput()
      sent += output
      guard handshake.outcome == .negotiating, !rest.isEmpty else { return }
      if used == 0, output.isEmpty {
        isStuck = true
        return
      }
    }
  }

  /// All replies after the greeting, errors without their texts; nil if the bytes do not parse.
  var replies: [Reply]? { parse(tail: 0) }

  /// The replies when the last `tail` bytes are something else.
  func parse(tail: Int) -> [Reply]? {
    var bytes = sent.dropFirst(Self.greetingBytes).dropLast(tail)
    var replies: [Reply] = []
    func number(_ slice: ArraySlice<UInt8>) -> UInt64 { slice.reduce(0) { $0 << 8 | UInt64($1) } }
    while !bytes.isEmpty {
      guard bytes.count >= 20, number(bytes.prefix(8)) == 0x0003_e889_0455_65a9 else { return nil }
      let fields = bytes.dropFirst(8)
      let length = Int(number(fields.dropFirst(8).prefix(4)))
      guard bytes.count >= 20 + length else { return nil }
      let reply = Reply(
        UInt32(number(fields.prefix(4))), UInt32(number(fields.dropFirst(4).prefix(4))),
        Array(bytes.dropFirst(20).prefix(length)))
      replies.append(reply.bare)
      bytes = bytes.dropFirst(20 + length)
    }
    return replies
  }

  var negotiated: Negotiated? {
    if case .transmission(let negotiated) = handshake.outcome { return negotiated }
    return nil
  }

  var end: HandshakeEnd? {
    if case .closed(let end) = handshake.outcome { return end }
    return nil
  }
}

/// Runs a client that has said its flags.
func converse(
  _ bytes: [UInt8], flags: UInt32 = 3, shelf: Shelf = Shelf(), limits: HandshakeLimits = HandshakeLimits()
) -> Driver {
  var driver = Driver(shelf, limits: limits)
  driver.feed(Client.flags(flags) + bytes)
  return driver
}
