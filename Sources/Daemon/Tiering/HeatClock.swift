import Forecasting
import Glibc
import Measurement
import Platform

/// The time that heat goes by: that of day, which never goes back (`HistoryClock`), and what the clocks on
/// the wall show where the daemon runs.
struct HeatClock {
  /// What the clocks of the machine show.
  struct Reading: Sendable {
    /// On the clock that does not jump.
    var nanoseconds: UInt64
    /// Since 1970.
    var wallSeconds: Double
    /// Ahead of UTC, in seconds; by the time zone of the process, with daylight saving.
    var zoneSeconds: Int32

    /// Now.
    static func now() -> Reading {
      var seconds = time(nil)
      var parts = unsafe tm()
      unsafe localtime_r(&seconds, &parts)
      return Reading(
        nanoseconds: MonotonicClock.nanoseconds(), wallSeconds: Double(seconds),
        zoneSeconds: Int32(clamping: unsafe parts.tm_gmtoff))
    }
  }

  private let read: @Sendable () -> Reading
  private var clock: HistoryClock
  private var lastNanoseconds: UInt64

  /// - Parameters:
  ///   - seconds: when time was looked at last, before the daemon started: it goes on from there if the clock
  ///     was set back meanwhile.
  ///   - read: what the clocks show.
  init(since seconds: UInt32, _ read: @escaping @Sendable () -> Reading) {
    self.read = read
    let reading = read()
    clock = HistoryClock(wallSeconds: max(reading.wallSeconds, Double(seconds)))
    lastNanoseconds = reading.nanoseconds
  }

  /// Now.
  mutating func now() -> HeatTime {
    let reading = read()
    let elapsed = reading.nanoseconds - min(reading.nanoseconds, lastNanoseconds)
    clock.advance(elapsedSeconds: Double(elapsed) / 1e9, wallSeconds: reading.wallSeconds)
    lastNanoseconds = max(reading.nanoseconds, lastNanoseconds)
    return HeatTime(UInt32(clamping: Int(clock.seconds)), zoneSeconds: reading.zoneSeconds)
  }
}
