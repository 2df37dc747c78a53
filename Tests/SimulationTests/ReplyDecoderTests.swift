import NBDWire
import Testing

@testable import Simulation

/// The simulated client takes no reply that breaks the protocol's text.
@Suite struct ReplyDecoderTests {
  private static func encode(_ body: (UnsafeMutableRawPointer) -> Int) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: ReplyFormat.replyBytesMax)
    let count = unsafe bytes.withUnsafeMutableBytes { unsafe body($0.baseAddress!) }
    return Array(bytes[..<count])
  }

  @Test(arguments: ReplyFormat.allCases) func repliesInPiecesAreTakenOnceTheyAreWhole(format: ReplyFormat)
    throws
  {
    let bytes = unsafe Self.encode {
      unsafe format.error(into: $0, cookie: 7, requestOffset: 0, .io)
    }
    var decoder = ReplyDecoder(format)
    for byte in bytes.dropLast() {
      decoder.feed([byte])
      #expect(try decoder.next { _ in nil }?.cookie == nil)
    }
    decoder.feed([bytes.last!])
    let reply = try #require(try decoder.next { _ in nil })
    guard case .error(5) = reply.content else { throw BrokenPromise("not the error") }
    #expect(reply.cookie == 7 && reply.isLast)
    #expect(try decoder.next { _ in nil }?.cookie == nil)
  }

  @Test(arguments: [ReplyFormat.structured, .extended], [0, 4, 6, 7])
  func brokenHeadersAreRefused(format: ReplyFormat, place: Int) throws {
    var bytes = unsafe Self.encode {
      unsafe format.success(into: $0, cookie: 7, requestOffset: 0)
    }
    bytes[place] ^= 0x40
    var decoder = ReplyDecoder(format)
    decoder.feed(bytes)
    #expect(throws: BrokenPromise.self) { try decoder.next { _ in nil } }
  }
}
