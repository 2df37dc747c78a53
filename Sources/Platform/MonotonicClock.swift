import Glibc

/// The clock that deadlines and latencies are measured with.
public enum MonotonicClock {
  /// Nanoseconds since some point in the past; never goes backwards.
  public static func nanoseconds() -> UInt64 {
    var now = timespec()
    unsafe clock_gettime(CLOCK_MONOTONIC, &now)
    return UInt64(now.tv_sec) &* 1_000_000_000 &+ UInt64(now.tv_nsec)
  }
}
