/// How long a step of a history is.
public enum LoadStep: Int, Sendable, CaseIterable {
  case second = 1
  case minute = 60
  case hour = 3600

  /// Its length.
  public var seconds: Int { rawValue }

  fileprivate var index: Int { self == .second ? 0 : self == .minute ? 1 : 2 }

  /// Steps that a history keeps: 5 minutes, a day, five weeks.
  public var kept: Int {
    switch self {
    case .second: 300
    case .minute: 1440
    case .hour: 840
    }
  }
}

/// The load of a volume or store over time: by the second, the minute and the hour. 124 KB.
public struct LoadHistory: Sendable, Equatable {
  private var rings = LoadStep.allCases.map { HistoryRing<LoadSample>(capacity: $0.kept) }

  /// Nothing is known.
  public init() {}

  /// The samples of one length.
  public subscript(step: LoadStep) -> HistoryRing<LoadSample> { rings[step.index] }

  /// Adds what is known of a step to what is known of it already.
  public mutating func add(_ sample: LoadSample, by step: LoadStep, at number: Int) {
    rings[step.index].add(sample, at: number)
  }

  /// A metric over the steps from the first known one to `end`; nil where nothing is known.
  public func series(_ metric: LoadMetric, by step: LoadStep, through end: Int) -> [Double?] {
    let ring = self[step]
    return ring.steps(through: end).map { ring[$0][metric] }
  }

  /// Writes down minutes and hours: seconds are not worth keeping.
  public func write(to bytes: inout ByteWriter) {
    self[.minute].write(to: &bytes)
    self[.hour].write(to: &bytes)
  }

  /// Reads what was written; nil if it makes no sense.
  ///
  /// - Parameter nowSeconds: since 1970.
  public init?(from bytes: inout ByteReader, nowSeconds: Int) {
    for step in [LoadStep.minute, .hour] {
      guard rings[step.index].read(from: &bytes, now: nowSeconds / step.seconds) else { return nil }
    }
  }
}
