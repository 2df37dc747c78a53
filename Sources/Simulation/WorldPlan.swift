package import Primitives
import Redirection

/// What a world is made of, and what is done in it. All of it follows from the seed, or is given by a test.
package struct WorldPlan {
  package var stores: [WorldStore] = []
  package var volumes: [(extentBytes: UInt64, sizeBytes: UInt64)] = []
  package var redirectors = 1
  package var bufferBytes = 4 << 20
  /// Map changes that may wait for the catalog, and slots that may be on their way back.
  package var waitingMax = MapChanges.waitingMax
  package var faults = Faults.none
  /// Requests that clients make.
  package var requests = 0
  /// Connections, over all volumes.
  var connections = 0
  /// Requests that one connection keeps in flight at most.
  var window = 1
  /// Power goes after one in so many events, and after one in so many promises; 0 for never.
  var crashOnceIn = 0
  var crashOnceInPromises = 0
  /// Power goes in the middle of commits, of folding, and of opening the catalog.
  var cutsPowerInCatalog = false
  /// The daemon is stopped in good order and started again after one in so many events.
  var restartOnceIn = 0
  /// The journal is folded after one in so many commits.
  var foldOnceIn = 0
  /// Frames at which SQLite's log is folded.
  var logFramesToFold = 1024
  /// Nanoseconds between background flushes of a reactor; 0 for none.
  var flushInterval: UInt64 = 0

  /// Volumes are cut.
  var cutsVolumes = false
  /// Copies that volumes want.
  var copies = 1
  /// On which tiers volumes belong, by number; those behind the last belong anywhere.
  package var tierRules: [TierRules] = []
  /// Requests do not wait for stores that are away.
  var failsAtOnce = false

  /// Moves of copies that go on at the same time.
  package var moves = 0
  /// Extents that are sealed or scrubbed at the same time.
  package var seals = 0

  package init() {}

  /// Small stores, so that they fill up; few and small extents, so that requests meet.
  package init(seed: UInt64) {
    var generator = SeededGenerator(seed: seed &* 7919)
    let granule: UInt64 = 64 << 10
    let methods: [PrepareMethod] = [.zeroRange, .punchAndReserve, .writeZeros]
    stores = (0...generator.below(3)).map { _ in
      WorldStore(
        capacityBytes: UInt64(4 + generator.below(12)) * granule, tier: generator.below(2),
        prepare: methods[generator.below(3)], dataOffset: UInt64(1 + generator.below(2)) * 4096)
    }
    volumes = (0...generator.below(3)).map { _ in
      let extentBytes = granule << UInt64(generator.below(3))
      let cut = generator.chance(2) ? UInt64(generator.below(60)) * Model.cellBytes : 0
      return (extentBytes: extentBytes, sizeBytes: extentBytes * UInt64(2 + generator.below(5)) - cut)
    }
    redirectors = 1 + generator.below(3)
    bufferBytes = generator.chance(4) ? 1 << 20 : 4 << 20
    if generator.chance(3) { waitingMax = 1 + generator.below(4) }
    faults = .random(&generator)
    requests = 100 + generator.below(200)
    connections = 1 + generator.below(6)
    window = 1 + generator.below(generator.chance(2) ? 3 : 12)
    if generator.chance(2) {
      crashOnceIn = 600
      crashOnceInPromises = 12
    }
    cutsPowerInCatalog = generator.chance(2)
    restartOnceIn = generator.chance(3) ? 1500 : 0
    foldOnceIn = 1 + generator.below(4)
    logFramesToFold = generator.chance(2) ? 4 : 64
    flushInterval = 5_000_000 << UInt64(generator.below(9))
    if stores.count > 1 && generator.chance(2) {
      moves = 1 + generator.below(6)
      if generator.chance(2) { faults.hang = 20 << generator.below(4) }
      if generator.chance(4) {
        stores.append(WorldStore(capacityBytes: UInt64(4 + generator.below(8)) * granule, isVolatile: true))
      }
    }
    if generator.chance(2) {
      faults.outage = generator.chance(2) ? .short : .long
      failsAtOnce = faults.outage == .long && generator.chance(2)
      for _ in 0...generator.below(2) {
        stores.append(
          WorldStore(
            capacityBytes: UInt64(4 + generator.below(12)) * granule, tier: generator.below(2),
            prepare: generator.chance(2) ? .zeroRange : .writeZeros, isRemote: true))
      }
      if moves == 0 && generator.chance(2) { moves = 1 + generator.below(6) }
    }
    if stores.count > 1 && generator.chance(2) { copies = 2 + generator.below(3) }
    // Reads that hang keep slots from coming back; with few allowed on their way, moves would use them up.
    let isStarved = faults.hang > 0 && waitingMax < MapChanges.waitingMax
    if generator.chance(2) && !isStarved { seals = 1 + generator.below(4) }
    cutsVolumes = generator.chance(3)
    tierRules = Self.tierRules(seed: seed, count: volumes.count)
  }

  /// One world in four has volumes that belong on some of its two tiers. Drawn apart from the rest, so that
  /// the other worlds are what they would be without.
  private static func tierRules(seed: UInt64, count: Int) -> [TierRules] {
    var generator = SeededGenerator(seed: seed &* 7927)
    guard generator.chance(4) else { return [] }
    return (0..<count).map { _ in
      let (pin, other) = (generator.below(2), generator.below(2))
      return TierRules(
        pin: generator.chance(2) ? pin : nil,
        never: generator.chance(2) && other != pin ? TierSet([other]) : TierSet())
    }
  }
}
