import Primitives
import Testing

@testable import Measurement

@Suite struct LatencyHistogramTests {
  private func latencies(_ count: Int, seed: UInt64) -> [UInt64] {
    var random = SeededGenerator(seed: seed)
    return (0..<count).map { _ in 1024 + random.next() >> (30 + UInt64(random.below(20))) }
  }

  private func histogram(_ latencies: [UInt64]) -> LatencyHistogram {
    var histogram = LatencyHistogram()
    for latency in latencies { histogram.record(nanoseconds: latency) }
    return histogram
  }

  @Test func anEmptyOneSaysNothing() {
    let empty = LatencyHistogram()
    #expect(empty.count == 0)
    #expect(empty.quantile(0.5) == nil)
    #expect(empty.meanNanoseconds == nil)
    #expect(empty.totalNanoseconds == 0)
  }

  @Test(arguments: 1...5)
  func quantilesAreThoseOfTheSortedLatencies(seed: UInt64) throws {
    let all = latencies(1000, seed: seed)
    let sorted = all.sorted()
    let histogram = histogram(all)
    for (fraction, rank) in [(0.0, 0), (0.001, 0), (0.5, 499), (0.99, 989), (0.999, 998), (1.0, 999)] {
      let exact = Double(sorted[rank])
      let said = Double(try #require(histogram.quantile(fraction)))
      #expect((said - exact).magnitude <= exact / 32, "\(fraction)")
    }
    let mean = all.reduce(0.0) { $0 + Double($1) } / 1000
    #expect((try #require(histogram.meanNanoseconds) - mean).magnitude <= mean / 32)
  }

  @Test func fractionsThatAreNone() {
    let histogram = histogram([1000])
    #expect(histogram.quantile(-0.1) == nil)
    #expect(histogram.quantile(1.1) == nil)
    #expect(histogram.quantile(.nan) == nil)
  }

  @Test func mergedIsAsIfCountedTogether() {
    let (first, second) = (latencies(100, seed: 1), latencies(200, seed: 2))
    var merged = histogram(first)
    merged.merge(histogram(second))
    #expect(merged == histogram(first + second))
    merged.merge(LatencyHistogram())
    #expect(merged == histogram(second + first))
    var fresh = LatencyHistogram()
    fresh.merge(merged)
    #expect(fresh == merged)
  }

  @Test func subtractedIsWhatCameSince() {
    let (first, second) = (latencies(100, seed: 1), latencies(200, seed: 2))
    var all = histogram(first + second)
    all.subtract(histogram(first))
    #expect(all == histogram(second))
    all.subtract(histogram(second))
    #expect(all == LatencyHistogram())
  }

  @Test func subtractingWhatIsNotInItGivesNothing() {
    var one = histogram([1000, 1000])
    one.subtract(histogram([1000, 1000, 1000, 5000]))
    #expect(one == LatencyHistogram())
  }
}
