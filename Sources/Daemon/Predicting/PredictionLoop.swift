import ExtentMap
import Forecasting
import Glibc
import Measurement
import NBDService
import Platform
import Primitives
import Redirection
import Shadowing
import Synchronization

/// Predicts: takes what clients are after, has one fast loop for each volume decide, and the mover carry that
/// out. It belongs to one thread; others see what it publishes in `PredictionShared`.
///
/// Only reads are learned from. A shadow spares no write its way to the live copy, so extents that are mostly
/// written to are worth none.
final class PredictionLoop {
  let pool: Pool
  let view: PlanningView
  let plan: PredictionPlan
  let shared: PredictionShared
  let settings: Configuration.Prediction
  /// What the slow loop goes by; nil if there is none.
  let book: HeatBook?
  private let stop: Signal
  private let wakeMover: () -> Void
  private var drain: AccessDrain

  var volumes: [VolumeID: VolumePrediction] = [:]
  /// Volumes that it has met, until they are deleted.
  var known: [VolumeID: Volume] = [:]
  var volumesWithout: Set<VolumeID> = []
  var candidates: [StoreCandidate] = []
  var fast = FastStores([])
  /// Whether there is more than one tier at all.
  var isTiered = false
  /// What shadows may take now, and at most.
  var allowedBytes: UInt64 = 0
  var shareBytes: UInt64 = 0
  var headroomBytes: [StoreID: UInt64] = [:]
  var counts = PredictionCounts()
  var prefetches = PrefetchQueue()
  /// Shadows that could not be given up, and are tried again.
  var retries: [ExtentKey] = []
  /// Something was offered to the mover in this turn.
  var hasOffered = false
  /// No shadow is made until then, because the last one was refused.
  var blockedUntilNanoseconds: UInt64 = 0
  var complaint: String?
  private var nextSurveyNanoseconds: UInt64 = 0
  private var nextHintsNanoseconds: UInt64 = 0
  private var touched: [UInt32] = []

  /// How long it sleeps: after something came, at most in the second after that, and while nothing happens.
  private static let pauseMilliseconds: Int32 = 1
  private static let pauseMillisecondsMax: Int32 = 4
  private static let idlePauseMilliseconds: Int32 = 32
  private static let idleAfterTurns = 250
  /// How often it looks at stores, volumes and hints.
  private static let surveyNanoseconds: UInt64 = 100_000_000
  private static let hintsNanoseconds: UInt64 = 1_000_000_000
  /// Extents of one read that are looked at.
  private static let extentsPerRead: UInt64 = 512
  /// Extents that a turn takes from what is to be fetched.
  private static let prefetchesPerTurn = 1024

  init(
    _ pool: Pool, _ view: PlanningView, _ plan: PredictionPlan, _ shared: PredictionShared,
    _ settings: Configuration.Prediction, _ book: HeatBook?, stop: Signal, wakeMover: @escaping () -> Void
  ) {
    self.pool = pool
    self.view = view
    self.plan = plan
    self.shared = shared
    self.settings = settings
    self.book = book
    self.stop = stop
    self.wakeMover = wakeMover
    drain = AccessDrain(pool.reactors.map(\.accesses))
  }

  /// Predicts until somebody raises `stop`.
  func run() {
    var pause = Self.pauseMilliseconds
    var idleTurns = 0
    while true {
      let isBusy = turn(drain.take(), at: MonotonicClock.nanoseconds())
      idleTurns = isBusy ? 0 : idleTurns + 1
      pause = isBusy ? Self.pauseMilliseconds : min(2 * pause, Self.pauseMillisecondsMax)
      let isIdle = idleTurns > Self.idleAfterTurns
      if stop.wait(milliseconds: isIdle ? Self.idlePauseMilliseconds : pause) { return }
    }
  }

  /// - Returns: whether anything has happened.
  private func turn(_ records: [AccessRecord], at now: UInt64) -> Bool {
    let hasEnded = takeEnded()
    if now >= nextSurveyNanoseconds {
      nextSurveyNanoseconds = now + Self.surveyNanoseconds
      survey()
      if now >= nextHintsNanoseconds {
        nextHintsNanoseconds = now + Self.hintsNanoseconds
        followHints(at: now)
      }
      publish()
    }
    if isTiered { book?.note(records) }
    if fast.tier != nil {
      for record in records { observe(record, at: now) }
      prefetch(at: now)
    }
    let isBusy = !records.isEmpty || hasEnded || hasOffered
    if hasOffered {
      hasOffered = false
      wakeMover()
    }
    return isBusy
  }

  // MARK: Accesses

  private func observe(_ record: AccessRecord, at now: UInt64) {
    switch record.kind {
    case .write: break
    case .read: read(record, at: now)
    case .cache:
      guard let volume = known[record.volume], record.length > 0 else { return }
      let last = record.offset + UInt64(record.length) - 1
      prefetches.add(
        record.volume, record.offset / volume.extentBytes..<last / volume.extentBytes + 1,
        reason: "a client said that it will read it (NBD_CMD_CACHE)", sinceMicroseconds: record.microseconds)
    }
  }

