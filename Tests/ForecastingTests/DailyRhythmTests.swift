import Primitives
import Testing

@testable import Forecasting

@Suite struct DailyRhythmTests {
  private static let minute: UInt32 = 60
  private static let hour: UInt32 = 3600
  private static let day: UInt32 = 86_400
  /// Midnight of some day.
  private static let start: UInt32 = 19_000 * day

  /// So many accesses in each minute of a part of a day.
  private func use(
    _ heat: inout ExtentHeat, day: UInt32, from hour: UInt32 = 9, minutes: UInt32 = 60, perMinute: Int = 5,
    zone: Int32 = 0
  ) {
    for minute in 0..<minutes {
      for _ in 0..<perMinute { heat.touch(at: time(day, hour * 60 + minute, zone: zone)) }
    }
  }

  /// A minute of a day on the wall.
  private func time(_ day: UInt32, _ minute: UInt32, zone: Int32 = 0) -> HeatTime {
    let wall = Int64(Self.start + day * Self.day + minute * Self.minute)
    return HeatTime(UInt32(wall - Int64(zone)), zoneSeconds: zone)
  }

  private func expectation(_ heat: ExtentHeat, day: UInt32, minute: UInt32, zone: Int32 = 0)
    -> ExtentHeat.Expectation
  {
    heat.expectation(within: 7200, at: time(day, minute, zone: zone))
  }

  @Test func anExtentTakes32Bytes() {
    #expect(MemoryLayout<ExtentHeat>.stride == 32)
  }

  /// The bits are what a list of all hours of use says.
  @Test(arguments: 1...20 as ClosedRange<UInt64>) func timePassesAsOnTheWall(_ seed: UInt64) {
    var random = SeededGenerator(seed: seed)
    var rhythm = DailyRhythm()
    var used: Set<Int> = []
    var hour = 100_000 + random.below(50)
    for _ in 0..<500 {
      let isUse = random.chance(2)
      if isUse { used.insert(hour) }
      let next = hour + 1 + (random.chance(20) ? random.below(120) : random.below(4))
      rhythm.pass(from: hour, to: next, accesses: isUse ? 9 : nil)
      hour = next
      for ofDay in 0..<24 {
        let last = hour - (hour - ofDay) % 24
        for back in 0..<DailyRhythm.daysKept {
          let isSet = rhythm.uses >> UInt128(ofDay + 24 * back) & 1 == 1
          #expect(isSet == used.contains(last - 24 * back), "hour \(hour): \(ofDay), \(back) days before")
        }
      }
      for back in 0..<16 {
        let hours = (hour / 24 - back) * 24..<(hour / 24 - back + 1) * 24
        #expect((rhythm.days >> UInt16(back) & 1 == 1) == hours.contains(where: used.contains))
      }
    }
  }

  @Test func dailyUseIsExpectedFromTheThirdDayOn() {
    var heat = ExtentHeat()
    for day in 0..<6 as Range<UInt32> {
      let (before, early) = (
        expectation(heat, day: day, minute: 8 * 60 + 55), expectation(heat, day: day, minute: 6 * 60)
      )
      let days = min(Int(day), 4)
      if days >= 2 {
        #expect(before.due == DailyRhythm.Due(hour: 9, days: days))
        #expect((before.accesses / (300 * Float(days) / 4) - 1).magnitude < 0.06)
        #expect(heat.nextDue(at: time(day, 6 * 60)) == before.due)
      } else {
        #expect(before.due == nil && before.accesses < 20)
      }
      #expect(early.due == nil)
      use(&heat, day: day)
      // In full use, more is expected of the last minutes than of earlier days.
      #expect(expectation(heat, day: day, minute: 9 * 60 + 59).due == nil)
    }
    // When it stays away, so do expectations.
    let days = (6..<12).map { expectation(heat, day: $0, minute: 8 * 60 + 55).due?.days }
    #expect(days == [4, 3, 2, nil, nil, nil])
  }

