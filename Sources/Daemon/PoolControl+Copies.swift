import Catalog
import ExtentMap
import HTTPService
import Platform
import Primitives
import Redirection
import Shadowing
import Stores

/// Copies are moved, stores are emptied, volumes get as many copies as they want.
extension PoolControl {
  // MARK: Jobs

  func jobs() async throws(GnomonError) -> JobList {
    JobList(jobs: mover.jobs.map(info), protection: info(mover.protection))
  }

  func cancelJob(_ number: Int) async throws(GnomonError) -> JobInfo {
    guard let job = mover.job(number) else {
      throw GnomonError(.notFound, "there is no job \(number)", remedy: "see `gnomon jobs`")
    }
    if let store = job.drains.flatMap(pool.store), job.progress.endedNanoseconds == nil {
      throw GnomonError(
        .conflict, "job \(number) drains store \(store.record.name), which is remembered",
        remedy: "cancel it with `gnomon store drain \(store.record.name) --cancel`")
    }
    mover.cancel(job)
    return info(job)
  }

  private func info(_ job: MoveJob) -> JobInfo {
    let progress = job.progress
    let isOver = progress.endedNanoseconds != nil
    let end = progress.endedNanoseconds ?? MonotonicClock.nanoseconds()
    let rate = isOver ? 0 : UInt64(job.bytesPerSecond)
    let left = isOver ? nil : job.leftBytes
    let state: JobState =
      if isOver {
        progress.isCancelled ? .cancelled : .done
      } else {
        job.isHeld ? .held : .running
      }
    return JobInfo(
      number: job.number, what: job.title, state: state, done: progress.done, skipped: progress.skipped,
      failed: progress.failed, movedBytes: progress.bytes, bytesPerSecond: rate, leftBytes: left,
      leftSeconds: left.flatMap { rate > 0 ? $0 / rate : nil },
      seconds: (end - job.startedNanoseconds) / 1_000_000_000, complaint: progress.complaint)
  }

  // MARK: Moves

  func beginJob(_ request: MoveRequest) async throws(GnomonError) -> JobInfo {
    try await exclusively { () throws(GnomonError) in
      let volume = try existing(request.volume)
      let store = try existingStore(request.store)
      let id = store.record.id
      let set = try ExtentSet(parsing: request.extents)
      let extents = try set.ranges(of: volume.map.extentCount)
      if request.kind == .migrate, store.record.kind == .memory {
        throw GnomonError(
          .invalid, "the live copies can not move to store \(request.store)",
          cause: "what it holds is gone when the daemon ends",
          remedy: "add shadows there instead: --keep")
      }
      if request.kind != .drop { try checkTier(of: store, for: volume) }
      let what =
        "\(request.extents == "all" ? "all extents" : "extents \(request.extents)") of \(request.volume)"
      let (title, rule): (String, RequestPlan.Rule) =
        switch request.kind {
        case .migrate: ("move \(what) to \(request.store)", { $0.relocate($1, to: id) })
        case .replicate: ("copy \(what) to \(request.store)", { $0.replicate($1, to: id) })
        case .drop: ("drop the shadows of \(what) in \(request.store)", { $0.drop($1, from: id) })
        }
      let plan = try RequestPlan(mover.view, volume, extents, rule)
      guard !mover.isFull else {
        throw GnomonError(
          .full, "there are \(Mover.jobsMax) jobs already", remedy: "wait for one of them, or cancel it")
      }
      return info(mover.submit(title, .request, plan))
    }
  }

  private func checkTier(of store: any Store, for volume: Volume) throws(GnomonError) {
    let (tier, never) = (store.record.tier, volume.tiers.never)
    guard never.contains(tier) else { return }
    let others = TierSet(never.tiers.filter { $0 != tier })
    throw GnomonError(
      .conflict,
      "store \(store.record.name) is of \(Tier.name(tier)), where \(volume.name) is never to have copies",
      remedy: "choose another store, or allow it: `gnomon volume set \(volume.name) --never \(others)`")
  }

  // MARK: Draining

  func changeStore(name: String, _ change: StoreChange) async throws(GnomonError) -> StoreInfo {
    try await exclusively { () throws(GnomonError) in
      let store = try existingStore(name)
      let id = store.record.id
      if change.draining != pool.isDraining(id) {
        if change.draining { try checkOthers(than: id) }
        let pool = pool
        var record = store.record
        record.isDraining = change.draining
        let changed = record
        // First, so that a crash finds it under way.
        try await pool.catalogThread.perform { () throws(GnomonError) in
          try pool.catalog.update(store: changed)
        }
        pool.setDraining(id, change.draining)
      }
      let job = mover.drain(of: id)
      if change.draining, job == nil {
        mover.drain(store)
      } else if !change.draining, let job {
        mover.cancel(job)
      }
      return info(store)
    }
  }

  private func checkOthers(than id: StoreID) throws(GnomonError) {
    let others = mover.view.stores.filter { $0.id != id }
    guard !others.contains(where: { $0.objection == nil && !$0.isVolatile }) else { return }
    let reasons = others.map { "\($0.name) \($0.objection ?? "is volatile")" }
    throw GnomonError(
      .conflict, "there is no other store that extents could be moved to",
      cause: reasons.isEmpty ? nil : reasons.joined(separator: "; "),
      remedy: "add one first: see `gnomon store add --help`")
  }

  func existingStore(_ name: String) throws(GnomonError) -> any Store {
    guard let store = pool.stores.first(where: { $0.record.name == name }) else {
      throw GnomonError(.notFound, "there is no store \(name)", remedy: "see `gnomon store list`")
    }
    return store
  }

  // MARK: What volumes want

  func setVolume(name: String, _ change: VolumeSettings) async throws(GnomonError) -> VolumeInfo {
    try await exclusively { () throws(GnomonError) in
      let volume = try existing(name)
      let wanted = change.redundancy.applied(to: volume.redundancy)
      let tiers = try Validation.check(change.tiers, on: volume.tiers, of: name, among: poolTiers)
      let record = VolumeRecord(
        id: volume.id, uuid: volume.uuid, name: volume.name, sizeBytes: volume.sizeBytes,
        extentBytes: volume.extentBytes, readOnly: try await isReadOnly(volume.id), redundancy: wanted,
        tiers: tiers)
      let pool = pool
      try await pool.catalogThread.perform { () throws(GnomonError) in
        try pool.catalog.update(volume: record)
      }
      volume.redundancy = wanted
      volume.tiers = tiers
      mover.lookAgain()
      return info(volume)
    }
  }

  /// The tiers that there are stores of.
  var poolTiers: PoolTiers { PoolTiers(pool.stores.map { ($0.record.tier, $0.mayHoldLiveCopies) }) }

  /// What the catalog says, whatever the configuration has made of it.
  private func isReadOnly(_ id: VolumeID) async throws(GnomonError) -> Bool {
    let pool = pool
    return try await pool.catalogThread.perform { () throws(GnomonError) in
      try pool.catalog.volumes().first { $0.id == id }?.readOnly ?? false
    }
  }
}