  private func read(_ record: AccessRecord, at now: UInt64) {
    guard let volume = known[record.volume], record.length > 0, fast.serve(volume) else { return }
    let bytes = volume.extentBytes
    let first = record.offset / bytes
    let last = min((record.offset + UInt64(record.length) - 1) / bytes, first + Self.extentsPerRead)
    guard volumes[record.volume] != nil || (first...last).contains(where: { lacks($0, volume) }),
      let prediction = prediction(of: volume)
    else { return }
    touched.removeAll(keepingCapacity: true)
    // The volume may have grown since the last survey.
    let end = UInt64(prediction.loop.extentCount)
    for extent in first...last where extent < end && prediction.isSlow(extent, fast) {
      touched.append(UInt32(extent))
    }
    guard !touched.isEmpty else { return }
    counts.slowReads += 1
    let time = max(prediction.lastMicroseconds, record.microseconds)
    prediction.lastMicroseconds = time
    prediction.loop.beginRequest()
    for (position, extent) in touched.enumerated() {
      let start = max(record.offset, UInt64(extent) * bytes) - UInt64(extent) * bytes
      let end = min(record.offset + UInt64(record.length) - UInt64(extent) * bytes, bytes)
      noteRead(of: extent, prediction)
      let access = ExtentAccess(
        extent: extent, start: UInt32(start), end: UInt32(end), requestBytes: record.length,
        extentCount: UInt32(touched.count), microseconds: time)
      let decision = prediction.loop.touch(access, isLast: position == touched.count - 1) { [fast] in
        prediction.isSlow(UInt64($0), fast)
      }
      for promotion in [decision.admission, decision.ahead].compactMap(\.self) {
        propose(
          promotion.extent, prediction, .foreseen(promotion.cause), expected: promotion.expectedRequests,
          displaced: promotion.displaced, since: record.microseconds, at: now)
      }
    }
  }

  private func lacks(_ extent: UInt64, _ volume: Volume) -> Bool {
    extent < volume.map.extentCount && fast.lack(extent, of: volume.map.view)
  }

  /// Counts a read of an extent that has a shadow; one that can not be read any more is given up.
  private func noteRead(of extent: UInt32, _ prediction: VolumePrediction) {
    guard var shadow = prediction[extent], shadow.state == .synced else { return }
    let view = prediction.volume.map.view
    let entry = view.entry(UInt64(extent))
    guard let line = view.shadows(of: UInt64(extent), entry), let number = line.number(in: shadow.store),
      line.isSynced(number)
    else {
      prediction.loop.forget(extent)
      return giveUp(extent, prediction, .stale)
    }
    if shadow.reads == 0 { counts.used += 1 }
    shadow.reads = min(shadow.reads, .max - 1) + 1
    prediction[extent] = shadow
  }

  // MARK: What somebody has said

  private func followHints(at now: UInt64) {
    let seconds = Int64(time(nil))
    let hints = shared.hints.withLock { table in
      table.expire(at: seconds)
      return table.active(at: seconds)
    }
    for hint in hints {
      guard let volume = known[hint.volume] else { continue }
      let last = (hint.range.upperBound - 1) / volume.extentBytes
      prefetches.add(
        hint.volume, hint.range.lowerBound / volume.extentBytes..<last + 1,
        reason: "hint \(hint.number)", sinceMicroseconds: now / 1000)
    }
  }

  /// Has extents copied that somebody has said will be read, as fast as the mover takes them.
  private func prefetch(at now: UInt64) {
    var left = Self.prefetchesPerTurn
    while left > 0, plan.hasRoom, let item = prefetches.next() {
      left -= 1
      guard let volume = known[item.volume], item.extent < volume.map.extentCount, fast.serve(volume)
      else { continue }
      guard volumes[item.volume]?.isSlow(item.extent, fast) ?? lacks(item.extent, volume),
        let prediction = prediction(of: volume), item.extent < UInt64(prediction.loop.extentCount)
      else { continue }
      let extent = UInt32(truncatingIfNeeded: item.extent)
      let isThere = prediction.loop.tier.contains(extent)
      let displaced = prediction.loop.place(extent, at: now / 1000)
      if isThere { continue }
      propose(
        extent, prediction, .hint(item.reason), expected: nil, displaced: displaced,
        since: item.sinceMicroseconds, at: now)
    }
  }

  // MARK: What others see

  private func publish() {
    var state = PredictionState()
    state.counts = counts
    state.fastTier = fast.tier
    state.allowedBytes = allowedBytes
    state.volumes = volumes.count
    state.volumesWithout = volumesWithout.count
    state.memoryBytes = UInt64(drain.bytes + volumes.values.reduce(0) { $0 + $1.bytes })
    for prediction in volumes.values {
      state.ownBytes += prediction.ownBytes
      state.shadows += prediction.own.count
    }
    state.processorNanoseconds = ProcessorTime.ofThisThread()
    state.complaint = complaint
    shared.state.withLock { $0 = state }
  }
}
