import Health
import Primitives

/// A monitor over a few synthetic stores, in virtual time.
struct SyntheticPool {
  var stores: [SyntheticStore]
  var monitor = HealthMonitor()
  /// Everything that was decided.
  var events: [HealthEvent] = []
  /// How things stand with each store; by default each has nothing that is not elsewhere too.
  var redundancy: [StoreRedundancy]
  var satOutMax = 1
  private(set) var seconds = 0.0

  /// - Parameter groups: of each store; those of one group are compared with each other.
  init(groups: [Int], seed: UInt64) {
    stores = groups.indices.map { SyntheticStore(seed: seed &* 1000 &+ UInt64($0)) }
    redundancy = groups.map { _ in StoreRedundancy(onlyCopies: 0) }
    for (index, group) in groups.enumerated() { monitor.add(Self.id(index), group: group) }
  }

  static func id(_ index: Int) -> StoreID { StoreID(rawValue: UInt8(index)) }

  /// Lives for a while.
  ///
  /// - Parameters:
  ///   - step: the length of one interval.
  ///   - until: ends it; asked after each interval.
  mutating func live(_ duration: Double, step: Double = 1, until: (SyntheticPool) -> Bool = { _ in false }) {
    let end = seconds + duration
    while seconds < end {
      seconds += step
      for index in stores.indices {
        monitor.observe(stores[index].sample(seconds: step), of: Self.id(index))
      }
      decide()
      if until(self) { return }
    }
  }

  private mutating func decide() {
    let redundancy = redundancy
    events += monitor.decide(at: UInt64(seconds * 1e9), satOutMax: satOutMax) { redundancy[Int($0.rawValue)] }
  }

  func score(_ index: Int) -> Double { monitor.score(of: Self.id(index)) ?? .nan }

  func report(_ index: Int) -> HealthReport {
    guard let report = monitor.report(of: Self.id(index)) else { preconditionFailure("no such store") }
    return report
  }
}
