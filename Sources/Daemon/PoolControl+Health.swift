import Health
import HTTPService
import Measurement
import Platform
import Primitives
import Redirection
import Stores

/// How the stores are.
extension PoolControl {
  func health() async throws(GnomonError) -> [StoreHealthInfo] {
    pool.stores.map { store in
      let info = watcher.view(of: store).map { self.info($0, of: store) }
      // A store that was added just now.
      return info ?? StoreHealthInfo(name: store.record.name, acts: watcher.acts)
    }
  }

  /// The score and what is done because of it, for lists of stores.
  func healthSummary(of store: any Store) -> StoreHealthSummary? {
    watcher.summary(of: store).map {
      StoreHealthSummary(score: Self.rounded($0.score), state: StoreHealthState($0.state))
    }
  }

  private func info(_ view: StoreHealthView, of store: any Store) -> StoreHealthInfo {
    let report = view.report
    let space = pool.shared.placement.space(of: store.record.id)
    var info = StoreHealthInfo(
      name: store.record.name, score: Self.rounded(report.score), state: StoreHealthState(report.state),
      stateSeconds: view.seconds, acts: watcher.acts, hasBaseline: report.hasBaseline,
      modes: report.modes.map {
        FailureModeInfo(mode: $0.mode.rawValue, score: Self.rounded($0.score), reason: $0.reason ?? "")
      },
      warnings: Self.warnings(report.warnings), latest: StoreLoadInfo(view.latest),
      failed: OperationCounts(
        reads: view.totals[failed: .read], writes: view.totals[failed: .write],
        synchronizations: view.totals[failed: .synchronize]),
      missedDeadlines: view.totals.missedDeadlines, inFlight: view.totals.inFlight,
      usedBytes: space.usedBytes, capacityBytes: space.usedBytes + space.freeBytes)
    info.holdingBack = report.holdingBack?.description
    info.connection = connection(of: store)
    info.media = view.media.map(MediaInfo.init)
    return info
  }

  private static func rounded(_ score: Double) -> Double { (score * 10).rounded() / 10 }

  private static func warnings(_ warnings: HealthWarnings) -> [HealthWarningInfo] {
    func warning(_ kind: HealthWarningInfo.Kind, _ seconds: Double?) -> HealthWarningInfo? {
      seconds.map { HealthWarningInfo(kind, seconds: UInt64(max(0, $0))) }
    }
    return [
      warning(.full, warnings.fullInSeconds), warning(.slow, warnings.slowInSeconds),
      warning(.failing, warnings.failingInSeconds),
    ].compactMap { $0 }
  }
}

extension StoreHealthState {
  init(_ state: HealthState) {
    switch state {
    case .serving: self = .serving
    case .noNewPlacements: self = .noNewPlacements
    case .evacuating: self = .evacuating
    case .satOut: self = .satOut
    case .returning: self = .returning
    }
  }
}

extension StoreLoadInfo {
  init(_ sample: StoreSample) {
    let seconds = max(sample.seconds, 0.001)
    func rate(_ count: UInt64) -> UInt64 { UInt64(Double(count) / seconds) }
    self.init(
      seconds: (sample.seconds * 10).rounded() / 10,
      latencies: LatencySeries.all.compactMap { LatencyInfo($0, sample.counts[$0]) },
      readBytesPerSecond: rate(sample.counts.bytesRead),
      writtenBytesPerSecond: rate(sample.counts.bytesWritten),
      operationsPerSecond: (Double(sample.counts.succeeded) / seconds * 10).rounded() / 10,
      queueDepth: (sample.meanQueueDepth * 100).rounded() / 100)
  }
}

extension LatencyInfo {
  /// Nil if there were none.
  init?(_ series: LatencySeries, _ histogram: LatencyHistogram) {
    guard let mean = histogram.meanNanoseconds, let p50 = histogram.quantile(0.5),
      let p99 = histogram.quantile(0.99)
    else { return nil }
    let size = series.size.map { "\($0)" }
    self.init(
      operation: "\(series.operation)", size: size, count: histogram.count, meanNanoseconds: UInt64(mean),
      p50Nanoseconds: p50, p99Nanoseconds: p99)
  }
}

extension MediaInfo {
  init(_ status: MediaStatus) {
    let ago = MonotonicClock.nanoseconds() - status.askedNanoseconds
    self.init(device: status.device, askedSecondsAgo: ago / 1_000_000_000, complaint: status.complaint)
    guard let summary = status.summary else { return }
    hasPassed = summary.hasPassed
    reallocatedSectors = summary.reallocatedSectors
    pendingSectors = summary.pendingSectors
    uncorrectableErrors = summary.uncorrectableErrors
    wearPercent = summary.wearPercent
    sparePercent = summary.sparePercent
    temperature = summary.temperature
  }
}
