/// How long a reactor looks for the next event before it sleeps.
///
/// Waking a sleeping thread takes 5 to 30 µs, most of all in a virtual machine, and a client that has one
/// request in flight pays for it several times per request. So a reactor that serves such a client looks for
/// completions without giving up the processor, for about as long as waiting took lately, and not at all
/// once waits have become longer than `maximum`: then there is nothing to gain. With more requests in
/// flight the others hide the wake-up.
struct BusyPolling {
  /// The longest time worth polling for, in nanoseconds; 0 turns it off.
  let maximum: UInt64
  /// How long the next wait polls, in nanoseconds.
  private(set) var window: UInt64 = 0

  /// Where growing begins.
  private static let first: UInt64 = 4_000

  init(maximum: UInt64) {
    self.maximum = maximum
  }

  /// Takes notice of a wait that lasted so many nanoseconds, whether it was polled or slept.
  mutating func waited(_ nanoseconds: UInt64) {
    if nanoseconds > maximum {
      window = 0
    } else if nanoseconds > window {
      window = min(maximum, max(Self.first, window * 2))
    }
  }
}
