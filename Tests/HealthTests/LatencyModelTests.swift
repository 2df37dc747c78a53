import Glibc
import Primitives
import Testing

@testable import Health

@Suite struct LatencyModelTests {
  private func curve(_ load: Double) -> Double { 12 + 0.1 * load + 0.05 * load * load }

  private func points(
    _ count: Int, loads: ClosedRange<Double>, deviation: Double, _ random: inout SeededGenerator
  ) -> [LatencyModel.Point] {
    (0..<count).map { _ in
      let load = Double.random(in: loads, using: &random)
      return LatencyModel.Point(load: Float(load), latency: Float(curve(load) + deviation * random.normal()))
    }
  }

  @Test func tooFewPointsMakeNoModel() {
    var random = SeededGenerator(seed: 1)
    let points = points(30, loads: 0...5, deviation: 0.1, &random)
    #expect(LatencyModel(fitting: Array(points.dropLast())) == nil)
    #expect(LatencyModel(fitting: points) != nil)
  }

  @Test(arguments: 1...5)
  func aCurveIsFoundAndItsBoundHolds(seed: UInt64) throws {
    var random = SeededGenerator(seed: seed)
    let model = try #require(
      LatencyModel(fitting: points(400, loads: 0...6, deviation: 0.3, &random)))
    for load in stride(from: 0.0, through: 6, by: 0.5) {
      #expect((model.latency(atLoad: load).usual - curve(load)).magnitude < 0.15)
    }
    let fresh = points(20_000, loads: 0...6, deviation: 0.3, &random)
    let beyond = fresh.count { Double($0.latency) > model.latency(atLoad: Double($0.load)).most }
    // One in a thousand would be 20.
    #expect((2...90).contains(beyond), "\(beyond)")
  }

  @Test func outliersDoNotRaiseTheBound() throws {
    var random = SeededGenerator(seed: 2)
    var all = points(300, loads: 0...6, deviation: 0.2, &random)
    let clean = try #require(LatencyModel(fitting: all))
    for _ in 0..<20 {
      all.append(LatencyModel.Point(load: Float.random(in: 0...6, using: &random), latency: 20))
    }
    let model = try #require(LatencyModel(fitting: all))
    #expect((model.latency(atLoad: 3).most - clean.latency(atLoad: 3).most).magnitude < 0.1)
  }

  @Test(arguments: [0.0, 0.2, 0.8])
  func aNarrowLoadGetsASimpleCurve(width: Double) throws {
    var random = SeededGenerator(seed: 3)
    let model = try #require(
      LatencyModel(fitting: points(100, loads: 2...2 + width, deviation: 0.1, &random)))
    // Beyond what is known the nearest known load answers.
    #expect(model.latency(atLoad: 9) == model.latency(atLoad: model.loads.upperBound))
    #expect(model.latency(atLoad: -1) == model.latency(atLoad: model.loads.lowerBound))
    #expect((model.latency(atLoad: 2 + width / 2).usual - curve(2 + width / 2)).magnitude < 0.15)
  }

  @Test func steadierThanAnyStore() throws {
    let points = [LatencyModel.Point](repeating: LatencyModel.Point(load: 1, latency: 10), count: 50)
    let (usual, most) = try #require(LatencyModel(fitting: points)).latency(atLoad: 1)
    #expect((usual - 10).magnitude < 1e-6)
    // Student's t for 0.001 and 49 degrees of freedom is 3.265 (tables).
    #expect(((most - usual) / (0.15 * (1 + 1.0 / 50).squareRoot()) - 3.265).magnitude < 0.003)
  }
}

@Suite struct LoadReservoirTests {
  @Test func rareLoadsAreKept() {
    var reservoir = LoadReservoir()
    reservoir.offer(LatencyModel.Point(load: 5, latency: 1), age: 0)
    for second in 1..<100_000 {
      reservoir.offer(LatencyModel.Point(load: 1, latency: Float(second)), age: Double(second))
    }
    let points = reservoir.points
    #expect(points.contains { $0.load == 5 })
    #expect(points.count == reservoir.count)
    #expect(points.count == LoadReservoir.pointsPerBin + 1)
    // They reach back for more than half of the time.
    #expect((points.map(\.latency).min() ?? 0) < 50_000)
    let latencies = points.filter { $0.load == 1 }.map(\.latency)
    #expect(latencies == latencies.sorted())
  }

  @Test func anyLoadHasABin() {
    var reservoir = LoadReservoir()
    for load in [-1, 0, 0.39, 0.4, 9.5, 100] as [Float] {
      reservoir.offer(LatencyModel.Point(load: load, latency: 1), age: 1000)
    }
    #expect(reservoir.points.map(\.load) == [-1, 0.4, 9.5])
  }
}
