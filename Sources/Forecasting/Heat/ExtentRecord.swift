/// What is remembered of one extent's accesses: 36 bytes, and 4 for its number in `ExtentRecords`.
///
/// Accesses come in *spells*: between two touches of a spell lies no more than the time for which the fast
/// tier keeps what is not touched. What one spell was worth says much about the next.
struct ExtentRecord: BitwiseCopyable, Sendable {
  /// Time of the last touch. In two parts, so that the record needs no padding.
  private var lastMicrosecondsLow: UInt32 = 0
  private var lastMicrosecondsHigh: UInt16 = 0
  /// Touches of the spell so far.
  var spellTouches: UInt16 = 0
  /// The request, by number, that touched it last.
  var lastRequest: UInt32 = 0
  /// Requests served, in units of `touchUnit`, a request over n extents counting as 1/n. Wraps around.
  var touches: UInt32 = 0
  /// Touches that fade with the number of requests since: fast and slowly.
  var recentHeat: Float = 0
  var steadyHeat: Float = 0
  /// Where the last touch ended, from the extent's start.
  var end: UInt32 = 0
  /// How long the sequential run is that the last touch belongs to, in units of `runUnit`, saturating.
  var run: UInt16 = 0
  /// Completed spells, saturating.
  var spells: UInt8 = 0
  private var touched = false
  /// Touches of earlier spells, smoothed; in units of 1/8, saturating.
  private var earlierEighths: UInt16 = 0
  /// Microseconds that the run takes for a `runUnit`, smoothed, saturating.
  var pace: UInt16 = 0

  static let touchUnit: UInt32 = 1 << 10
  static let runUnit: UInt32 = 1 << 12

  var earlierSpells: Float {
    get { Float(earlierEighths) / 8 }
    set { earlierEighths = UInt16(min(newValue * 8, Float(UInt16.max))) }
  }

  /// Whether it has never been touched.
  var isNew: Bool { !touched }

  /// Microseconds since the last touch. What is kept of a time wraps around after nine years, so any clock
  /// will do; one that went back counts as one that stood still.
  func passed(at microseconds: UInt64) -> UInt64 {
    let last = UInt64(lastMicrosecondsHigh) << 32 | UInt64(lastMicrosecondsLow)
    let passed = (microseconds &- last) & (1 << 48 - 1)
    return passed < 1 << 47 ? passed : 0
  }

  /// It is touched at this time.
  mutating func setLast(_ microseconds: UInt64) {
    lastMicrosecondsLow = UInt32(truncatingIfNeeded: microseconds)
    lastMicrosecondsHigh = UInt16(truncatingIfNeeded: microseconds >> 32)
    touched = true
  }
}
