import Glibc
import Replay

/// What `gnomon replay` prints. The names in JSON are part of the program's interface.
struct ReplayReport: Encodable {
  struct PolicyReport: Encodable {
    var policy: String
    /// Per 1000 requests.
    var slowTierWork: Double
    var slowTierWorkReadThrough: Double
    var copies: Double
    /// In percent.
    var readHits: Double
    var allHits: Double
    /// By a model of constant latencies, in microseconds.
    var meanLatency: Double
    var p50Latency: Double
    var p99Latency: Double

    enum CodingKeys: String, CodingKey {
      case policy
      case slowTierWork = "slow_tier_work"
      case slowTierWorkReadThrough = "slow_tier_work_read_through"
      case copies
      case readHits = "read_hits"
      case allHits = "all_hits"
      case meanLatency = "mean_us"
      case p50Latency = "p50_us"
      case p99Latency = "p99_us"
    }

    init(_ result: ReplayResult) {
      policy = result.policy
      slowTierWork = result.slowTierWork
      slowTierWorkReadThrough = result.slowTierWorkReadThrough
      copies = result.copiesPerThousand
      readHits = result.readHitPercent
      allHits = result.hitPercent
      meanLatency = result.meanMicroseconds
      p50Latency = result.p50Microseconds
      p99Latency = result.p99Microseconds
    }
  }

  struct TraceReport: Encodable {
    var trace: String
    var requests: Int
    var footprintExtents: Int
    var fastTierExtents: Int
    var policies: [PolicyReport]

    enum CodingKeys: String, CodingKey {
      case trace
      case requests
      case footprintExtents = "footprint_extents"
      case fastTierExtents = "fast_tier_extents"
      case policies
    }
  }

  var traces: [TraceReport] = []

  /// A table a trace, and one of geometric means if there are several.
  var text: String {
    var text = traces.map(Self.text).joined(separator: "\n")
    if traces.count > 1 { text += "\n" + means }
    return text
  }

  private static func text(of trace: TraceReport) -> String {
    var table = Table([
      .init(title: "POLICY"), .init(title: "WORK", alignment: .right),
      .init(title: "WORK-RT", alignment: .right), .init(title: "COPIES", alignment: .right),
      .init(title: "READ HITS", alignment: .right), .init(title: "HITS", alignment: .right),
      .init(title: "MEAN", alignment: .right), .init(title: "P50", alignment: .right),
      .init(title: "P99", alignment: .right),
    ])
    for policy in trace.policies {
      table.add([
        policy.policy, Figures.tenths(policy.slowTierWork), Figures.tenths(policy.slowTierWorkReadThrough),
        Figures.tenths(policy.copies), Figures.tenths(policy.readHits) + " %",
        Figures.tenths(policy.allHits) + " %",
        Figures.tenths(policy.meanLatency / 1000) + " ms", Figures.tenths(policy.p50Latency / 1000) + " ms",
        Figures.tenths(policy.p99Latency / 1000) + " ms",
      ])
    }
    let head =
      "\(Table.printable(trace.trace)): \(trace.requests) requests, \(trace.footprintExtents) extents, "
      + "\(trace.fastTierExtents) on the fast tier\n"
    return head + table.text
  }

  private var means: String {
    var table = Table([
      .init(title: "POLICY"), .init(title: "WORK", alignment: .right),
      .init(title: "WORK-RT", alignment: .right), .init(title: "COPIES", alignment: .right),
    ])
    for (index, policy) in (traces.first?.policies ?? []).enumerated() {
      func mean(_ value: (PolicyReport) -> Double) -> String {
        Figures.tenths(Self.geometricMean(traces.map { value($0.policies[index]) }))
      }
      table.add([
        policy.policy, mean(\.slowTierWork), mean(\.slowTierWorkReadThrough), mean(\.copies),
      ])
    }
    return "geometric means of \(traces.count) traces\n" + table.text
  }

  /// 0 if a value is.
  static func geometricMean(_ values: [Double]) -> Double {
    exp(values.map { log($0) }.reduce(0, +) / Double(values.count))
  }
}
