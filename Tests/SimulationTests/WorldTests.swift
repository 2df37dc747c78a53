import Glibc
import Platform
import Simulation
import Testing

/// Whole worlds from seeds, as `gnomon-sim` lives them.
@Suite struct WorldTests {
  /// The first one that fails says so; it can be lived again with `make sim SEED=…`.
  private static func live(_ seeds: Range<UInt64>) -> World.Figures {
    var figures = World.Figures()
    for seed in seeds {
      let outcome = World.live(seed: seed)
      figures.add(outcome.figures)
      if let failure = outcome.failure {
        Issue.record("seed \(seed): \(failure)")
        return figures
      }
    }
    return figures
  }

  @Test func theSameWorldsAsAlwaysKeepTheirPromises() {
    let figures = Self.live(1..<101)
    // They have seen something, too.
    #expect(figures.requests > 10_000 && figures.errors > 1000)
    #expect(figures.crashes > 200 && figures.restarts > 80)
  }

  @Test func freshWorldsKeepTheirPromises() {
    let first = MonotonicClock.nanoseconds() >> 10
    print("fresh worlds: seeds from \(first) on")
    #expect(Self.live(first..<first + 200).requests > 10_000)
  }

  @Test func theSameSeedIsTheSameWorld() {
    for seed in [3, 17, 40, 99] as [UInt64] {
      let digest = World.live(seed: seed).digest
      #expect(World.live(seed: seed).digest == digest)
      // Tracing watches only.
      #expect(World.live(seed: seed, tracing: true).digest == digest)
      #expect(World.live(seed: seed + 1).digest != digest)
    }
  }
}
