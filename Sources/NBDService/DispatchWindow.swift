/// How many transfers a store is given at once.
///
/// Some devices (virtual disks above all) report completions in one burst when their queue has run empty.
/// Then everything moves as one convoy: while the replies travel to the client and its next requests
/// travel back, the device has nothing to do. Against that, a quarter of the transfers is kept back while
/// completions come in such bursts, and handed over the moment the burst arrives, before the replies are
/// sent. A device that completes transfers one by one is never kept waiting.
struct DispatchWindow {
  /// Transfers that the store has.
  private(set) var inFlight = 0
  /// Completions since the last turn ended.
  private var completed = 0
  /// Share of the completions, in 1/1024 and smoothed, that came in a burst: at least half of what was in
  /// flight at once.
  private var burstShare = 0

  /// Below so many transfers there is nothing to gain.
  static let keepsBackFrom = 8
  /// Completions in one turn that make a burst.
  private static let burstFrom = 4
  /// Completions over which the share is smoothed.
  private static let smoothing = 256

  /// Whether one more transfer may start while `waiting` others are kept back.
  func admits(waiting: Int) -> Bool {
    burstShare < 512 || inFlight < Self.keepsBackFrom || inFlight < 3 * (waiting + 1)
  }

  mutating func began() {
    inFlight += 1
  }

  mutating func ended() {
    inFlight -= 1
    completed += 1
  }

  /// The completions of one turn have been taken.
  mutating func endTurn() {
    guard completed > 0 else { return }
    let isBurst = completed >= inFlight && completed >= Self.burstFrom
    let weight = min(completed, Self.smoothing)
    burstShare += ((isBurst ? 1024 : 0) - burstShare) * weight / Self.smoothing
    completed = 0
  }
}
