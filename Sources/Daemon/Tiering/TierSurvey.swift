import ExtentMap
import Forecasting
import Primitives
import Redirection
import Shadowing

/// A look at all extents: which of them belong on another tier, and the moves that bring them there.
struct TierSurvey {
  /// A move, and what it is made for.
  struct Planned {
    let move: Move
    let candidate: TierRound.Candidate
    /// Bytes of the extent.
    var bytes: UInt64 { candidate.bytes }
  }

  /// How accesses that are expected within the horizon rank.
  let scale: VolatilityScale
  /// How volatile the extents of each volume are; of none in a pool of one tier, where nothing is counted.
  private(set) var scores: [VolumeID: HeatScores] = [:]
  /// In this order.
  private(set) var moves: [Planned] = []
  /// More is worth moving than fits into one round, or than there is room for.
  private(set) var isMore = false
  /// Extents that can not be moved, and why the last of them can not.
  private(set) var refusedCount = 0
  private(set) var complaint: String?

  private static let refusalsMax = 64

  init(_ view: PlanningView, _ book: HeatBook, _ settings: Configuration.Tiering) {
    let (known, now) = book.now
    let round = settings.round
    scale = Self.scale(known, round, at: now)
    let stores = view.stores
    let tiers = Set(stores.filter { !$0.isVolatile }.map(\.tier))
    guard tiers.count > 1 else { return }
    let volumes = Dictionary(uniqueKeysWithValues: view.volumes.map { ($0.id, $0) })
    var byNumber = [StoreCandidate?](repeating: nil, count: 256)
    for store in stores { byNumber[Int(store.id.rawValue)] = store }
    var found = TierRound(round)
    for volume in volumes.values {
      guard let entry = known[volume.id], entry.uuid == volume.uuid else { continue }
      scores[volume.id] = scores(of: entry.heat, extentCount: volume.map.extentCount, round, at: now)
      let policy = Self.policy(for: volume, tiers, settings)
      let map = volume.map.view
      let observed = now.seconds - min(now.seconds, entry.sinceSeconds)
      for extent in 0..<volume.map.extentCount {
        let copy = map.entry(extent)
        guard copy.isMapped, let store = byNumber[Int(copy.store.rawValue)] else { continue }
        found.consider(
          extent, of: volume.id, bytes: volume.extentBytes, in: store, by: policy, heat: entry.heat[extent],
          scale: scale, observedSeconds: observed, at: now)
      }
    }
    let (chosen, isMore) = found.choose(stores)
    self.isMore = isMore
    plan(chosen, volumes, stores, round)
  }

  static func policy(
    for volume: Volume, _ tiers: Set<Int>, _ settings: Configuration.Tiering
  ) -> TierPolicy {
    let days = UInt32(settings.archiveAfterDays)
    return TierPolicy(
      tiers: tiers, thresholds: settings.thresholds ?? .standard, rules: volume.tiers,
      archiveAfterSeconds: days == 0 ? nil : days * 86_400)
  }

  private static func scale(
    _ volumes: [VolumeID: HeatBook.Entry], _ round: TierRound.Settings, at now: HeatTime
  ) -> VolatilityScale {
    var scale = VolatilityScale()
    for entry in volumes.values {
      for heat in entry.heat.all where heat.lastSeconds > 0 {
        scale.add(round.expectation(heat, at: now).accesses)
      }
    }
    return scale
  }

  private func scores(
    of heat: VolumeHeat, extentCount: UInt64, _ round: TierRound.Settings, at now: HeatTime
  ) -> HeatScores {
    var scores = HeatScores(extentCount: extentCount, extentsPerChunk: VolumeHeat.extentsPerChunk)
    heat.forEachChunk { number, chunk in
      scores.add(
        chunk.lazy.map { heat in
          heat.lastSeconds == 0
            ? 0 : UInt8((scale.score(round.expectation(heat, at: now).accesses) * 100).rounded())
        }, number)
    }
    return scores
  }

  private mutating func plan(
    _ chosen: [TierRound.Candidate], _ volumes: [VolumeID: Volume], _ stores: [StoreCandidate],
    _ round: TierRound.Settings
  ) {
    var stores = stores
    for candidate in chosen where refusedCount < Self.refusalsMax {
      guard let volume = volumes[candidate.volume],
        let copies = ExtentCopies(volume.map.view, candidate.extent)
      else { continue }
      let rules = PlanningView.rules(for: volume, stores)
      switch rules.retier(copies, to: candidate.wanted, reason: candidate.reason(round)) {
      case .success(nil): break
      case .success(let move?):
        stores.plan(move, bytes: candidate.bytes)
        moves.append(Planned(move: move, candidate: candidate))
      case .failure(let objection):
        refusedCount += 1
        complaint = "extent \(candidate.extent) of \(volume.name): \(objection)"
      }
    }
  }
}