  /// The horizon ends in the hour that comes: only its part of it counts.
  @Test func expectationsGrowAsTheHourComesNear() {
    var heat = ExtentHeat()
    for day in 0..<4 as Range<UInt32> { use(&heat, day: day) }
    let whole = expectation(heat, day: 4, minute: 480).accesses
    let shares: [(minute: UInt32, share: Float)] = [
      (435, 0.25), (450, 0.5), (465, 0.75),
      // The hour has begun: three days are known before it.
      (540, 0.75), (570, 0.375),
    ]
    for (minute, share) in shares {
      let found = expectation(heat, day: 4, minute: minute).accesses
      #expect((found / whole - share).magnitude < 0.01, "\(found) of \(whole) at minute \(minute)")
    }
  }

  @Test func oneDayIsNoRhythm() {
    var heat = ExtentHeat()
    use(&heat, day: 0, from: 8, minutes: 300, perMinute: 50)
    for minute in stride(from: 0 as UInt32, to: 1440, by: 5) {
      #expect(expectation(heat, day: 1, minute: minute).due == nil)
    }
  }

  /// What a backup reads every night is over before a copy of it were worth anything.
  @Test func scansAtTheSameTimeOfEachDayAreNoUse() {
    var heat = ExtentHeat()
    for day in 0..<10 as Range<UInt32> { use(&heat, day: day, from: 2, minutes: 2, perMinute: 500) }
    #expect(heat.nextDue(at: time(10, 60)) == nil)
  }

  @Test func weekendsAreToldFromTheSecondOneOn() {
    var heat = ExtentHeat()
    let expected = (0..<28 as Range<UInt32>).map { day in
      let isDue = expectation(heat, day: day, minute: 8 * 60 + 55).due != nil
      if day % 7 < 5 { use(&heat, day: day) }
      return isDue
    }
    #expect(expected[0..<7] == [false, false, true, true, true, true, true])
    for week in 1..<4 {
      #expect(expected[week * 7..<week * 7 + 7] == [true, true, true, true, true, false, false])
    }
  }

  /// The clock on the wall counts, also when it is changed: at nine it is used, and expected. Only the last
  /// day before the change counts for the hour beside it.
  @Test(arguments: [3600, 7200, -18_000] as [Int32]) func daylightSavingMovesIt(_ zone: Int32) {
    var heat = ExtentHeat()
    for day in 0..<4 as Range<UInt32> { use(&heat, day: day, zone: zone) }
    for changed in [zone + 3600, zone, zone - 3600] {
      #expect(expectation(heat, day: 4, minute: 8 * 60 + 55, zone: changed).due?.hour == 9)
      #expect(expectation(heat, day: 4, minute: 6 * 60 + 30, zone: changed).due == nil)
    }
    use(&heat, day: 4, zone: zone + 3600)
    #expect(
      expectation(heat, day: 5, minute: 8 * 60 + 55, zone: zone + 3600).due
        == DailyRhythm.Due(hour: 9, days: 3))
  }

  /// Extents that are used at random hours meet some of them twice: what is expected of them for nothing is
  /// an eighth of all accesses at most.
  @Test(arguments: [40, 12, 6, 3]) func useAtRandomHoursIsHardlyOverrated(_ oneOf: Int) {
    var random = SeededGenerator(seed: UInt64(oneOf))
    var expected: Float = 0
    var came: Float = 0
    var all: Float = 0
    for _ in 0..<60 {
      var rhythm = DailyRhythm()
      for hour in 240_000..<240_000 + 20 * 24 {
        let isUse = random.below(oneOf) == 0
        rhythm.pass(from: hour, to: hour + 1, accesses: isUse ? 100 : nil)
        let next = HeatTime(UInt32(hour + 2) * Self.hour - 1)
        let (accesses, due) = rhythm.expectedAccesses(within: 3601, at: next)
        all += Float(100) / Float(oneOf)
        guard due?.hour == (hour + 2) % 24 else { continue }
        expected += accesses
        came += Float(100) / Float(oneOf)
      }
    }
    #expect(expected > 0 && expected - came < all / 8, "\(expected) are expected, \(came) of \(all) come")
  }

  @Test func levelsStandForWhatTheyAreMadeOf() {
    #expect(Scale.level(0) == 0 && Scale.value(ofLevel: 0) == 0)
    for number in [1, 2, 3, 9, 100, 1023, 65_535] as [Float] {
      #expect((Scale.value(ofLevel: Scale.level(number)) / number - 1).magnitude < 0.06)
    }
    #expect(Scale.level(.greatestFiniteMagnitude) == 255)
  }
}
