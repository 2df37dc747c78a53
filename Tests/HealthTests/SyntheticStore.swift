import Glibc
import Health
import Measurement
import Primitives

/// A store that is not there: what its data path would count, drawn from a seed.
///
/// Its load follows the day, wanders, and comes in bursts of up to ten times as much; its latencies are
/// log-normal with a heavy tail, grow with the load as those of a queue do, and rise for a few seconds now
/// and then, as they do when a device collects garbage. So it is noisy, and healthy.
struct SyntheticStore {
  /// Reads and writes a second at noon.
  var operationsPerSecond = 400.0
  /// Of a small read when nothing else is going on.
  var serviceNanoseconds = 400_000.0
  /// Operations a second from which on the queue only grows.
  var capacityPerSecond = 6000.0
  /// What latencies are multiplied by: 1 is healthy.
  var slowness = 1.0
  /// Nothing ends any more.
  var isHung = false
  /// Clients keep as many operations in flight as before, and so send fewer when the store is slow.
  var isClosedLoop = false

  private var random: SeededGenerator
  private var wander = 0.0
  private var burst = (seconds: 0.0, factor: 1.0)
  private var collecting = 0.0
  private var second = 0.0

  /// Latencies that are drawn for one series and interval; each stands for as many operations as it takes.
  private static let draws = 12

  init(seed: UInt64) {
    random = SeededGenerator(seed: seed)
    second = Double.random(in: 0..<86_400, using: &random)
  }

  /// What is counted in the next `seconds`.
  mutating func sample(seconds: Double = 1) -> StoreSample {
    second += seconds
    let load = nextLoad(seconds: seconds)
    var counts = StoreCounts()
    if isHung { return StoreSample(seconds: seconds, counts: counts, inFlight: 8) }
    let rate = min(operationsPerSecond * load, capacityPerSecond * 0.98) / (isClosedLoop ? slowness : 1)
    // A queue's: 1 / (1 − utilization); the sixteenth of it that a device with parallel channels has.
    let utilization = rate / capacityPerSecond
    var factor = slowness * (1 + utilization / (1 - utilization) / 16)
    collecting -= seconds
    if chance(of: seconds / 1800) { collecting = Double.random(in: 1..<4, using: &random) }
    if collecting > 0 { factor *= 4 }
    for (series, share, bytes, relative) in Self.mixture {
      let count = (rate * share * seconds * (1 + 0.1 * random.normal())).rounded()
      guard count >= 1 else { continue }
      draw(UInt64(count), series: series, factor: factor * relative, into: &counts)
      if series.operation == .read { counts.bytesRead += UInt64(count) * bytes }
      if series.operation == .write { counts.bytesWritten += UInt64(count) * bytes }
    }
    return StoreSample(seconds: seconds, counts: counts, inFlight: counts.succeeded > 0 ? 4 : 0)
  }

  private static let mixture: [(series: LatencySeries, share: Double, bytes: UInt64, relative: Double)] = [
    (LatencySeries(.read, .small), 0.6, 4096, 1), (LatencySeries(.write, .medium), 0.35, 16_384, 1.5),
    (LatencySeries(.synchronize), 0.05, 0, 6),
  ]

  private mutating func draw(
    _ count: UInt64, series: LatencySeries, factor: Double, into counts: inout StoreCounts
  ) {
    let draws = min(count, UInt64(Self.draws))
    for index in 0..<draws {
      let tail = chance(of: 0.002) ? Double.random(in: 10..<60, using: &random) : 1
      let latency = serviceNanoseconds * factor * tail * exp(0.4 * random.normal())
      let times = count / draws + (index < count % draws ? 1 : 0)
      counts[series].record(nanoseconds: UInt64(latency), times: times)
    }
  }

  private mutating func nextLoad(seconds: Double) -> Double {
    let day = 1 + 0.8 * sin(2 * .pi * second / 86_400)
    let memory = exp(-seconds / 120)
    wander = wander * memory + 0.4 * (1 - memory * memory).squareRoot() * random.normal()
    burst.seconds -= seconds
    if burst.seconds <= 0 {
      burst.factor = 1
      if chance(of: seconds / 900) {
        burst = (Double.random(in: 5..<60, using: &random), Double.random(in: 2..<10, using: &random))
      }
    }
    return day * exp(wander) * burst.factor
  }

  private mutating func chance(of probability: Double) -> Bool {
    Double.random(in: 0..<1, using: &random) < probability
  }
}

extension SeededGenerator {
  /// From the standard normal distribution (Box and Muller).
  mutating func normal() -> Double {
    let radius = (-2 * log(Double.random(in: Double.leastNonzeroMagnitude..<1, using: &self))).squareRoot()
    return radius * cos(2 * .pi * Double.random(in: 0..<1, using: &self))
  }
}
