import Primitives
import Testing

@testable import Measurement

@Suite struct LatencyScaleTests {
  @Test func binsFollowOneAnother() {
    for bin in 0..<LatencyScale.binCount {
      let (start, end) = (LatencyScale.start(ofBin: bin), LatencyScale.start(ofBin: bin + 1))
      #expect(start < end)
      #expect(LatencyScale.bin(ofNanoseconds: start) == bin)
      #expect(LatencyScale.bin(ofNanoseconds: end - 1) == bin)
    }
    #expect(LatencyScale.start(ofBin: 0) == 0)
    #expect(LatencyScale.start(ofBin: LatencyScale.binCount) == 1 << 36)
  }

  @Test func whatIsLongerThanAllIsInTheLastBin() {
    #expect(LatencyScale.bin(ofNanoseconds: 1 << 36) == LatencyScale.binCount - 1)
    #expect(LatencyScale.bin(ofNanoseconds: .max) == LatencyScale.binCount - 1)
  }

  @Test func theMiddleIsOffByA32ndAtMost() {
    var random = SeededGenerator(seed: 1)
    for _ in 0..<10_000 {
      let nanoseconds = (1 << 10) + random.next() >> (28 + UInt64(random.below(26)))
      let middle = LatencyScale.middle(ofBin: LatencyScale.bin(ofNanoseconds: nanoseconds))
      let error = (Double(middle) - Double(nanoseconds)).magnitude / Double(nanoseconds)
      #expect(error <= 1.0 / 32, "\(nanoseconds) ns")
    }
  }
}
