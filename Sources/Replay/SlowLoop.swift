import Forecasting
import Primitives
import Shadowing

/// The slow loop, as the daemon has it: a round of the tier policy every five minutes. Everything begins on
/// the slow tier; what goes back there costs a copy as well.
struct SlowLoop: ReplayPolicy {
  private let trace: ExtentTrace
  private let capacity: Int
  private let settings: TierRound.Settings
  private let policy = TierPolicy(tiers: [0, 1])
  private var heat = VolumeHeat()
  private var isFast: [Bool]
  private var heldCount = 0
  private var roundMicroseconds: UInt64 = intervalMicroseconds

  private static let intervalMicroseconds: UInt64 = 300_000_000
  /// Rounds that follow each other because one has made room for the next.
  private static let roundsMax = 16
  /// When traces begin: midnight of some day.
  private static let startSeconds: UInt32 = 19_000 * 86_400
  private static let volume = VolumeID(rawValue: 1)

  /// - Parameter settings: with nothing that is to stay free, since the whole capacity may be used.
  init(_ trace: ExtentTrace, capacity: Int, settings: TierRound.Settings = .init(freeShare: 0)) {
    self.trace = trace
    self.capacity = capacity
    self.settings = settings
    isFast = Array(repeating: false, count: trace.footprint)
  }

  func holds(_ number: Int) -> Bool { isFast[number] }

  mutating func advance(to microseconds: UInt64, copies: inout [Int]) {
    while roundMicroseconds <= microseconds {
      var left = Self.roundsMax
      while left > 0, round(at: Self.time(roundMicroseconds), &copies) { left -= 1 }
      roundMicroseconds += Self.intervalMicroseconds
    }
  }

  mutating func touch(_ touch: ExtentTrace.Touch, index: Int, copies: inout [Int]) {
    _ = heat.touch(
      UInt64(touch.access.extent), at: Self.time(touch.access.microseconds), mayGrow: true)
  }

  private static func time(_ microseconds: UInt64) -> HeatTime {
    HeatTime(startSeconds + UInt32(clamping: microseconds / 1_000_000))
  }

  /// - Returns: whether another one would find more to do.
  private mutating func round(at time: HeatTime, _ copies: inout [Int]) -> Bool {
    let stores = [store(0, capacity, used: heldCount), store(1, trace.footprint, used: 0)]
    var scale = VolatilityScale()
    for heat in heat.all where heat.lastSeconds > 0 {
      scale.add(settings.expectation(heat, at: time).accesses)
    }
    var round = TierRound(settings)
    for (number, extent) in trace.extents.enumerated() {
      round.consider(
        UInt64(number), of: Self.volume, bytes: UInt64(trace.extentBytes), in: stores[isFast[number] ? 0 : 1],
        by: policy, heat: heat[UInt64(extent)], scale: scale, observedSeconds: 0, at: time)
    }
    let (chosen, isMore) = round.choose(stores)
    for candidate in chosen {
      let isUp = candidate.wanted == 0
      isFast[Int(candidate.extent)] = isUp
      heldCount += isUp ? 1 : -1
      copies.append(Int(candidate.extent))
    }
    return isMore && !chosen.isEmpty
  }

  private func store(_ tier: UInt8, _ extents: Int, used: Int) -> StoreCandidate {
    let bytes = UInt64(trace.extentBytes)
    return StoreCandidate(
      id: StoreID(rawValue: tier), name: Tier.name(Int(tier)), tier: Int(tier),
      freeBytes: UInt64(extents - used) * bytes, capacityBytes: UInt64(extents) * bytes)
  }
}
