/// How much an extent was accessed, and when, for plans of minutes to days; in 32 bytes.
public struct ExtentHeat: BitwiseCopyable, Sendable, Equatable {
  /// What is to be expected of it.
  public struct Expectation: Sendable, Equatable {
    /// Accesses within the horizon.
    public let accesses: Float
    /// Why they are expected, if it is more than what the last hours have it: what came on earlier days.
    public let due: DailyRhythm.Due?
  }

  /// Counts that fade.
  public private(set) var fading: FadingHeat
  /// Accesses in the hour of the last one; no more than fit.
  public private(set) var accessesInHour: UInt16
  /// The hours before that one.
  public private(set) var rhythm: DailyRhythm
  /// Minutes with accesses in the hour of the last one.
  public private(set) var minutesInHour: UInt8

  /// Minutes with accesses that make an hour one of use: what a scan or a backup does at the same time of
  /// each day is over in one or two.
  static let minutesOfUse = 3

  /// What was kept; the defaults are those of an extent that nobody has accessed.
  public init(
    _ fading: FadingHeat = FadingHeat(), accessesInHour: UInt16 = 0, rhythm: DailyRhythm = DailyRhythm(),
    minutesInHour: UInt8 = 0
  ) {
    self.fading = fading
    self.accessesInHour = accessesInHour
    self.rhythm = rhythm
    self.minutesInHour = minutesInHour
  }

  /// When the last access was, in seconds since 1970; 0: there was none.
  public var lastSeconds: UInt32 { fading.lastSeconds }

  /// Counts an access. A clock that goes back counts as one that stands still.
  public mutating func touch(at time: HeatTime) {
    if hasHourEnded(at: time) {
      rhythm = rhythm(at: time)
      (accessesInHour, minutesInHour) = (0, 0)
    }
    if fading.touch(at: time.seconds) { minutesInHour = min(minutesInHour, 59) + 1 }
    accessesInHour = min(accessesInHour, .max - 1) + 1
  }

  /// What is to be expected of it.
  ///
  /// - Parameters:
  ///   - horizon: in seconds, how far ahead.
  ///   - time: now.
  ///   - rhythm: whether to look at earlier days as well as at the last hours.
  public func expectation(
    within horizon: Float, at time: HeatTime, byRhythm isRhythmic: Bool = true
  ) -> Expectation {
    let recent = fading.expectedAccesses(within: horizon, at: time.seconds)
    guard isRhythmic else { return Expectation(accesses: recent, due: nil) }
    // The same accesses may be expected for both reasons: they are not added up.
    let (daily, due) = rhythm(at: time).expectedAccesses(within: horizon, at: time)
    return daily > recent
      ? Expectation(accesses: daily, due: due) : Expectation(accesses: recent, due: nil)
  }

  /// The next use that is due within a day; nil if there is none.
  public func nextDue(at time: HeatTime) -> DailyRhythm.Due? {
    rhythm(at: time).expectedAccesses(within: .infinity, at: time).due
  }

  private func hasHourEnded(at time: HeatTime) -> Bool {
    time.seconds > lastSeconds && time.hour > hourOfLast(at: time)
  }

  /// The hour of the last access, by the zone of now: where that has changed since, the hour beside it.
  private func hourOfLast(at time: HeatTime) -> Int {
    HeatTime(lastSeconds, zoneSeconds: time.zoneSeconds).hour
  }

  private func rhythm(at time: HeatTime) -> DailyRhythm {
    guard hasHourEnded(at: time) else { return rhythm }
    var passed = rhythm
    passed.pass(
      from: hourOfLast(at: time), to: time.hour,
      accesses: minutesInHour >= Self.minutesOfUse ? Float(accessesInHour) : nil)
    return passed
  }
}
