import Forecasting
import HTTPService
import Measurement
import Primitives
import Redirection
import Stores

/// Loads: how they were, how they will be, and where they fall.
extension PoolControl {
  func load(of subject: LoadSubject, windowSeconds: UInt64) async throws(GnomonError) -> LoadInfo {
    let step = LoadStep(windowSeconds: Int(windowSeconds))
    var info = LoadInfo(
      subject, windowSeconds: windowSeconds, stepSeconds: UInt64(step.seconds), total: nil, samples: [])
    guard let (history, second) = loads.history(of: try uuid(of: subject)) else { return info }
    let end = second / step.seconds
    let count = (Int(windowSeconds) + step.seconds - 1) / step.seconds
    var total = LoadSample.missing
    var first: Int?
    for number in max(0, end - count + 1)...end {
      let sample = history[step][number]
      guard !sample.isMissing else { continue }
      first = first ?? number
      total.merge(sample)
      info.samples.append(LoadFigures(sample, at: number * step.seconds))
    }
    info.total = first.map { LoadFigures(total, at: $0 * step.seconds) }
    return info
  }

  func forecast(
    of subject: LoadSubject, _ request: ForecastRequest
  ) async throws(GnomonError) -> ForecastInfo {
    let uuid = try uuid(of: subject)
    let step = LoadStep(horizonSeconds: Int(request.horizonSeconds))
    let metric = LoadMetric(request.metric)
    // The last step that has ended.
    let (history, second) = loads.history(of: uuid) ?? (LoadHistory(), 0)
    let end = step == .second ? second : second / step.seconds - 1
    let steps = history[step].steps(through: end)
    let series = steps.map { history[step][$0][metric] }
    var info = ForecastInfo(
      subject, metric: request.metric, stepSeconds: UInt64(step.seconds),
      history: zip(steps, series).compactMap { number, value in
        value.map { ForecastInfo.Point(time: UInt64(number * step.seconds), value: Self.rounded($0)) }
      }, observed: series.count { $0 != nil }, needed: ModelChoice.observationsMin + 1)
    let horizon = (Int(request.horizonSeconds) + step.seconds - 1) / step.seconds
    let forecaster = await forecasts.forecast(
      metric, of: uuid, series, by: step, through: end, horizon: horizon)
    guard let forecaster, let choice = forecaster.choice else { return info }
    func trial(_ kind: LoadModelKind, _ error: Double) -> ForecastInfo.Trial {
      ForecastInfo.Trial(
        model: kind.description, error: error.isFinite ? (error * 1000).rounded() / 1000 : nil,
        seasonSeconds: kind.season.map { UInt64($0 * step.seconds) })
    }
    info.model = trial(choice.model.kind, choice.error)
    info.trials = choice.trials.map { trial($0.kind, $0.error) }
    info.unusual = forecaster.isUnusual
    info.forecasts = forecaster.forecasts.enumerated().map { ahead, forecast in
      let told = ToldForecast(forecast)
      return ForecastInfo.Expected(
        time: UInt64((end + 1 + ahead) * step.seconds), value: Self.rounded(told.mean),
        low: Self.rounded(told.low), high: Self.rounded(told.high))
    }
    return info
  }

  func heatMap(volume name: String, spanSeconds: UInt64) async throws(GnomonError) -> HeatMapInfo {
    let volume = try existing(name)
    let step =
      spanSeconds <= UInt64(AddressHistory.minutesKept * LoadStep.minute.seconds)
      ? LoadStep.minute : .hour
    let known = loads.addresses(of: volume.uuid)
    let shift = known?.addresses.bucketShift ?? AddressMeter.bucketShift(volumeBytes: volume.sizeBytes)
    var info = HeatMapInfo(
      volume: name, sizeBytes: volume.sizeBytes, bucketBytes: 1 << UInt64(shift),
      stepSeconds: UInt64(step.seconds), rows: [])
    guard let (addresses, second) = known else { return info }
    let ring = step == .minute ? addresses.minutes : addresses.hours
    let count = (Int(spanSeconds) + step.seconds - 1) / step.seconds
    let end = second / step.seconds
    for number in max(0, end - count + 1)...end {
      var counts = ring[number].counts
      while counts.last == 0 { counts.removeLast() }
      info.rows.append(HeatMapInfo.Row(time: UInt64(number * step.seconds), counts: counts))
    }
    return info
  }

  private func uuid(of subject: LoadSubject) throws(GnomonError) -> UUID128 {
    switch subject {
    case .volume(let name): return try existing(name).uuid
    case .store(let name): return try existingStore(name).record.uuid
    }
  }

  /// A thousandth of an operation or nanosecond is no news.
  private static func rounded(_ value: Double) -> Double { (value * 1000).rounded() / 1000 }
}

/// A forecast of a load as it is told: no load is below zero, and a model that has exploded foresees more
/// than can be written down.
struct ToldForecast: Equatable {
  let mean: Double
  let low: Double
  let high: Double
  /// A PB each second, or eleven days in nanoseconds: there is no such load.
  static let most = 1e15

  init(_ forecast: Forecast) {
    let interval = forecast.interval()
    mean = Self.told(forecast.mean)
    low = Self.told(interval.lowerBound)
    high = Self.told(interval.upperBound)
  }

  /// What is no number is told as 0.
  private static func told(_ value: Double) -> Double { value > 0 ? min(value, most) : 0 }
}

extension LoadMetric {
  init(_ metric: ForecastMetric) {
    switch metric {
    case .iops: self = .iops
    case .throughput: self = .throughput
    case .latency: self = .latency
    }
  }
}

extension LoadFigures {
  init(_ sample: LoadSample, at time: Int) {
    let seconds = Double(sample.seconds)
    func rate(_ count: UInt64) -> Double { (Double(count) / max(seconds, 0.001) * 100).rounded() / 100 }
    let hasTransfers = sample.transfers > 0
    self.init(
      time: UInt64(time), seconds: (seconds * 1000).rounded() / 1000, iops: rate(sample.transfers),
      readShare: sample.readShare.map { ($0 * 1000).rounded() / 1000 },
      readBytesPerSecond: UInt64(rate(sample.bytesRead)),
      writtenBytesPerSecond: UInt64(rate(sample.bytesWritten)),
      flushesPerSecond: rate(UInt64(sample.synchronizations)),
      meanNanoseconds: hasTransfers ? UInt64(sample.meanNanoseconds) : nil,
      p99Nanoseconds: hasTransfers ? UInt64(sample.p99Nanoseconds) : nil,
      sizes: SizeMix(small: UInt64(sample.small), medium: UInt64(sample.medium), large: sample.large))
  }
}
