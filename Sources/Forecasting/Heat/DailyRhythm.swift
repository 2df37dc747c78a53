/// At which hours of the day an extent was in use on the last days, in 15 bytes, and what is to be expected
/// of the hours to come.
///
/// An hour counts as one of use or as none; how many accesses an hour of use has is one figure for all of
/// them. What an hour has is known when it has ended (`pass`).
public struct DailyRhythm: BitwiseCopyable, Sendable, Equatable {
  /// Use that is to be expected because it came at the same hour on earlier days.
  public struct Due: Sendable, Equatable {
    /// The hour of the day, by the clock on the wall.
    public let hour: Int
    /// On how many of the last `DailyRhythm.daysKept` days the extent was in use at that hour.
    public let days: Int

    /// For people.
    public var words: String {
      "in use at \(hour < 10 ? "0" : "")\(hour):00 on \(days) of the last \(DailyRhythm.daysKept) days"
    }
  }

  /// Days that are remembered by the hour.
  public static let daysKept = 4
  /// Days of use in the week before the last from which on days of the week are told apart.
  private static let weekDaysMin = 3

  /// Four times 24 bits, one for each hour of the day: whether it was one of use when it came last; then the
  /// time before that, and so on. What lies above is 0.
  private var low: UInt64
  private var high: UInt32
  /// Bit n: whether any hour n days ago was one of use.
  public private(set) var days: UInt16
  /// Accesses of an hour of use (`Scale.level`): halfway from what it was to the last one's.
  public private(set) var level: UInt8

  private static let hours = HeatTime.hoursPerDay
  private static let hoursMask: UInt128 = (1 << UInt128(hours)) - 1

  /// What was kept; the defaults are those of an extent that nobody has used.
  public init(uses: UInt128 = 0, days: UInt16 = 0, level: UInt8 = 0) {
    low = UInt64(truncatingIfNeeded: uses)
    high = UInt32(truncatingIfNeeded: uses >> 64)
    self.days = days
    self.level = level
  }

  /// The hours of use, from the lowest bit on: those of the last time that each came first.
  public private(set) var uses: UInt128 {
    get { UInt128(high) << 64 | UInt128(low) }
    set { self = DailyRhythm(uses: newValue, days: days, level: level) }
  }

  /// Time goes on from an hour to a later one.
  ///
  /// - Parameters:
  ///   - hour: the one that has ended, of all hours on the wall.
  ///   - next: the one that has begun.
  ///   - accesses: those of the hour that has ended, if it was one of use; there was nothing between the two.
  mutating func pass(from hour: Int, to next: Int, accesses: Float?) {
    if let accesses {
      let ended = Scale.level(accesses)
      level = uses == 0 ? ended : UInt8((Int(level) + Int(ended)) / 2)
      uses |= 1 << UInt128(hour % Self.hours)
      days |= 1
    }
    let begun = next - hour
    let daysBegun = next / Self.hours - hour / Self.hours
    days = daysBegun < UInt16.bitWidth ? days << UInt16(daysBegun) : 0
    guard begun < Self.hours * Self.daysKept else { return uses = 0 }
    for _ in 0..<begun / Self.hours { shift(Self.hoursMask) }
    let rest = (UInt128(1) << UInt128(begun % Self.hours)) - 1
    let turned = rest << UInt128((hour + 1) % Self.hours)
    shift((turned | turned >> UInt128(Self.hours)) & Self.hoursMask)
  }

  /// These hours of the day come once more: what was the last time is the one before it now.
  private mutating func shift(_ hours: UInt128) {
    let each = Self.onEachDay(hours)
    uses = (uses & ~each) | ((uses << UInt128(Self.hours)) & each)
  }

  /// Bits of `uses` for hours of the day.
  private static func onEachDay(_ hours: UInt128) -> UInt128 {
    hours | hours << 24 | hours << 48 | hours << 72
  }

  /// The accesses that are to be expected within a horizon because of earlier days, and the first hour for
  /// which they are: nil if there is none.
  ///
  /// An hour that was one of use on k of the last 4 days, k being 2 at least, is expected to be one again
  /// with k/4, times the share of all hours of use that came back in this way: who is in use at random hours
  /// meets some of them twice.
  ///
  /// - Parameters:
  ///   - horizon: in seconds; a day at most counts.
  ///   - time: now, to which `pass` has led.
  func expectedAccesses(within horizon: Float, at time: HeatTime) -> (accesses: Float, due: Due?) {
    let usual = usualHours
    guard usual != 0 else { return (0, nil) }
    let regular = (uses & Self.onEachDay(usual)).nonzeroBitCount
    let level = Scale.value(ofLevel: level) * Float(regular) / Float(uses.nonzeroBitCount)
    var accesses: Float = 0
    var due: Due?
    var left = min(horizon, Float(Self.hours * HeatTime.hourSeconds))
    var seconds = Float(HeatTime.hourSeconds - time.secondOfHour)
    for hour in time.hour..<time.hour + Self.hours where left > 0 {
      let bit = UInt128(1) << UInt128(hour % Self.hours)
      if usual & bit != 0, isUsual(daysAhead: hour / Self.hours - time.hour / Self.hours) {
        let days = (uses & Self.onEachDay(bit)).nonzeroBitCount
        let share = Float(days) / Float(Self.daysKept) * min(seconds, left) / Float(HeatTime.hourSeconds)
        accesses += level * share
        due = due ?? Due(hour: hour % Self.hours, days: days)
      }
      left -= seconds
      seconds = Float(HeatTime.hourSeconds)
    }
    return (accesses, due)
  }

  /// The hours of the day that were hours of use on two days or more: one day is no rhythm.
  private var usualHours: UInt128 {
    let days = (uses, uses >> 24, uses >> 48, uses >> 72)
    let either = (days.0 & days.1) | (days.2 & days.3) | ((days.0 | days.1) & (days.2 | days.3))
    return either & Self.hoursMask
  }

  /// Whether the extent is used on that day of the week: it was a week or two before, or nobody knows,
  /// because it was hardly used then.
  private func isUsual(daysAhead: Int) -> Bool {
    let week = 7 - daysAhead
    guard (days >> UInt16(week + 1)).nonzeroBitCount >= Self.weekDaysMin else { return true }
    return days >> UInt16(week) & 1 | days >> UInt16(week + 7) & 1 == 1
  }
}
