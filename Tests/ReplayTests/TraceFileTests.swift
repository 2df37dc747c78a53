import CZlib
import Glibc
import Primitives
import TestSupport
import Testing

@testable import Replay

@Suite struct TraceFileTests {
  private static let header = "time_us,op,offset_bytes,length_bytes\n"

  private func read(_ text: String, skippingBad: Bool = false, mode: String = "wb") throws -> Trace {
    let folder = TemporaryFolder()
    let path = folder.path + "/some.csv.gz"
    guard let file = unsafe gzopen(path, mode) else { throw GnomonError(.system, "cannot write \(path)") }
    unsafe text.utf8CString.withUnsafeBufferPointer {
      unsafe _ = gzwrite(file, $0.baseAddress, UInt32($0.count - 1))
    }
    unsafe _ = gzclose(file)
    return try Trace(path: path, skippingBad: skippingBad)
  }

  @Test(arguments: ["wb", "wbT"])
  func whatWasWrittenIsRead(mode: String) throws {
    let trace = try read(Self.header + "0,R,4096,512\n7,W,0,1048576\r\n7,R,8,1", mode: mode)
    #expect(trace.name == "some")
    #expect(
      trace.requests == [
        .init(microseconds: 0, offset: 4096, length: 512),
        .init(microseconds: 7, offset: 0, length: 1 << 20, isWrite: true),
        .init(microseconds: 7, offset: 8, length: 1),
      ])
  }

  @Test func longFilesAreReadInPieces() throws {
    let lines = (0..<50_000).map { "\($0),R,\($0 * 4096),4096\n" }.joined()
    let trace = try read(Self.header + lines)
    #expect(trace.requests.count == 50_000)
    #expect(trace.requests.last == .init(microseconds: 49_999, offset: 49_999 * 4096, length: 4096))
  }

  private static let broken: [(String, String)] = [
    ("", "line 1, column 1: this is no trace"), ("time,op\n0,R,0,1\n", "line 1, column 1: this is no trace"),
    (header, "has no request"), (header + "x,R,0,1\n", "line 2, column 1: the time is no whole number"),
    (header + "0,R,0,1\n\n", "line 3, column 1: the time is no whole number"),
    (header + "5,R,0,1\n4,R,0,1\n", "line 3, column 1: the time goes back"),
    (header + "10,D,0,1\n", "line 2, column 4: the operation is not R or W"),
    (header + "10,R,-1,1\n", "line 2, column 6: the offset is no whole number"),
    (header + "10,R,99999999999999999999,1\n", "line 2, column 6: the offset is too large"),
    (header + "10,R,281474976710656,1\n", "line 2, column 6: the offset is too large"),
    (header + "4611686018427387905,R,0,1\n", "line 2, column 1: the time is too large"),
    (header + "10,R,0,0\n", "line 2, column 8: the length is not from 1 to 1073741824"),
    (header + "10,R,0,1,2\n", "line 2, column 8: the length is no whole number"),
    (header + "10,R,0", "line 2, column 6: the offset is no whole number"),
  ]

  @Test(arguments: broken)
  func brokenTracesSayWhere(text: String, message: String) throws {
    let error = try #require(throws: GnomonError.self) { try read(text) }
    #expect(error.code == .invalid)
    #expect(error.message.contains(message), "\(error.message)")
  }

  /// A download that broke off is not taken for a shorter trace.
  @Test func aFileThatIsCutOffIsDamaged() throws {
    let folder = TemporaryFolder()
    let path = folder.path + "/some.csv.gz"
    let opened = unsafe gzopen(path, "wb")
    guard let file = unsafe opened else { throw GnomonError(.system, "cannot write \(path)") }
    let text = Self.header + (0..<5000).map { "\($0),R,\($0 * 4096),4096\n" }.joined()
    unsafe text.utf8CString.withUnsafeBufferPointer {
      unsafe _ = gzwrite(file, $0.baseAddress, UInt32($0.count - 1))
    }
    unsafe _ = gzclose(file)
    #expect(try Trace(path: path).requests.count == 5000)
    for bytes in [9000, 4] {
      try #require(unsafe truncate(path, off_t(bytes)) == 0)
      let error = #expect(throws: GnomonError.self) { try Trace(path: path) }
      #expect(error?.cause == "it is damaged", "\(bytes)")
    }
  }

  @Test func badLinesAreLeftOutIfAsked() throws {
    let trace = try read(Self.header + "0,R,0,1\nwhat?\n5,W,4096,1\n2,R,0,1\n", skippingBad: true)
    #expect(trace.requests.map(\.microseconds) == [0, 5])
    #expect(trace.skippedLines == 2)
  }

  @Test func filesThatCannotBeReadAreNamed() throws {
    let error = try #require(throws: GnomonError.self) { try Trace(path: "/nowhere/trace.csv") }
    #expect(error.code == .system)
    #expect(error.message.contains("/nowhere/trace.csv"))
  }
}
