import Primitives
import Testing

@testable import Forecasting

@Suite struct StrideDetectorTests {
  private func expectations(_ extents: [UInt32]) -> [UInt32?] {
    var detector = StrideDetector()
    return extents.map { detector.touch($0)?.extent }
  }

  @Test func aStrideIsKnownAfterFourExtents() {
    #expect(expectations([10, 13, 16, 19, 22]) == [nil, nil, nil, 22, 25])
    // Several touches of one extent are one step.
    #expect(expectations([10, 10, 13, 13, 16, 16, 19, 19]) == [nil, nil, nil, nil, nil, nil, 22, 22])
  }

  @Test func backwardsIsAStrideAndForwardsByOneIsNot() {
    #expect(expectations([10, 9, 8, 7, 6]) == [nil, nil, nil, 6, 5])
    #expect(expectations([10, 11, 12, 13, 14]).allSatisfy { $0 == nil })
  }

  @Test func nothingLiesBelowZero() {
    #expect(expectations([9, 6, 3, 0]) == [nil, nil, nil, nil])
  }

  @Test func streamsAreKeptApart() {
    var detector = StrideDetector()
    var hits = 0
    for step in 0..<40 as Range<UInt32> {
      for stream in 0..<8 as Range<UInt32> {
        let at = stream * 10_000 + step * (stream + 2)
        let next = detector.touch(at)
        if step >= 3 {
          #expect(next?.extent == at + stream + 2)
          hits += 1
        }
      }
    }
    #expect(hits == 37 * 8)
  }

  @Test func randomTouchesAreNoStream() {
    var random = SeededGenerator(seed: 5)
    var detector = StrideDetector()
    let found = (0..<20_000).count { _ in detector.touch(UInt32(random.below(1_000_000))) != nil }
    #expect(found < 20)
  }
}
