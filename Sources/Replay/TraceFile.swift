internal import CZlib
public import Primitives

extension Trace {
  /// Reads a trace: CSV with the header `time_us,op,offset_bytes,length_bytes`, op being R or W, compressed
  /// with gzip or not.
  ///
  /// - Throws: `invalid` with line and column of what can not be read, `system` if the file can not.
  public init(path: String, skippingBad: Bool = false) throws(GnomonError) {
    var lines = try LineReader(path: path)
    guard try lines.next() == Array(Self.header.utf8) else {
      throw GnomonError(
        .invalid, "\(path), line 1, column 1: this is no trace", remedy: "its first line is \(Self.header)")
    }
    var requests: [Request] = []
    var number = 1
    var skipped = 0
    while let line = try lines.next() {
      number += 1
      let previous = requests.last?.microseconds ?? 0
      do {
        requests.append(try TraceLine(line, notBefore: previous).request)
      } catch {
        guard skippingBad else { throw Self.broken(path, number, error.column, error.message) }
        skipped += 1
      }
      guard requests.count <= Self.requestsMax else {
        throw GnomonError(.invalid, "\(path) has more than \(Self.requestsMax) requests")
      }
    }
    guard !requests.isEmpty else { throw GnomonError(.invalid, "\(path) has no request") }
    let file = path.split(separator: "/").last.map(String.init) ?? path
    self.init(name: String(file.prefix { $0 != "." }), requests: requests)
    skippedLines = skipped
  }

  private static let header = "time_us,op,offset_bytes,length_bytes"
  /// 24 bytes each.
  private static let requestsMax = 1 << 28

  private static func broken(_ path: String, _ line: Int, _ column: Int, _ why: String) -> GnomonError {
    GnomonError(
      .invalid, "\(path), line \(line), column \(column): \(why)",
      remedy: "leave such lines out with --skip-bad, if the rest is good")
  }
}

/// One line of a trace, taken apart.
struct TraceLine {
  struct Problem: Error {
    var column: Int
    var message: String
  }

  let request: Trace.Request

  /// - Parameter notBefore: the time of the request before.
  init(_ line: [UInt8], notBefore: UInt64) throws(Problem) {
    var at = 0
    func fail(_ message: String, at column: Int) -> Problem { Problem(column: column + 1, message: message) }
    func number(_ what: String, isLast: Bool = false) throws(Problem) -> UInt64 {
      let start = at
      var value: UInt64 = 0
      while at < line.count, let digit = Self.digit(line[at]) {
        let (product, overflow) = value.multipliedReportingOverflow(by: 10)
        let (sum, carry) = product.addingReportingOverflow(digit)
        if overflow || carry { throw fail("\(what) is too large", at: start) }
        value = sum
        at += 1
      }
      guard at > start, isLast ? at == line.count : at < line.count && line[at] == UInt8(ascii: ",") else {
        throw fail("\(what) is no whole number", at: start)
      }
      at += 1
      return value
    }
    let time = try number("the time")
    guard time <= Self.timeMax else { throw fail("the time is too large", at: 0) }
    guard time >= notBefore else { throw fail("the time goes back", at: 0) }
    guard at + 1 < line.count, line[at + 1] == UInt8(ascii: ","), "RW".utf8.contains(line[at]) else {
      throw fail("the operation is not R or W", at: at)
    }
    let isWrite = line[at] == UInt8(ascii: "W")
    at += 2
    let offsetColumn = at
    let offset = try number("the offset")
    let lengthColumn = at
    let length = try number("the length", isLast: true)
    guard length > 0, length <= Self.lengthMax else {
      throw fail("the length is not from 1 to \(Self.lengthMax)", at: lengthColumn)
    }
    guard offset <= Self.endMax - length else { throw fail("the offset is too large", at: offsetColumn) }
    request = Trace.Request(
      microseconds: time, offset: offset, length: UInt32(length), isWrite: isWrite)
  }

  private static let lengthMax: UInt64 = 1 << 30
  /// So that intervals can be added to it.
  private static let timeMax: UInt64 = 1 << 62
  /// 256 TiB: 2³² extents of the smallest size.
  private static let endMax: UInt64 = 1 << 48

  private static func digit(_ byte: UInt8) -> UInt64? {
    byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9") ? UInt64(byte - UInt8(ascii: "0")) : nil
  }
}

/// The lines of a file that may be compressed.
@safe struct LineReader: ~Copyable {
  private let file: gzFile
  private let path: String
  private var buffer: [UInt8] = []
  private var position = 0
  private var isAtEnd = false

  private static let chunkBytes = 1 << 18
  /// Longer lines are no lines of a trace.
  private static let lineMax = 4096

  init(path: String) throws(GnomonError) {
    guard let file = unsafe gzopen(path, "rb") else {
      throw GnomonError(.system, "cannot open \(path)", remedy: "check the path")
    }
    unsafe self.file = file
    self.path = path
  }

  deinit { unsafe _ = gzclose(file) }

  /// The next line without its end; nil after the last.
  mutating func next() throws(GnomonError) -> [UInt8]? {
    while true {
      if let end = buffer[position...].firstIndex(of: UInt8(ascii: "\n")) {
        defer { position = end + 1 }
        return Self.trimmed(buffer[position..<end])
      }
      if isAtEnd {
        guard position < buffer.count else { return nil }
        defer { position = buffer.count }
        return Self.trimmed(buffer[position...])
      }
      guard buffer.count - position <= Self.lineMax else {
        throw GnomonError(.invalid, "\(path) has a line of more than \(Self.lineMax) bytes")
      }
      try fill()
    }
  }

  private mutating func fill() throws(GnomonError) {
    buffer.removeFirst(position)
    position = 0
    let kept = buffer.count
    buffer.append(contentsOf: repeatElement(0, count: Self.chunkBytes))
    let count = unsafe buffer.withUnsafeMutableBytes {
      unsafe gzread(file, $0.baseAddress! + kept, UInt32(Self.chunkBytes))
    }
    // Where a compressed file was cut off, zlib ends like at its end, with an error beside.
    var status = Z_OK
    if count <= 0 { unsafe _ = gzerror(file, &status) }
    guard status == Z_OK || status == Z_STREAM_END else {
      throw GnomonError(.system, "cannot read \(path)", cause: "it is damaged")
    }
    buffer.removeLast(Self.chunkBytes - Int(count))
    isAtEnd = count == 0
  }

  private static func trimmed(_ line: ArraySlice<UInt8>) -> [UInt8] {
    Array(line.last == UInt8(ascii: "\r") ? line.dropLast() : line)
  }
}
