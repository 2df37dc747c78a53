package import HTTPService
package import Primitives
import Synchronization

/// The scrubs of a control plane in memory.
struct FakeScrub {
  /// The one under way ends when it has been asked for so often.
  static let pollsUntilDone = 2

  var request: ScrubRequest?
  var polls = 0
  var isStopped = false

  /// Two bad copies, of which one could be healed.
  static let counts = ScrubFigures(
    bytes: 8 << 20, extents: 3, copies: 7, bad: 2, unread: 1, healed: 2, unhealed: 1)
}

extension FakeControlPlane {
  package func scrub() async throws(GnomonError) -> ScrubInfo {
    try await enter()
    return scrubState.withLock { state in
      var info = ScrubInfo(sealedBytes: 4 << 20, mappedBytes: 5 << 20)
      guard state.request != nil else { return info }
      state.polls += 1
      if state.polls <= FakeScrub.pollsUntilDone && !state.isStopped {
        info.running = ScrubProgress(
          what: "volume disk0", counts: ScrubCounts(FakeScrub.counts), bytesPerSecond: 2 << 20,
          leftBytes: 4 << 20, leftSeconds: 2, seconds: 4)
      } else {
        var record = ScrubRecord(scope: "volume disk0", startedSeconds: 1_790_000_000)
        record.end = state.isStopped ? .stopped : .complete
        record.endedSeconds = record.startedSeconds + 90
        record.figures = FakeScrub.counts
        record.findings = [
          ScrubFinding(
            volume: "disk0", extent: 7, store: "slow", place: 8_388_608, problem: .differs, outcome: .healed),
          ScrubFinding(
            volume: "disk0", extent: 9, store: "fast", place: 10_485_760, problem: .differs,
            outcome: .unhealed, reason: "no copy holds what was sealed"),
        ]
        info.last = ScrubResult(record)
      }
      return info
    }
  }

  package func beginScrub(_ request: ScrubRequest) async throws(GnomonError) -> ScrubInfo {
    try await enter()
    let isBusy = scrubState.withLock { state in
      defer { state.request = request }
      return state.request != nil
    }
    if isBusy { throw GnomonError(.conflict, "a scrub is under way already") }
    return try await scrub()
  }

  package func stopScrub() async throws(GnomonError) -> ScrubInfo {
    try await enter()
    let isBusy = scrubState.withLock { state in
      state.isStopped = state.request != nil
      return state.isStopped
    }
    guard isBusy else { throw GnomonError(.conflict, "no scrub is under way") }
    return try await scrub()
  }

  /// What was asked for last.
  package var scrubRequest: ScrubRequest? { scrubState.withLock { $0.request } }
}
