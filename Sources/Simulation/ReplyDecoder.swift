import NBDWire

/// The client's side of the wire: bytes in, replies out. It knows the protocol's text only, and none of the
/// server's code.
struct ReplyDecoder {
  /// One simple reply, or one chunk of a structured one.
  struct Reply {
    enum Content {
      /// Success without data.
      case none
      case data(offset: UInt64, bytes: [UInt8])
      case hole(offset: UInt64, length: UInt64)
      case status(context: UInt32, runs: [(length: UInt64, status: UInt32)])
      case error(UInt32)
    }

    var cookie: UInt64
    var content: Content
    var isLast: Bool
  }

  private let format: ReplyFormat
  private var input: [UInt8] = []
  private var start = 0

  init(_ format: ReplyFormat) {
    self.format = format
  }

  mutating func feed(_ bytes: some Sequence<UInt8>) {
    if start > 0 {
      input.removeFirst(start)
      start = 0
    }
    input.append(contentsOf: bytes)
  }

  private func number(_ offset: Int, _ count: Int) -> UInt64 {
    input[(start + offset)..<(start + offset + count)].reduce(0) { $0 << 8 | UInt64($1) }
  }

  /// The next reply that is complete; nil if none is.
  ///
  /// - Parameter dataBytes: bytes of data that follow the successful simple reply to a request.
  mutating func next(dataBytes: (UInt64) -> (offset: UInt64, length: Int)?) throws -> Reply? {
    let available = input.count - start
    guard available >= format.headerBytes else { return nil }
    if format == .simple { return try nextSimple(dataBytes) }
    let magic: UInt64 = format == .extended ? 0x6e8a_278c : 0x668e_33ef
    guard number(0, 4) == magic else { throw BrokenPromise("a reply without its magic number") }
    let payload = Int(format == .extended ? number(24, 8) : number(16, 4))
    guard payload <= 64 << 20 else { throw BrokenPromise("a chunk of \(payload) bytes") }
    guard available >= format.headerBytes + payload else { return nil }
    let flags = number(4, 2)
    guard flags & ~1 == 0 else { throw BrokenPromise("a chunk with unknown flags \(flags)") }
    let reply = Reply(
      cookie: number(8, 8),
      content: try content(type: number(6, 2), at: format.headerBytes, bytes: payload), isLast: flags == 1)
    start += format.headerBytes + payload
    return reply
  }

  private mutating func nextSimple(_ dataBytes: (UInt64) -> (offset: UInt64, length: Int)?) throws -> Reply? {
    guard number(0, 4) == 0x6744_6698 else { throw BrokenPromise("a reply without its magic number") }
    let (error, cookie) = (number(4, 4), number(8, 8))
    var reply = Reply(cookie: cookie, content: .none, isLast: true)
    if error != 0 {
      reply.content = .error(UInt32(error))
    } else if let data = dataBytes(cookie) {
      guard input.count - start >= 16 + data.length else { return nil }
      let from = start + 16
      reply.content = .data(offset: data.offset, bytes: Array(input[from..<from + data.length]))
      start += data.length
    }
    start += 16
    return reply
  }

  private func content(type: UInt64, at offset: Int, bytes: Int) throws -> Reply.Content {
    switch type {
    case 0 where bytes == 0: return .none
    case 1 where bytes > 8:
      let from = start + offset + 8
      return .data(offset: number(offset, 8), bytes: Array(input[from..<from + bytes - 8]))
    case 2 where bytes == 12: return .hole(offset: number(offset, 8), length: number(offset + 8, 4))
    case 5 where format == .structured && bytes >= 12 && (bytes - 4) % 8 == 0:
      let runs = stride(from: offset + 4, to: offset + bytes, by: 8).map {
        (length: number($0, 4), status: UInt32(number($0 + 4, 4)))
      }
      return .status(context: UInt32(number(offset, 4)), runs: runs)
    case 6 where format == .extended && bytes >= 24 && (bytes - 8) % 16 == 0:
      let runs = stride(from: offset + 8, to: offset + bytes, by: 16).map {
        (length: number($0, 8), status: UInt32(number($0 + 8, 8)))
      }
      guard Int(number(offset + 4, 4)) == runs.count else {
        throw BrokenPromise("a block status miscounts its descriptors")
      }
      return .status(context: UInt32(number(offset, 4)), runs: runs)
    case 0x8001, 0x8002:
      guard bytes >= 6, number(offset, 4) != 0 else { throw BrokenPromise("an error chunk without an error") }
      return .error(UInt32(number(offset, 4)))
    default: throw BrokenPromise("a chunk of type \(type) with \(bytes) bytes")
    }
  }
}
