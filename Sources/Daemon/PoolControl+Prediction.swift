import ExtentMap
import Glibc
import HTTPService
import Measurement
import NBDService
import Primitives
import Redirection
import Stores
import Synchronization

/// What prediction does, and what people tell it.
extension PoolControl {
  func prediction() async throws(GnomonError) -> PredictionInfo {
    var info = PredictionInfo(enabled: predictor != nil)
    for reactor in pool.reactors {
      info.reads.all += reactor.meters.readShares.reads
      info.reads.fromFasterShadows += reactor.meters.readShares.fasterReads
    }
    if info.reads.all > 0 {
      info.reads.share = Double(info.reads.fromFasterShadows) / Double(info.reads.all)
    }
    guard let predictor else { return info }
    let state = predictor.shared.state.withLock { $0 }
    info.fastTier = state.fastTier
    (info.allowedBytes, info.usedBytes, info.shadows) = (state.allowedBytes, state.ownBytes, state.shadows)
    info.reads.foreseeable = state.counts.slowReads
    info.made = ShadowCounts(state.counts)
    if let p50 = state.counts.latency.quantile(0.5), let p99 = state.counts.latency.quantile(0.99) {
      info.readyMicroseconds = ReadyTimes(p50: p50 / 1000, p99: p99 / 1000)
    }
    info.complaint = state.complaint
    info.costs.memoryBytes = state.memoryBytes
    info.costs.processorSeconds = Double(state.processorNanoseconds) / 1e9
    info.costs.droppedRecords = predictor.droppedRecords
    (info.costs.volumes, info.costs.volumesWithout) = (state.volumes, state.volumesWithout)
    info.decisions = decisions(PredictionInfo.decisionsMax)
    return info
  }

  private func decisions(_ countMax: Int, of volume: Volume? = nil, _ extent: UInt64 = 0) -> [DecisionInfo] {
    guard let predictor else { return [] }
    let found = predictor.shared.decisions.withLock { log in
      log.latest(countMax) { volume == nil || $0.volume == volume?.id && $0.extent == extent }
    }
    return found.map { decision in
      DecisionInfo(
        volume: volumeName(decision.volume),
        extent: decision.extent, action: decision.action.rawValue,
        store: decision.store.flatMap { pool.store($0)?.record.name }, reason: decision.reason,
        expectedRequests: decision.expectedRequests.map(Double.init), outcome: decision.outcome.words,
        microseconds: decision.microseconds, reads: decision.reads, seconds: decision.seconds)
    }
  }

  /// What people call a volume; its number if it is gone.
  func volumeName(_ id: VolumeID) -> String { pool.exports.volume(id)?.name ?? "\(id.rawValue)" }

  func why(volume name: String, offset: UInt64) async throws(GnomonError) -> WhyInfo {
    let volume = try existing(name)
    guard offset < volume.sizeBytes else {
      throw GnomonError(
        .invalid, "offset \(offset) lies beyond the end of volume \(name)",
        cause: "it has \(volume.sizeBytes) bytes")
    }
    let extent = offset / volume.extentBytes
    let list = try await extents(volume: name, ExtentSet(parsing: "\(extent)"))
    return WhyInfo(
      volume: name, offset: offset, extent: list.runs.first ?? ExtentRun(first: extent, last: extent),
      heat: heat(of: extent, in: volume),
      decisions: decisions(PredictionInfo.decisionsMax, of: volume, extent))
  }

  // MARK: Hints

  private func hintTable() throws(GnomonError) -> PredictionShared {
    guard let predictor else {
      throw GnomonError(
        .conflict, "nothing is predicted in this pool, so hints are of no use",
        remedy: "set prediction.enabled in the configuration")
    }
    return predictor.shared
  }

  func hints() async throws(GnomonError) -> HintList {
    let hints = predictor?.shared.hints.withLock { table in
      table.expire(at: Int64(time(nil)))
      return table.hints
    }
    return HintList(hints: (hints ?? []).map(info))
  }

  func addHint(_ request: HintRequest) async throws(GnomonError) -> HintInfo {
    let volume = try existing(request.volume)
    let shared = try hintTable()
    let (end, isOver) = request.offset.addingReportingOverflow(request.length)
    guard request.length > 0, !isOver, end <= volume.sizeBytes else {
      throw GnomonError(
        .invalid, "the hint's range is empty or goes beyond the end of volume \(volume.name)",
        cause: "it has \(volume.sizeBytes) bytes")
    }
    let (allowed, fastTier) = shared.state.withLock { ($0.allowedBytes, $0.fastTier) }
    if let fastTier, volume.tiers.never.contains(fastTier) {
      throw GnomonError(
        .conflict,
        "volume \(volume.name) is never to have copies on \(Tier.name(fastTier)), where hints make them",
        remedy: "allow them there: see `gnomon volume set --help`, --never")
    }
    guard request.length <= allowed else {
      throw GnomonError(
        .full, "the hint is for more than shadows may take of the fast tier",
        cause: "they may take \(ByteSize(rawValue: allowed)) in all",
        remedy: "name a smaller range, or raise prediction.fastTierShare")
    }
    let result = shared.hints.withLock { table -> Result<Hint, GnomonError> in
      do throws(GnomonError) {
        return .success(
          try table.add(
            volume.id, request.offset..<end, from: request.startSeconds, for: request.seconds,
            at: Int64(time(nil))))
      } catch {
        return .failure(error)
      }
    }
    return info(try result.get())
  }

  func deleteHint(_ number: Int) async throws(GnomonError) {
    let isThere = predictor?.shared.hints.withLock { $0.remove(number) } ?? false
    guard isThere else {
      throw GnomonError(.notFound, "there is no hint \(number)", remedy: "see `gnomon hint list`")
    }
  }

  private func info(_ hint: Hint) -> HintInfo {
    HintInfo(
      number: hint.number, volume: volumeName(hint.volume),
      offset: hint.range.lowerBound, length: UInt64(hint.range.count),
      startSeconds: hint.seconds.lowerBound, endSeconds: hint.seconds.upperBound)
  }
}

extension ShadowCounts {
  init(_ counts: PredictionCounts) {
    self.init()
    (decided, made, used, dropped) = (counts.decided, counts.made, counts.used, counts.dropped)
    (neverUsed, withdrawn, refused) = (counts.neverUsed, counts.withdrawn, counts.refused)
    (failed, released, adopted) = (counts.failed, counts.released, counts.adopted)
    copiedBytes = counts.copiedBytes
    if counts.slowReads > 0 { perThousandRequests = Double(counts.made) * 1000 / Double(counts.slowReads) }
  }
}

extension Decision.Outcome {
  /// For people.
  var words: String {
    switch self {
    case .underWay: "under way"
    case .done: "done"
    case .withdrawn: "withdrawn"
    case .failed(let why): why
    }
  }
}
