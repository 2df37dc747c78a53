import Catalog
import ExtentMap
import Glibc
import NBDService
import Platform
import Primitives
import Redirection
import Shadowing
import Synchronization

/// Seals extents at rest, and scrubs them: on request, and every so many days.
///
/// The seals are in the catalog, and so is the result of the last scrub. A scrub that the end of the daemon
/// interrupts is not gone on with: one that was due begins again.
final class Scrubber: Sendable {
  private struct State {
    var run: ScrubRun?
    var last: ScrubRecord?
    var isStopping = false
    /// Of the scrub under way or of the last one, and those that go on for ever.
    var runTask: Task<Void, Never>?
    var tasks: [Task<Void, Never>] = []
  }

  private let pool: Pool
  private let mover: Mover
  private let hands: ScrubHands
  private let settings: Configuration.Scrub
  private let state: Mutex<State>
  private let log = Log("scrub")

  /// How often it is looked whether a scrub is due.
  private static let dueSeconds = 60
  private static let secondsPerDay: Int64 = 86_400
  /// How long an extent that is being moved is waited for.
  private static let claimTries = 50
  private static let claimPauseMilliseconds = 20
  /// Findings of one scrub that the log names; the last line counts all.
  private static let findingsLogged = 32

  init(_ pool: Pool, _ mover: Mover, _ settings: Configuration.Scrub) {
    self.pool = pool
    self.mover = mover
    self.settings = settings
    hands = ScrubHands(pool, mover, bytesPerSecond: settings.bytesPerSecond)
    state = Mutex(State(last: pool.lastScrub))
  }

  // MARK: Control

  /// The scrub under way, and the last that has ended.
  var scrubs: (run: ScrubRun?, last: ScrubRecord?) { state.withLock { ($0.run, $0.last) } }

  /// Begins a scrub.
  ///
  /// - Returns: nil if one is under way.
  func begin(_ scope: ScrubScope) -> ScrubRun? {
    state.withLock { state in
      guard state.run == nil, !state.isStopping else { return nil }
      let run = ScrubRun(scope)
      state.run = run
      state.runTask = Task { await carryOut(run) }
      return run
    }
  }

  func start() {
    state.withLock { state in
      state.tasks.append(Task { await sealForEver() })
      state.tasks.append(Task { await beginWhenDue() })
    }
  }

  /// Nothing is begun any more, and what is under way is given up; then calls back.
  func stop(_ done: @escaping @Sendable () -> Void) {
    let tasks = state.withLock { state in
      state.isStopping = true
      return state.tasks + [state.runTask].compactMap(\.self)
    }
    for task in tasks { task.cancel() }
    Task {
      for task in tasks { await task.value }
      done()
    }
  }

  private var isStopping: Bool { state.withLock { $0.isStopping } }

  // MARK: Sealing

  private func sealForEver() async {
    guard settings.sealAfterSeconds > 0 else { return }
    while !isStopping {
      try? await Task.sleep(for: .seconds(settings.sealAfterSeconds))
      var pass = SealPass()
      while !isStopping, let extents = pass.next(volumes, pool.shared.changes) {
        for (volume, extent) in extents where !isStopping {
          while await !hands.seal(extent, of: volume, shouldStop: { self.isStopping }), !isStopping {
            try? await Task.sleep(for: .milliseconds(Self.claimPauseMilliseconds))
          }
        }
        await Task.yield()
      }
    }
  }

  private var volumes: [Volume] { pool.exports.volumes.sorted { $0.id < $1.id } }

  // MARK: Scrubbing

  private func beginWhenDue() async {
    guard settings.everyDays > 0 else { return }
    while !isStopping {
      let (run, last) = scrubs
      let reference = max(last?.wholeEndedSeconds ?? 0, pool.record.createdSeconds)
      if run == nil, Int64(time(nil)) >= reference + Int64(settings.everyDays) * Self.secondsPerDay {
        _ = begin(ScrubScope())
      }
      try? await Task.sleep(for: .seconds(Self.dueSeconds))
    }
  }

  private func carryOut(_ run: ScrubRun) async {
    log.info("scrub begun", ["what": run.scope.words])
    await forEachExtent(of: run) { volume, extent, copies in
      run.expect(UInt64(copies) * volume.extentBytes)
    }
    await forEachExtent(of: run) { volume, extent, copies in
      await self.scrub(extent, of: volume, copies, run)
    }
    let end: ScrubRecord.End = isStopping ? .interrupted : run.isCancelled ? .stopped : .complete
    let record = run.end(end, after: scrubs.last)
    do throws(GnomonError) {
      try await pool.catalogThread.perform { [pool] () throws(GnomonError) in
        try pool.catalog.setLastScrub(record)
      }
    } catch {
      log.warning("the result of the scrub will be forgotten when the daemon ends", ["cause": error])
    }
    state.withLock { state in
      state.last = record
      state.run = nil
    }
    report(record)
  }

  private func forEachExtent(
    of run: ScrubRun, _ body: (Volume, UInt64, Int) async -> Void
  ) async {
    var cursor = ExtentCursor()
    while !isStopping && !run.isCancelled {
      var found: [(Volume, UInt64, Int)] = []
      let volumes = self.volumes.filter { run.scope.volume == nil || $0 === run.scope.volume }
      let stop = cursor.advance(volumes) { volume, extent, _ in
        let copies = run.scope.copyCount(volume.map.view, extent)
        if copies > 0 { found.append((volume, extent, copies)) }
        return found.count < 64
      }
      for (volume, extent, copies) in found where !isStopping && !run.isCancelled {
        await body(volume, extent, copies)
      }
      if stop == .end { return }
      await Task.yield()
    }
  }

  private func scrub(_ extent: UInt64, of volume: Volume, _ copies: Int, _ run: ScrubRun) async {
    var result: ScrubHands.Result?
    for _ in 0..<Self.claimTries where !isStopping && !run.isCancelled && result == nil {
      guard volume.map.view.seal(extent).isSealed, !mover.isExcluded(volume.id) else { break }
      result = await hands.scrub(extent, of: volume, in: run.scope.store?.id) {
        self.isStopping || run.isCancelled
      }
      if result == nil { try? await Task.sleep(for: .milliseconds(Self.claimPauseMilliseconds)) }
    }
    run.note(result, expectedBytes: UInt64(copies) * volume.extentBytes)
    for finding in result?.findings ?? [] { report(finding, run) }
  }

  // MARK: What people are told

  private func report(_ finding: ScrubFinding, _ run: ScrubRun) {
    let figures = run.record.figures
    guard figures.bad + figures.unread <= Self.findingsLogged else { return }
    let message: StaticString =
      finding.problem == .differs ? "a copy does not hold what was sealed" : "a copy can not be read"
    let fields: KeyValuePairs<String, any Sendable> = [
      "volume": finding.volume, "extent": finding.extent, "store": finding.store, "place": finding.place,
      "outcome": finding.outcome.rawValue, "reason": finding.reason.isEmpty ? "-" : finding.reason,
    ]
    if finding.outcome == .healed {
      log.warning("\(message)", fields)
    } else {
      log.error("\(message)", fields)
    }
  }

  private func report(_ record: ScrubRecord) {
    let figures = record.figures
    let fields: KeyValuePairs<String, any Sendable> = [
      "what": record.scope, "end": record.end.rawValue, "bytes": figures.bytes, "copies": figures.copies,
      "bad": figures.bad, "unread": figures.unread, "healed": figures.healed, "unhealed": figures.unhealed,
    ]
    if figures.unhealed > 0 { log.error("scrub ended", fields) } else { log.info("scrub ended", fields) }
  }
}
