package import HTTPService
package import Primitives

/// Loads: one volume that has been watched for a minute, and a store of which nothing is known.
extension FakeControlPlane {
  package func load(of subject: LoadSubject, windowSeconds: UInt64) async throws(GnomonError) -> LoadInfo {
    try await enter()
    try check(subject)
    guard subject.kind == .volume else {
      return LoadInfo(subject, windowSeconds: windowSeconds, stepSeconds: 1, total: nil, samples: [])
    }
    let samples = (0..<3).map {
      Self.figures(time: 1_800_000_000 + $0, seconds: 1, iops: 1000 + 500 * Double($0))
    }
    return LoadInfo(
      subject, windowSeconds: windowSeconds, stepSeconds: 1,
      total: Self.figures(time: 1_800_000_000, seconds: 3, iops: 1500), samples: samples)
  }

  private static func figures(time: UInt64, seconds: Double, iops: Double) -> LoadFigures {
    LoadFigures(
      time: time, seconds: seconds, iops: iops, readShare: 0.7, readBytesPerSecond: 3 << 20,
      writtenBytesPerSecond: 5 << 18, flushesPerSecond: 0.5, meanNanoseconds: 210_000,
      p99Nanoseconds: 1_400_000,
      sizes: SizeMix(small: 900, medium: 90, large: 10))
  }

  package func forecast(
    of subject: LoadSubject, _ request: ForecastRequest
  ) async throws(GnomonError) -> ForecastInfo {
    try await enter()
    try check(subject)
    let history = (0..<(subject.kind == .volume ? 20 : 4)).map {
      ForecastInfo.Point(time: 1_800_000_000 + 60 * UInt64($0), value: 1000 + 100 * Double($0 % 5))
    }
    var info = ForecastInfo(
      subject, metric: request.metric, stepSeconds: 60, history: history, observed: history.count, needed: 13)
    guard subject.kind == .volume else { return info }
    let model = ForecastInfo.Trial(model: "seasonal naive", error: 0.31, seasonSeconds: 300)
    info.model = model
    info.trials = [model, ForecastInfo.Trial(model: "naive", error: 1.2, seasonSeconds: nil)]
    info.forecasts = (0..<request.horizonSeconds / 60).map { step in
      let value = 1000 + 100 * Double(step % 5)
      return ForecastInfo.Expected(
        time: 1_800_001_200 + 60 * step, value: value, low: value - 50, high: value + 50)
    }
    info.unusual = true
    return info
  }

  package func heatMap(volume name: String, spanSeconds: UInt64) async throws(GnomonError) -> HeatMapInfo {
    try await enter()
    try check(.volume(name))
    return HeatMapInfo(
      volume: name, sizeBytes: 1 << 20, bucketBytes: 1 << 18, stepSeconds: 60,
      rows: [
        HeatMapInfo.Row(time: 1_800_000_000, counts: [1, 0, 40]),
        HeatMapInfo.Row(time: 1_800_000_060, counts: []),
      ])
  }

  private func check(_ subject: LoadSubject) throws(GnomonError) {
    guard subject.name == (subject.kind == .volume ? "disk0" : "fast") else {
      throw GnomonError(.notFound, "there is no \(subject.kind.rawValue) \(subject.name)")
    }
  }
}
