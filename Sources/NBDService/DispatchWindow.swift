/// How many transfers a store is given at once.
///
/// *Direct stores.* Some devices (virtual disks above all) report completions in one burst when their queue
/// has run empty. Then everything moves as one convoy: while the replies travel to the client and its next
/// requests travel back, the device has nothing to do. Against that, a quarter of the transfers is kept
/// back while completions come in such bursts, and handed over the moment a burst arrives, before the
/// replies are sent. A device that completes transfers one by one is never kept waiting.
///
/// *Cached stores.* A transfer is a copy that this thread makes while it submits. A turn takes only so many
/// bytes that they are still in the processor's cache when they are copied again, into the socket.
struct DispatchWindow {
  /// Transfers go through the page cache.
  var isCached = false
  /// Transfers that the store has.
  private(set) var inFlight = 0
  /// Completions since the last turn ended, and bytes begun.
  private var completed = 0
  private var turnBytes: UInt64 = 0
  /// Share of the completions, in 1/1024 and smoothed, that came in a burst: at least half of what was in
  /// flight, in one turn.
  private var burstShare = 0

  /// Below so many transfers there is nothing to gain.
  static let keepsBackFrom = 8
  /// Completions in one turn that make a burst.
  private static let burstFrom = 4
  /// Completions over which the share is smoothed.
  private static let smoothing = 256
  /// Half of a common second-level cache.
  static let cachedBytesPerTurn: UInt64 = 512 << 10

  /// Whether one more transfer may start while `waiting` others are kept back.
  func admits(waiting: Int) -> Bool {
    if isCached { return turnBytes < Self.cachedBytesPerTurn }
    return burstShare < 512 || inFlight < Self.keepsBackFrom || inFlight < 3 * (waiting + 1)
  }

  mutating func began(bytes: UInt64) {
    inFlight += 1
    turnBytes += bytes
  }

  mutating func ended() {
    inFlight -= 1
    completed += 1
  }

  /// The completions of one turn have been taken.
  mutating func endTurn() {
    turnBytes = 0
    guard completed > 0 else { return }
    let isBurst = completed >= inFlight && completed >= Self.burstFrom
    let weight = min(completed, Self.smoothing)
    burstShare += ((isBurst ? 1024 : 0) - burstShare) * weight / Self.smoothing
    completed = 0
  }
}
