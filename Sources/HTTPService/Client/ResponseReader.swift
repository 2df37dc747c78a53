/// Reads one HTTP/1.1 response from the bytes of a connection, in whatever pieces they come.
///
/// Everything is bounded: a peer that is no HTTP server is found out within a few kilobytes.
package struct ResponseReader {
  /// What is wrong with a response.
  package enum Problem: Error, Equatable {
    case malformed
    case tooLarge
    case truncated
  }

  private enum Framing: Equatable {
    case length(Int)
    case chunked
    case untilClosed
  }

  static let headBytesMax = 16 << 10
  /// A line that tells the size of a chunk, with its line feed.
  static let chunkLineBytesMax = 64
  static let bodyBytesMax = 64 << 20

  /// The status of the response proper; 0 before it came.
  package private(set) var status = 0
  /// What has come of the body.
  package private(set) var body: [UInt8] = []
  private var pending: [UInt8] = []
  /// Where the end of the head can begin; it is nowhere before.
  private var searched = 0
  private var framing: Framing?
  /// Whether the whole response is here.
  package private(set) var isComplete = false

  /// Nothing has come yet.
  package init() {}

  /// Takes the next bytes; what comes after the end of the response is ignored.
  package mutating func feed(_ bytes: some Sequence<UInt8>) throws(Problem) {
    pending.append(contentsOf: bytes)
    while framing == nil {
      guard let head = takeHead() else {
        if pending.count >= Self.headBytesMax { throw .malformed }
        return
      }
      try parse(head)
      // 1xx only announces the response proper.
      if (100..<200).contains(status) { framing = nil }
    }
    try takeBody()
  }

  /// Ends the response when the peer has closed the connection.
  package mutating func finish() throws(Problem) {
    if framing == .untilClosed { isComplete = true }
    if !isComplete { throw .truncated }
  }

  /// Everything before the empty line, which is consumed too.
  private mutating func takeHead() -> [Substring]? {
    let end = Array("\r\n\r\n".utf8)
    guard pending.count >= end.count else { return nil }
    let last = min(pending.count, Self.headBytesMax) - end.count
    // What has been looked at is not looked at again for every piece that comes.
    let first = searched
    searched = max(first, last + 1)
    for start in first..<searched where pending[start..<start + end.count].elementsEqual(end) {
      let text = String(decoding: pending[..<start], as: UTF8.self)
      pending.removeFirst(start + end.count)
      searched = 0
      // A carriage return and line feed are one character.
      return text.split(separator: "\r\n", omittingEmptySubsequences: false)
    }
    return nil
  }

  private mutating func parse(_ head: [Substring]) throws(Problem) {
    let words = head[0].split(separator: " ", maxSplits: 2)
    guard words.count >= 2, words[0].hasPrefix("HTTP/1."), let code = Int(words[1]),
      (100...599).contains(code)
    else { throw .malformed }
    status = code
    framing = code == 204 || code == 304 ? .length(0) : .untilClosed
    for line in head.dropFirst() {
      guard let colon = line.firstIndex(of: ":") else { throw .malformed }
      let value = line[line.index(after: colon)...].split(separator: " ").joined(separator: " ")
      switch line[..<colon].lowercased() {
      case "content-length" where framing != .chunked:
        guard let length = Int(value), length >= 0 else { throw .malformed }
        if length > Self.bodyBytesMax { throw .tooLarge }
        framing = .length(length)
      case "transfer-encoding":
        guard value.lowercased() == "chunked" else { throw .malformed }
        framing = .chunked
      default: break
      }
    }
  }

  private mutating func takeBody() throws(Problem) {
    switch framing {
    case .length(let length):
      body.append(contentsOf: pending.prefix(length - body.count))
      pending = []
      isComplete = body.count == length
    case .untilClosed:
      body.append(contentsOf: pending)
      pending = []
      if body.count > Self.bodyBytesMax { throw .tooLarge }
    case .chunked:
      try takeChunks()
    case nil:
      break
    }
  }

  /// Chunks are `SIZE [;extension] CRLF bytes CRLF`; one of size 0 and an optional trailer end the body.
  private mutating func takeChunks() throws(Problem) {
    var start = 0
    defer { pending.removeFirst(start) }
    while !isComplete {
      let head = pending[start...].prefix(Self.chunkLineBytesMax)
      guard let line = head.firstIndex(of: UInt8(ascii: "\n")) else {
        if head.count == Self.chunkLineBytesMax { throw .malformed }
        return
      }
      let text = String(decoding: pending[start..<line], as: UTF8.self)
      let digits = text.prefix { $0.isHexDigit }
      guard digits.count <= 8, let size = Int(digits, radix: 16) else { throw .malformed }
      if size == 0 {
        isComplete = true
        return
      }
      if body.count + size > Self.bodyBytesMax { throw .tooLarge }
      let data = line + 1
      guard pending.count >= data + size + 2 else { return }
      body.append(contentsOf: pending[data..<data + size])
      guard pending[data + size] == UInt8(ascii: "\r") else { throw .malformed }
      start = data + size + 2
    }
  }
}
