import Forecasting
import HTTPService
import NBDService
import Primitives
import Redirection
import Shadowing
import Stores

/// What the tier policy does.
extension PoolControl {
  func tierPlan() async throws(GnomonError) -> TierPlanInfo {
    guard let tiering else { return TierPlanInfo(enabled: false) }
    return info(tiering.survey(), of: tiering, job: nil)
  }

  func beginTierRound() async throws(GnomonError) -> TierPlanInfo {
    guard let tiering else {
      throw GnomonError(
        .conflict, "extents stay where they are in this pool",
        remedy: "set tiering.enabled in the configuration, or move them with `gnomon move`")
    }
    let (survey, job) = tiering.beginRound()
    return info(survey, of: tiering, job: job)
  }

  private func info(_ survey: TierSurvey, of tiering: Tiering, job: MoveJob?) -> TierPlanInfo {
    var info = TierPlanInfo(enabled: true)
    info.horizonSeconds = Int(tiering.settings.round.horizonSeconds)
    info.nextSeconds = tiering.secondsLeft
    info.tiers = tiers
    for planned in survey.moves {
      if planned.candidate.wanted < planned.candidate.current { info.up += 1 } else { info.down += 1 }
      info.bytes += planned.bytes
    }
    info.isMore = survey.isMore
    info.moves = survey.moves.prefix(TierPlanInfo.movesMax).map { planned in
      TierPlanInfo.Move(
        volume: volumeName(planned.move.volume),
        extent: planned.move.extent, fromTier: planned.candidate.current, toTier: planned.candidate.wanted,
        store: pool.store(planned.move.target)?.record.name ?? "\(planned.move.target.rawValue)",
        expectedAccesses: Double(planned.candidate.expectedAccesses), reason: planned.move.reason)
    }
    (info.refused, info.complaint) = (survey.refusedCount, survey.complaint)
    info.job = job?.number
    return info
  }

  private var tiers: [TierPlanInfo.Tier] {
    var tiers: [Int: TierPlanInfo.Tier] = [:]
    for store in mover.view.stores where !store.isVolatile {
      tiers[store.tier, default: .init(tier: store.tier, freeBytes: 0, capacityBytes: 0)].freeBytes +=
        store.freeBytes
      tiers[store.tier]?.capacityBytes += store.capacityBytes
    }
    return tiers.values.sorted { $0.tier < $1.tier }
  }

  /// How much an extent is accessed; nil if nothing is known.
  func heat(of extent: UInt64, in volume: Volume) -> ExtentHeatInfo? {
    guard let tiering, let heat = tiering.heat(of: extent, in: volume.id) else { return nil }
    return ExtentHeatInfo(
      score: Double(heat.score), expectedAccesses: Double(heat.expected),
      horizonSeconds: Int(tiering.settings.round.horizonSeconds), idleSeconds: heat.idleSeconds,
      rhythm: heat.due?.words)
  }
}
