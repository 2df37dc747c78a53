/// Makes a history of what meters have counted since they began.
///
/// Beside the history it keeps three readings of the meters: 24 KB each, less if not all kinds and sizes of
/// operations occur.
public struct LoadRecorder: Sendable {
  /// A step that has not ended.
  private struct Span {
    /// What had been counted when it began.
    var mark: StoreCounts
    /// The number of the step.
    var step: Int
    var seconds = 0.0
  }

  /// Steps that have ended.
  public private(set) var history: LoadHistory
  private var latest: StoreCounts?
  private var minute: Span?
  private var hour: Span?

  /// Goes on with an earlier history.
  public init(_ history: LoadHistory = LoadHistory()) {
    self.history = history
  }

  /// Takes a reading of the meters.
  ///
  /// - Parameters:
  ///   - counts: everything that they have counted so far; nil: nothing since the last reading.
  ///   - second: the second that has just ended, counted from 1970.
  ///   - seconds: how long ago the last reading was, or the beginning of what is counted.
  public mutating func record(_ counts: StoreCounts?, at second: Int, seconds: Double) {
    // What came before the first reading came within the last interval.
    let earlier = latest ?? StoreCounts()
    let change = counts.map { $0.since(earlier) } ?? StoreCounts()
    history.add(LoadSample(change, seconds: seconds), by: .second, at: second)
    Self.advance(&minute, to: second, .minute, earlier, seconds, &history)
    Self.advance(&hour, to: second, .hour, earlier, seconds, &history)
    latest = counts ?? earlier
  }

  private static func advance(
    _ span: inout Span?, to second: Int, _ step: LoadStep, _ earlier: StoreCounts, _ seconds: Double,
    _ history: inout LoadHistory
  ) {
    let number = second / step.seconds
    if let ended = span, ended.step != number {
      history.add(sample(of: ended, until: earlier), by: step, at: ended.step)
      span = nil
    }
    if span == nil { span = Span(mark: earlier, step: number) }
    span?.seconds += seconds
  }

  private static func sample(of span: Span, until counts: StoreCounts) -> LoadSample {
    LoadSample(counts.since(span.mark), seconds: span.seconds)
  }

  /// The history with the minute and the hour that have not ended, as far as they have come.
  public var historySoFar: LoadHistory {
    var all = history
    guard let latest else { return all }
    if let minute { all.add(Self.sample(of: minute, until: latest), by: .minute, at: minute.step) }
    if let hour { all.add(Self.sample(of: hour, until: latest), by: .hour, at: hour.step) }
    return all
  }
}
