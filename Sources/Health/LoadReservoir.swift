/// Observations of one series for a regression: as many of each load, and of the last days.
///
/// The load is cut into bins, each of which keeps its last 64 points: a load that is rare is not forgotten
/// for one that is common. Points of a bin are taken at intervals that grow with the store's age, to an hour,
/// so that a bin's points span minutes at first and days later. At most 12 KiB.
struct LoadReservoir: Sendable {
  /// Bins of the load, each 0.4 wide in its logarithm: a factor of 1.5. The last is open: from 10 GB/s on.
  static let binCount = 24
  private static let binWidth = 0.4
  static let pointsPerBin = 64
  private static let intervalSecondsMax = 3600.0

  private struct Bin: Sendable {
    var points: [LatencyModel.Point] = []
    var oldest = 0
    var lastSeconds = -Double.infinity
  }

  private var bins = [Bin](repeating: Bin(), count: binCount)

  /// Takes a point, if the last one of its bin is long enough ago.
  ///
  /// - Parameter age: seconds for which the store has been observed.
  mutating func offer(_ point: LatencyModel.Point, age: Double) {
    let index = Self.bin(ofLoad: Double(point.load))
    let interval = min(age / Double(Self.pointsPerBin), Self.intervalSecondsMax)
    guard age - bins[index].lastSeconds >= interval else { return }
    bins[index].lastSeconds = age
    if bins[index].points.count < Self.pointsPerBin {
      bins[index].points.append(point)
    } else {
      bins[index].points[bins[index].oldest] = point
      bins[index].oldest = (bins[index].oldest + 1) % Self.pointsPerBin
    }
  }

  /// The bin that a load falls into.
  static func bin(ofLoad load: Double) -> Int {
    Int(min(max(0, load) / binWidth, Double(binCount - 1)))
  }

  /// Of each bin with at least `highPointsMin` points, the logarithm of the latency that nine of ten do not
  /// exceed.
  var highs: [Double?] {
    bins.map { bin in
      guard bin.points.count >= Self.highPointsMin else { return nil }
      return Double(bin.points.map(\.latency).sorted()[bin.points.count * 9 / 10])
    }
  }

  private static let highPointsMin = 5

  /// All points, by load and age.
  var points: [LatencyModel.Point] {
    bins.flatMap { $0.points[$0.oldest...] + $0.points[..<$0.oldest] }
  }

  /// Points that there are.
  var count: Int { bins.reduce(0) { $0 + $1.points.count } }
}
