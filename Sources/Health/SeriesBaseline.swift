import Glibc
import Measurement

/// The history of one series of one store, and what latency it makes usual at a load.
struct SeriesBaseline: Sendable {
  /// What one interval says of a series.
  struct Observation: Sendable, Equatable {
    /// The mean, in nanoseconds.
    var latencyNanoseconds: Double
    /// Of the whole store.
    var bytesPerSecond: Double
    /// Of this series.
    var operationsPerSecond: Double
    /// Of the whole store, on average.
    var queueDepth: Double

    /// The logarithm that loads are compared by: of 1 + MB/s, so that all light loads are alike.
    var load: Double { log1p(bytesPerSecond / 1e6) }
  }

  /// What is usual under the circumstances of an observation, in nanoseconds.
  struct Usual: Sendable, Equatable {
    var nanoseconds: Double
    var mostNanoseconds: Double

    /// Four fifths of the way to the most. What lies beyond is not learned from: a store that gets slower a
    /// little every hour would take its bound along.
    var learnedNanoseconds: Double { nanoseconds * pow(max(1, mostNanoseconds / nanoseconds), 0.8) }
  }

  private(set) var model: LatencyModel?
  /// What nine of ten observations did not exceed in each bin of the load, when the model was fitted.
  private var highs = [Double?](repeating: nil, count: LoadReservoir.binCount)
  private var reservoir = LoadReservoir()
  private var sinceFit = 0.0
  /// The heaviest load yet, halved once a day.
  private var operationsPerSecondMax = 0.0
  private var bytesPerSecondMax = 0.0
  /// The deepest queue that was usual below the heaviest loads, likewise.
  private var queueDepthMax = 1.0

  /// No store is slow below that.
  static let latencyFloorNanoseconds = 100_000.0
  /// A load so near to the heaviest yet may be all that the store can do.
  private static let saturationShare = 0.75
  /// How far beyond the known loads the model still speaks: 10 %.
  private static let loadSlack = 0.1
  /// How far above the highest tenth a latency must be: by 22 %.
  private static let highMargin = 0.2
  private static let halfLifeSeconds = 86_400.0

  /// What is usual at an observation's load; nil as long as too little is known, or of a load that is heavier
  /// than any before.
  ///
  /// A store at the limit of what it can do answers a deeper queue proportionally later: it is overloaded,
  /// not slow. So where the load is the heaviest yet, the bound grows with the queue beyond its usual depth.
  func usual(at observation: Observation) -> Usual? {
    guard let (usual, most) = latency(atLoad: observation.load) else { return nil }
    let excuse = isSaturated(observation) ? max(1, observation.queueDepth / queueDepthMax) : 1
    return Usual(
      nanoseconds: exp(usual), mostNanoseconds: max(exp(most) * excuse, Self.latencyFloorNanoseconds))
  }

  private func isSaturated(_ observation: Observation) -> Bool {
    observation.operationsPerSecond >= Self.saturationShare * operationsPerSecondMax
      || observation.bytesPerSecond >= Self.saturationShare * bytesPerSecondMax
  }

  /// The bound that this history sets for another store, at a load of that one's; nil if it knows too little.
  func mostNanoseconds(atLoad load: Double) -> Double? {
    latency(atLoad: load).map { max(exp($0.most), Self.latencyFloorNanoseconds) }
  }

  /// The logarithms of the usual latency and of the most that is usual. A polynomial can not follow the knee
  /// of a store near its limit, so what was usual in just these loads counts, too.
  private func latency(atLoad load: Double) -> (usual: Double, most: Double)? {
    guard let model, load <= model.loads.upperBound + Self.loadSlack else { return nil }
    let (usual, most) = model.latency(atLoad: load)
    let high = highs[LoadReservoir.bin(ofLoad: load)].map { $0 + Self.highMargin }
    return (usual, max(most, high ?? most))
  }

  /// Learns from an observation.
  ///
  /// - Parameters:
  ///   - isUsual: it is far from slow. What is slow is not learned from, or slowness would become the rule.
  ///   - age: seconds for which the store has been observed.
  mutating func learn(_ observation: Observation, isUsual: Bool, age: Double, seconds: Double) {
    let left = Decay.factor(seconds: seconds, halfLifeSeconds: Self.halfLifeSeconds)
    operationsPerSecondMax = max(operationsPerSecondMax * left, observation.operationsPerSecond)
    bytesPerSecondMax = max(bytesPerSecondMax * left, observation.bytesPerSecond)
    sinceFit += seconds
    guard isUsual else { return }
    queueDepthMax = max(queueDepthMax * left, isSaturated(observation) ? 1 : observation.queueDepth, 1)
    let latency = log(max(observation.latencyNanoseconds, 1))
    reservoir.offer(
      LatencyModel.Point(load: Float(observation.load), latency: Float(latency)), age: age)
    fitIfDue(age: age)
  }

  /// A new fit after a 32nd of the age, between 10 seconds and a quarter of an hour.
  private mutating func fitIfDue(age: Double) {
    guard sinceFit >= min(max(age / 32, 10), 900) || model == nil else { return }
    guard reservoir.count >= LatencyModel.pointsMin else { return }
    model = LatencyModel(fitting: reservoir.points) ?? model
    highs = reservoir.highs
    sinceFit = 0
  }
}
