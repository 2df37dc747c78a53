import Health
import Measurement
import Primitives

/// What the watcher keeps of one store.
struct WatchedStore {
  let uuid: UUID128
  var taker = SampleTaker()
  /// Connections that had broken when it last looked.
  var breaks: UInt64 = 0
  /// A probe is under way.
  var isProbed = false
  /// What is being done because of its state, if anything.
  var job: MoveJob?
  private var state = HealthState.serving

  init(uuid: UUID128) {
    self.uuid = uuid
  }

  /// The store's state is this.
  ///
  /// - Parameter isUsed: whether anything lies there.
  /// - Returns: the job that has lost its purpose, and whether another is due. One that somebody has
  ///   cancelled is not begun again before the state changes.
  mutating func turn(to new: HealthState, isUsed: Bool) -> (end: MoveJob?, isDue: Bool) {
    if new != state {
      state = new
      let old = job
      job = nil
      let isOver = old?.progress.endedNanoseconds != nil
      return (isOver ? nil : old, isUsed && (new == .evacuating || new == .satOut))
    }
    // Something may come, where no other store has room.
    guard state == .evacuating, isUsed, let job else { return (nil, state == .evacuating && isUsed) }
    return (nil, job.progress.endedNanoseconds != nil && !job.progress.isCancelled)
  }
}

/// All that is known of a store's health at a moment.
struct StoreHealthView {
  var report: HealthReport
  /// For how long its state has been so.
  var seconds: UInt64
  /// The last half to whole minute.
  var latest: StoreSample
  /// Since the daemon started.
  var totals: StoreCounts
  var media: MediaStatus?
}
