import ExtentMap
import NBDWire
import Primitives
import Testing

@testable import Redirection

@Suite struct BlockStatusTests {
  private static let extentBytes: UInt64 = 1 << 20
  private static let extentCount: UInt64 = 1000

  /// The runs that a reply has for a range, in extents.
  private func heat(_ scores: HeatScores?, _ range: Range<UInt64>) throws -> [[UInt32]] {
    let map = try ExtentMap(
      volume: VolumeID(rawValue: 1), extentBytes: Self.extentBytes, extentCount: Self.extentCount)
    let header = RequestHeader(
      .blockStatus, cookie: 7, offset: range.lowerBound * Self.extentBytes,
      length: UInt64(range.count) * Self.extentBytes)
    let status = BlockStatus(of: map.view, stores: StoreTable(), heat: scores)
    let context = NegotiatedContext(id: 5, name: "x-gnomon:heat")
    let bytes = unsafe [UInt8](unsafeUninitializedCapacity: BlockStatus.bytesPerContext) { buffer, count in
      count = unsafe status.encode(header, [context], .structured, into: buffer.baseAddress!)
    }
    // After the chunk's header and the number of the context.
    let words = stride(from: ReplyFormat.structured.headerBytes + 4, to: bytes.count, by: 4).map { place in
      bytes[place..<place + 4].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
    }
    return stride(from: 0, to: words.count, by: 2).map { [words[$0] >> 20, words[$0 + 1]] }
  }

  @Test func heatIsToldInHundredths() throws {
    var scores = HeatScores(extentCount: Self.extentCount, extentsPerChunk: 256)
    scores.add((0..<256).map { $0 < 3 ? 90 : 0 }, 1)
    scores.add((0..<256).map { $0 == 255 ? 7 : 100 }, 0)
    // Beyond the volume's end.
    scores.add(Array(repeating: 50, count: 256), 4)
    #expect(
      try heat(scores, 0..<Self.extentCount) == [[255, 100], [1, 7], [3, 90], [741, 0]])
    #expect(try heat(scores, 258..<260) == [[1, 90], [1, 0]])
    #expect(scores[5000] == 0)
  }

  @Test func noHeatIsNotTheSameAsNone() throws {
    #expect(try heat(nil, 0..<10) == [[10, UInt32.max]])
    #expect(try heat(HeatScores(extentCount: Self.extentCount, extentsPerChunk: 256), 0..<10) == [[10, 0]])
  }
}
