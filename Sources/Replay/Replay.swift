import Forecasting

/// Plays a trace to a policy in virtual time.
struct Replay {
  let trace: ExtentTrace
  /// What a copy costs, in requests to the slow tier.
  let copyCost: Double
  /// How long a copy takes. An extent on its way is not a hit.
  let copyMicroseconds: UInt64

  func run<Policy: ReplayPolicy>(
    _ name: String, _ policy: consuming Policy, progress: (Double) -> Void = { _ in }
  ) -> ReplayResult {
    var result = ReplayResult(policy: name, copyCost: copyCost)
    var readyAt = [UInt64](repeating: 0, count: trace.footprint)
    var copies: [Int] = []
    var latencies = LatencyModel()
    var first = 0
    while first < trace.touches.count {
      var end = first
      while !trace.touches[end].isLast { end += 1 }
      end += 1
      let now = trace.touches[first].access.microseconds
      let isRead = !trace.touches[first].access.isWrite
      copies.removeAll(keepingCapacity: true)
      policy.advance(to: now, copies: &copies)
      result.copies += copies.count
      let isHit = (first..<end).allSatisfy {
        let number = trace.touches[$0].number
        return policy.holds(number) && readyAt[number] <= now
      }
      policy.beginRequest()
      copies.removeAll(keepingCapacity: true)
      for index in first..<end { policy.touch(trace.touches[index], index: index, copies: &copies) }
      for number in copies where number >= 0 { readyAt[number] = now + copyMicroseconds }
      result.requests += 1
      result.reads += isRead ? 1 : 0
      result.copies += copies.count
      if isHit {
        result.hits += 1
        result.readHits += isRead ? 1 : 0
      } else if (first..<end).allSatisfy({ policy.holds(trace.touches[$0].number) }) {
        result.servedByCopies += 1
      }
      latencies.add(isHit: isHit)
      first = end
      if result.requests % Self.progressEvery == 0 {
        progress(Double(first) / Double(trace.touches.count))
      }
    }
    result.meanMicroseconds = latencies.mean
    result.p50Microseconds = latencies.quantile(0.5)
    result.p99Microseconds = latencies.quantile(0.99)
    return result
  }

  private static let progressEvery = 16_384
}

/// Latencies as if each tier answered in constant time: no queues, so that policies are compared by where
/// requests go and not by what a disk nobody knows would have done.
struct LatencyModel {
  /// A request to the fast tier, in microseconds: an NVMe drive.
  static let hitMicroseconds = 100.0
  /// One to the slow tier: a disk's seek and turn.
  static let missMicroseconds = 8000.0

  private var hits = 0
  private var misses = 0

  mutating func add(isHit: Bool) {
    if isHit { hits += 1 } else { misses += 1 }
  }

  var mean: Double {
    let total = Double(hits + misses)
    return total == 0
      ? 0 : (Double(hits) * Self.hitMicroseconds + Double(misses) * Self.missMicroseconds) / total
  }

  func quantile(_ share: Double) -> Double {
    Double(hits) >= share * Double(hits + misses) ? Self.hitMicroseconds : Self.missMicroseconds
  }
}
