import Forecasting
import Measurement
import Platform
import Primitives
import Redirection
import Shadowing
import Synchronization

/// The slow loop: every few minutes it has extents moved to the tier that they belong on. A thread of its own
/// looks at the maps; the mover carries it out.
final class Tiering: Sendable {
  /// What is known of an extent's accesses.
  struct KnownHeat {
    /// Its volatility score.
    var score: Float
    /// Accesses within the horizon of rounds.
    var expected: Float
    /// Since the last one.
    var idleSeconds: Int
    /// Use in the next day that is expected because of earlier days.
    var due: DailyRhythm.Due?
  }

  private struct State {
    var job: MoveJob?
    var nextNanoseconds: UInt64
    /// As of the last round.
    var scale = VolatilityScale()
  }

  let settings: Configuration.Tiering
  /// What it goes by.
  let book: HeatBook
  private let pool: Pool
  private let mover: Mover
  private let file: Mutex<KeptFile>
  private let state: Mutex<State>
  private let isStopping: Signal
  private let thread = Mutex<NativeThread?>(nil)
  private let log = Log("tiering")

  private static let lookMilliseconds: Int32 = 500
  /// What a crash loses of the heat.
  private static let saveNanoseconds: UInt64 = 600_000_000_000
  /// After a round that has made room for what did not fit into it.
  private static let soonNanoseconds: UInt64 = 5_000_000_000
  /// For so long a round waits for slots that are on their way back; some always are where clients trim.
  private static let settleNanoseconds: UInt64 = 10_000_000_000

  /// Goes on with the heat that was kept; without it, or if it makes no sense, it begins anew.
  ///
  /// - Throws: `system` if there is no descriptor left.
  init(_ pool: Pool, _ mover: Mover, _ settings: Configuration.Tiering) throws(GnomonError) {
    self.pool = pool
    self.mover = mover
    self.settings = settings
    let file = KeptHeat.file(in: pool.directory)
    var kept = KeptHeat()
    do throws(GnomonError) {
      kept = try file.read { KeptHeat(from: &$0, version: $1) } ?? kept
    } catch {
      log.warning("the extents' heat begins anew", ["cause": error])
    }
    book = HeatBook(kept, memoryBytes: settings.memoryBytes)
    self.file = Mutex(file)
    do throws(SystemError) {
      isStopping = try Signal()
    } catch {
      throw GnomonError(.system, "tiering can not be started", cause: error.description)
    }
    state = Mutex(State(nextNanoseconds: MonotonicClock.nanoseconds() + settings.intervalNanoseconds))
  }

  /// Begins. Without a thread for it, nothing is moved.
  func start() {
    do throws(SystemError) {
      let started = try NativeThread(name: "gnomon-tiering") { [self] in run() }
      thread.withLock { $0 = started }
    } catch {
      log.warning("extents stay on their tiers: no thread can be started", ["cause": error])
    }
  }

  /// Plans no more, keeps what is known, then calls back.
  func stop(_ done: @escaping @Sendable () -> Void) {
    isStopping.raise()
    pool.controlThread.async { [self] in
      thread.withLock { $0 }?.join()
      save()
      done()
    }
  }

  private func run() {
    var saved = MonotonicClock.nanoseconds()
    // What was kept can be looked at before the first round.
    if !isStopping.wait(milliseconds: Self.lookMilliseconds) { _ = survey() }
    while !isStopping.wait(milliseconds: Self.lookMilliseconds) {
      let now = MonotonicClock.nanoseconds()
      if isDue(at: now) { beginRound() }
      if now - saved >= Self.saveNanoseconds {
        saved = now
        save()
      }
    }
  }

  private func isDue(at now: UInt64) -> Bool {
    state.withLock { state in
      guard now >= state.nextNanoseconds, state.job.map({ $0.progress.endedNanoseconds != nil }) ?? true
      else { return false }
      // What has just been moved down frees its slots a moment later: until then they count as used.
      return !pool.isReclaiming || now >= state.nextNanoseconds + Self.settleNanoseconds
    }
  }

  /// Looks at all extents, and what it would have moved.
  func survey() -> TierSurvey {
    let survey = TierSurvey(mover.view, book, settings)
    for volume in mover.view.volumes { volume.heatScores = survey.scores[volume.id] }
    state.withLock { $0.scale = survey.scale }
    return survey
  }

  /// Begins a round now, unless the last one is under way.
  ///
  /// - Returns: its moves, and the job that makes them; nil if there is nothing to be done.
  @discardableResult
  func beginRound() -> (survey: TierSurvey, job: MoveJob?) {
    let survey = survey()
    return state.withLock { state in
      let pause = survey.isMore && !survey.moves.isEmpty ? Self.soonNanoseconds : settings.intervalNanoseconds
      state.nextNanoseconds = MonotonicClock.nanoseconds() + min(pause, settings.intervalNanoseconds)
      if let job = state.job, job.progress.endedNanoseconds == nil { return (survey, job) }
      state.job = nil
      guard !survey.moves.isEmpty else { return (survey, nil) }
      let count = survey.moves.count
      state.job = mover.submit(
        "tier policy: \(count) \(count == 1 ? "extent" : "extents")", .tiering, TierPlan(survey.moves))
      return (survey, state.job)
    }
  }

  /// Seconds until the next round.
  var secondsLeft: Int {
    let now = MonotonicClock.nanoseconds()
    return state.withLock { Int(($0.nextNanoseconds - min(now, $0.nextNanoseconds)) / 1_000_000_000) }
  }

  /// The volatility score of an extent, as of the last round, and what is to be expected of it; nil if
  /// nothing is known.
  func heat(of extent: UInt64, in volume: VolumeID) -> KnownHeat? {
    guard let (heat, now) = book.heat(of: extent, in: volume), heat.lastSeconds > 0 else { return nil }
    let expected = settings.round.expectation(heat, at: now).accesses
    return KnownHeat(
      score: state.withLock { $0.scale.score(expected) }, expected: expected,
      idleSeconds: Int(heat.fading.idleSeconds(at: now.seconds)), due: heat.nextDue(at: now))
  }

  private func save() {
    // One after the other: they would write to the same draft.
    file.withLock { file in
      var content = ByteWriter()
      book.toKeep.write(to: &content)
      do throws(SystemError) {
        try file.write(content)
      } catch {
        log.warning("the extents' heat could not be kept", ["cause": error])
      }
    }
  }
}
