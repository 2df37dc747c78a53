import Glibc

/// Processor time of the calling thread.
public enum ProcessorTime {
  /// Nanoseconds that this thread has run, in the program and in the kernel.
  public static func ofThisThread() -> UInt64 {
    var now = timespec()
    unsafe clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now)
    return UInt64(now.tv_sec) &* 1_000_000_000 &+ UInt64(now.tv_nsec)
  }
}
