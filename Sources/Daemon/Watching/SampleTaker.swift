import Health
import Measurement

/// Turns what the meters of a store have counted since the start into what happened in each interval.
struct SampleTaker {
  /// Counted so far.
  private(set) var totals = StoreCounts()
  private var isFirst = true
  /// What had been counted at the beginning of a span that is reported, and of the one after it.
  private var marks = (StoreCounts(), StoreCounts())
  private var markedSeconds = (0.0, 0.0)

  /// What people are told of the latest happenings covers one to two of these.
  private static let spanSeconds = 30.0
  /// A sample of a longer interval would say more of this process, which did not get to run, than of a store.
  static let intervalSecondsMax = 5.0

  /// Takes the next reading.
  ///
  /// - Parameter seconds: since the one before.
  /// - Returns: what happened since then; nil if there was none, or it is not to be trusted.
  mutating func take(_ counts: StoreCounts, seconds: Double) -> StoreSample? {
    let earlier = totals
    totals = counts
    defer { isFirst = false }
    if isFirst {
      marks = (counts, counts)
      return nil
    }
    markedSeconds.0 += seconds
    markedSeconds.1 += seconds
    if markedSeconds.1 >= Self.spanSeconds {
      marks = (marks.1, counts)
      markedSeconds = (markedSeconds.1, 0)
    }
    guard seconds <= Self.intervalSecondsMax else { return nil }
    return StoreSample(seconds: seconds, counts: counts.since(earlier), inFlight: counts.inFlight)
  }

  /// What happened in the last half to whole minute.
  var latest: StoreSample {
    StoreSample(seconds: markedSeconds.0, counts: totals.since(marks.0), inFlight: totals.inFlight)
  }
}
