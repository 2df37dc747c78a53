import Health
import Measurement
import Primitives

/// What `smartctl` writes about a device, which tells its own part of it.
///
/// Properties: what is read gives a failure score from 0 to 100, and a reason if it is 1 or more; a refusal
/// says why.
enum SmartctlTarget {
  @Sendable static func run(_ input: [UInt8]) throws(PropertyFailure) {
    let media: MediaSummary
    do {
      media = try SmartctlReport.parse(input)
    } catch {
      if case .malformed(let cause) = error { try require(!cause.isEmpty, "a refusal that does not say why") }
      return
    }
    let store = StoreID(rawValue: 0)
    var monitor = HealthMonitor()
    monitor.add(store, group: 0)
    var sample = StoreSample(seconds: 1, counts: StoreCounts())
    sample.media = media
    monitor.observe(sample, of: store)
    guard let report = monitor.report(of: store) else { throw PropertyFailure("a store that is not watched") }
    try require((0...100).contains(report.score), "a score of \(report.score)")
    try require(report.score < 1 || !report.reasons.isEmpty, "a score without a reason")
  }
}
