import Primitives
import Testing

@testable import Forecasting

@Suite struct FadingHeatTests {
  /// A steady rate is what is expected to go on, over minutes and over hours.
  @Test func steadyAccessesAreExpectedToGoOn() {
    var heat = FadingHeat()
    let end: UInt32 = 3 * 86_400
    for second in 1...end { heat.touch(at: second) }
    for minutes in [1, 5, 30, 120] as [Float] {
      let expected = heat.expectedAccesses(within: minutes * 60, at: end)
      #expect((expected / (minutes * 60) - 1).magnitude < 0.1)
    }
    // An hour of silence: little is expected soon.
    #expect(heat.expectedAccesses(within: 60, at: end + 3600) < 20)
    #expect(heat.idleSeconds(at: end + 3600) == 3600)
    #expect(FadingHeat().expectedAccesses(within: 7200, at: end) == 0)
  }

  /// What tells steady use from a scan is in how many minutes there was any, not how much.
  @Test func aBurstIsOverInAMinute() {
    var burst = FadingHeat()
    for _ in 0..<1000 { burst.touch(at: 6000) }
    #expect(burst.activeMinutes(at: 6000) == 1)
    var steady = FadingHeat()
    for minute in 100..<110 as Range<UInt32> { steady.touch(at: minute * 60) }
    #expect((9...10).contains(steady.activeMinutes(at: 6600)))
    // Half of them count after a half-life.
    let later = 6600 + UInt32(FadingHeat.longHalfLife)
    #expect((steady.activeMinutes(at: later) / steady.activeMinutes(at: 6600) - 0.5).magnitude < 0.01)
  }

  @Test func aClockThatGoesBackStandsStill() {
    var heat = FadingHeat()
    heat.touch(at: 1000)
    heat.touch(at: 400)
    #expect(heat.lastSeconds == 1000)
    #expect(heat.long == 2)
    #expect(heat.idleSeconds(at: 400) == 0)
  }

  @Test func memoryIsTakenWhereThereWereAccesses() {
    var heat = VolumeHeat()
    #expect(heat.touch(5, at: HeatTime(10), mayGrow: false) == .dropped)
    #expect(heat[5] == nil)
    #expect(heat.touch(5, at: HeatTime(10), mayGrow: true) == .grown)
    #expect(heat.touch(255, at: HeatTime(11), mayGrow: false) == .counted)
    #expect(heat[255]?.lastSeconds == 11)
    #expect(heat[6] == ExtentHeat())
    #expect(heat[256] == nil)
    #expect(heat.touch(1 << 33, at: HeatTime(12), mayGrow: true) == .grown)
    #expect(heat[1 << 33]?.fading.long == 1)
    #expect(heat.chunkCount == 2)
    #expect(heat.all.count == 512)
    var again = VolumeHeat()
    heat.forEachChunk { number, chunk in
      let isAdded = again.add(Array(chunk), number)
      #expect(isAdded)
    }
    #expect(again[255] == heat[255] && again[1 << 33] == heat[1 << 33] && again.chunkCount == 2)
    let (isTwice, isShort) = (again.add(Array(heat.all.prefix(256)), 0), again.add([ExtentHeat()], 7))
    #expect(!isTwice && !isShort)
  }
}
