/// What a policy made of a trace.
public struct ReplayResult: Sendable, Equatable, Codable {
  /// Name of the policy.
  public var policy: String
  /// Requests.
  public var requests = 0
  /// Reads among them.
  public var reads = 0
  /// Requests all of whose extents were on the fast tier when they came.
  public var hits = 0
  /// Reads among these.
  public var readHits = 0
  /// Copies to the fast tier.
  public var copies = 0
  /// Misses whose extents were all on their way to the tier, or were put on it by the request itself: with
  /// read-through the copies serve them.
  public var servedByCopies = 0
  /// What a copy costs, in requests to the slow tier.
  public var copyCost: Double
  /// Mean latency by `LatencyModel`.
  public var meanMicroseconds = 0.0
  /// The latency that half of the requests do not exceed, by `LatencyModel`.
  public var p50Microseconds = 0.0
  /// The latency that 99 % of the requests do not exceed, by `LatencyModel`.
  public var p99Microseconds = 0.0

  /// Copies per 1000 requests.
  public var copiesPerThousand: Double { perThousand(Double(copies)) }
  /// Requests to the slow tier per 1000 requests, copies counted by their cost; 1000 without tiering.
  public var slowTierWork: Double { perThousand(Double(requests - hits) + copyCost * Double(copies)) }
  /// The same when copies serve the requests that cause or await them.
  public var slowTierWorkReadThrough: Double {
    perThousand(Double(requests - hits - servedByCopies) + copyCost * Double(copies))
  }
  /// Hits in percent.
  public var hitPercent: Double { perThousand(Double(hits)) / 10 }
  /// Hits of reads in percent of reads.
  public var readHitPercent: Double { reads == 0 ? 0 : Double(readHits) / Double(reads) * 100 }

  private func perThousand(_ value: Double) -> Double {
    requests == 0 ? 0 : value / Double(requests) * 1000
  }
}
