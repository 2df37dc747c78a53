package import HTTPService
package import Primitives
import Synchronization

/// The predictions and hints of a control plane in memory.
extension FakeControlPlane {
  package func prediction() async throws(GnomonError) -> PredictionInfo {
    try await enter()
    var info = PredictionInfo(enabled: true)
    info.fastTier = 0
    (info.allowedBytes, info.usedBytes, info.shadows) = (50 << 20, 3 << 20, 3)
    (info.reads.all, info.reads.fromFasterShadows, info.reads.foreseeable) = (2000, 1500, 1900)
    info.reads.share = 0.75
    (info.made.decided, info.made.made, info.made.used, info.made.dropped) = (6, 5, 4, 2)
    (info.made.neverUsed, info.made.refused, info.made.copiedBytes) = (1, 1, 5 << 20)
    info.made.perThousandRequests = 2.5
    info.readyMicroseconds = ReadyTimes(p50: 6200, p99: 19_000)
    (info.costs.memoryBytes, info.costs.processorSeconds, info.costs.volumes) = (1 << 20, 0.25, 1)
    info.decisions = [Self.decision]
    return info
  }

  package func tierPlan() async throws(GnomonError) -> TierPlanInfo {
    try await enter()
    var info = TierPlanInfo(enabled: true)
    (info.horizonSeconds, info.nextSeconds) = (7200, 120)
    info.tiers = [
      .init(tier: 0, freeBytes: 1 << 20, capacityBytes: 64 << 20),
      .init(tier: 2, freeBytes: 512 << 20, capacityBytes: 1 << 30),
    ]
    (info.up, info.down, info.bytes, info.isMore) = (1, 1, 2 << 20, true)
    info.moves = [
      .init(
        volume: "disk0", extent: 3, fromTier: 0, toTier: 2, store: "slow", expectedAccesses: 0,
        reason: "volatility 0.00, and tier 0 lacks room"),
      .init(
        volume: "disk0", extent: 9, fromTier: 2, toTier: 0, store: "fast", expectedAccesses: 420.5,
        reason: "volatility 0.97: 420 accesses expected within 120 min"),
    ]
    return info
  }

  package func beginTierRound() async throws(GnomonError) -> TierPlanInfo {
    var info = try await tierPlan()
    info.job = 1
    return info
  }

  package func why(volume name: String, offset: UInt64) async throws(GnomonError) -> WhyInfo {
    try await enter()
    guard name == "disk0" else { throw GnomonError(.notFound, "there is no volume \(name)") }
    return WhyInfo(
      volume: name, offset: offset,
      extent: ExtentRun(
        first: 7, last: 7, live: "slow", tier: 2, shadows: [ShadowInfo(store: "fast", state: .synced)],
        why: "replicate: \(Self.decision.reason)"),
      heat: ExtentHeatInfo(
        score: 0.875, expectedAccesses: 420.5, horizonSeconds: 7200, idleSeconds: 3,
        rhythm: "in use at 09:00 on 3 of the last 4 days"),
      decisions: [Self.decision])
  }

  package func hints() async throws(GnomonError) -> HintList {
    try await enter()
    return HintList(hints: hintState.withLock { $0 })
  }

  package func addHint(_ request: HintRequest) async throws(GnomonError) -> HintInfo {
    try await enter()
    let start = request.startSeconds ?? 1_790_000_000
    guard start >= 1_790_000_000 else { throw GnomonError(.invalid, "the hint begins in the past") }
    return hintState.withLock { hints in
      let hint = HintInfo(
        number: hints.count + 1, volume: request.volume, offset: request.offset, length: request.length,
        startSeconds: start, endSeconds: start + request.seconds)
      hints.append(hint)
      return hint
    }
  }

  package func deleteHint(_ number: Int) async throws(GnomonError) {
    try await enter()
    let isThere = hintState.withLock { hints in
      let count = hints.count
      hints.removeAll { $0.number == number }
      return hints.count < count
    }
    guard isThere else { throw GnomonError(.notFound, "there is no hint \(number)") }
  }

  private static let decision = DecisionInfo(
    volume: "disk0", extent: 7, action: "shadow", store: "fast",
    reason: "reads of it are expected to pay for the copy", expectedRequests: 2.75, outcome: "done",
    microseconds: 6200, reads: nil, seconds: 1_790_000_000)
}
