import Glibc
import Platform
import Simulation
import Synchronization

/// Lives worlds and tells about them.
enum Runner {
  /// Events that a failure shows.
  private static let storyLines = 60

  /// One world.
  ///
  /// - Returns: whether it kept its promises.
  static func one(_ seed: UInt64, tracing: Bool) -> Bool {
    TrapNote.set(TrapNote.register(), seed: seed)
    let outcome = World.live(seed: seed, tracing: tracing)
    if tracing { outcome.story.forEach { say($0) } }
    if outcome.failure != nil { explain(outcome) }
    say("seed \(seed): \(describe(outcome.figures, worlds: 1))")
    say("digest \(String(outcome.digest, radix: 16))")
    return outcome.failure == nil
  }

  /// Worlds one after the other, up to the first that fails.
  static func many(first: UInt64, count: UInt64) -> Bool {
    let place = TrapNote.register()
    var figures = World.Figures()
    for seed in first..<first + count {
      TrapNote.set(place, seed: seed)
      let outcome = World.live(seed: seed)
      figures.add(outcome.figures)
      if outcome.failure != nil {
        explain(outcome)
        return false
      }
    }
    say("all kept their promises: \(describe(figures, worlds: Int(count)))")
    return true
  }

  /// Worlds of fresh seeds on several threads, for so long or up to the first that fails.
  static func soak(seconds: UInt64, jobs: Int) throws(SystemError) -> Bool {
    let state = Mutex(SoakState())
    let start = MonotonicClock.nanoseconds()
    let end = start + seconds * 1_000_000_000
    let first = start >> 10
    say("seeds from \(first) on")
    let next = Atomic<UInt64>(first)
    var threads: [NativeThread] = []
    for number in 0..<jobs {
      threads.append(
        try NativeThread(name: "world-\(number)") {
          let place = TrapNote.register()
          while MonotonicClock.nanoseconds() < end, state.withLock({ $0.failure == nil }) {
            let seed = next.add(1, ordering: .relaxed).oldValue
            TrapNote.set(place, seed: seed)
            let outcome = World.live(seed: seed)
            state.withLock { $0.add(outcome) }
          }
        })
    }
    for thread in threads { thread.join() }
    let elapsed = Double(MonotonicClock.nanoseconds() - start) / 1e9
    return state.withLock { state in
      if let failure = state.failure { explain(failure) }
      say(describe(state.figures, worlds: state.worlds))
      let rate = Int(Double(state.worlds) / elapsed)
      say("\(rate) worlds a second, seeds \(first)..<\(first + UInt64(state.worlds))")
      return state.failure == nil
    }
  }

  private struct SoakState {
    var worlds = 0
    var figures = World.Figures()
    var failure: WorldOutcome?

    mutating func add(_ outcome: WorldOutcome) {
      worlds += 1
      figures.add(outcome.figures)
      if outcome.failure != nil && failure == nil { failure = outcome }
    }
  }

  /// What was broken, and what happened before: the world is lived once more for that.
  private static func explain(_ outcome: WorldOutcome) {
    for line in World.live(seed: outcome.seed, tracing: true).story.suffix(storyLines) { say(line) }
    say("seed \(outcome.seed): \(outcome.failure ?? "")")
    say("replay with: make sim SEED=\(outcome.seed)")
  }

  private static func describe(_ figures: World.Figures, worlds: Int) -> String {
    "\(worlds) worlds, \(figures.requests) requests (\(figures.errors) errors), \(figures.events) events, "
      + "\(figures.crashes) power cuts, \(figures.restarts) restarts, \(figures.moveSteps) steps of moves, "
      + "\(figures.seals) seals, \(figures.scrubs) scrubs of extents, \(figures.healed) copies healed, "
      + "\(figures.cuts) cuts of volumes, \(figures.outages) outages, "
      + "\(figures.missedDeadlines), "
      + "\(figures.nanoseconds / 1_000_000_000) s of virtual time"
  }
}
