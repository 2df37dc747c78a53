import Forecasting
import Measurement
import Primitives
import Redirection
import Synchronization

/// How much every extent of every volume is accessed, for the slow loop. One thread counts, others read.
final class HeatBook: Sendable {
  /// What is known of a volume.
  struct Entry: Sendable {
    var uuid: UUID128
    var extentBytes: UInt64
    /// Since when all accesses are known, on the book's clock: that of extents of which nothing is known may
    /// have been earlier. When there was no memory for one, it is since then.
    var sinceSeconds: UInt32
    var heat = VolumeHeat()
  }

  /// Where an entry can be changed without being copied.
  private final class Page {
    var entry: Entry

    init(_ entry: Entry) {
      self.entry = entry
    }
  }

  private struct State {
    /// Goes on while the daemon does not run.
    var clock: HeatClock
    var volumes: [VolumeID: Page] = [:]
    /// Of volumes that were not seen yet.
    var kept: KeptHeat
    var chunks = 0

    mutating func forget(_ volume: VolumeID) {
      chunks -= volumes.removeValue(forKey: volume)?.entry.heat.chunkCount ?? 0
    }
  }

  private let state: Mutex<State>
  private let chunksMax: Int
  /// Extents of one request that are counted.
  private static let extentsPerRequest: UInt64 = 512

  /// - Parameters:
  ///   - kept: what was known when the pool was served last.
  ///   - memoryBytes: what may be remembered of all volumes.
  ///   - read: what the clocks show.
  init(
    _ kept: KeptHeat, memoryBytes: UInt64,
    read: @escaping @Sendable () -> HeatClock.Reading = HeatClock.Reading.now
  ) {
    chunksMax = max(1, Int(clamping: memoryBytes) / VolumeHeat.bytesPerChunk)
    state = Mutex(State(clock: HeatClock(since: kept.seconds, read), kept: kept))
  }

  /// Takes notice of which volumes there are.
  func meet(_ volumes: some Sequence<Volume>) {
    state.withLock { state in
      let now = state.clock.now().seconds
      for volume in volumes {
        if state.volumes[volume.id]?.entry.uuid == volume.uuid { continue }
        state.forget(volume.id)
        var entry = Entry(uuid: volume.uuid, extentBytes: volume.extentBytes, sinceSeconds: now)
        if let kept = state.kept.volumes.removeValue(forKey: volume.uuid),
          state.chunks + kept.heat.chunkCount <= chunksMax
        {
          (entry.sinceSeconds, entry.heat) = (min(kept.sinceSeconds, now), kept.heat)
        }
        state.chunks += entry.heat.chunkCount
        state.volumes[volume.id] = Page(entry)
      }
    }
  }

  /// A volume was deleted.
  func forget(_ volume: VolumeID) { state.withLock { $0.forget(volume) } }

  /// Counts what clients did.
  func note(_ records: [AccessRecord]) {
    if records.isEmpty { return }
    state.withLock { state in
      let now = state.clock.now()
      var volume: VolumeID?
      var page: Page?
      for record in records where record.kind != .cache && record.length > 0 {
        if record.volume != volume { (volume, page) = (record.volume, state.volumes[record.volume]) }
        guard let page else { continue }
        let bytes = page.entry.extentBytes
        let first = record.offset / bytes
        let last = min((record.offset + UInt64(record.length) - 1) / bytes, first + Self.extentsPerRequest)
        for extent in first...last {
          switch page.entry.heat.touch(extent, at: now, mayGrow: state.chunks < chunksMax) {
          case .counted: break
          case .grown: state.chunks += 1
          case .dropped: page.entry.sinceSeconds = now.seconds
          }
        }
      }
    }
  }

  /// What is known of all volumes, and the time that it goes by.
  var now: (volumes: [VolumeID: Entry], time: HeatTime) {
    state.withLock { ($0.volumes.mapValues(\.entry), $0.clock.now()) }
  }

  /// What is known of one extent, and the time that it goes by; nil if nothing is.
  func heat(of extent: UInt64, in volume: VolumeID) -> (heat: ExtentHeat, time: HeatTime)? {
    state.withLock { state in
      state.volumes[volume]?.entry.heat[extent].map { ($0, state.clock.now()) }
    }
  }

  /// What is to be kept for the next time.
  var toKeep: KeptHeat {
    state.withLock { state in
      var kept = KeptHeat(seconds: state.clock.now().seconds)
      for entry in state.volumes.values.map(\.entry) {
        kept.volumes[entry.uuid] = KeptHeat.Volume(sinceSeconds: entry.sinceSeconds, heat: entry.heat)
      }
      return kept
    }
  }
}
