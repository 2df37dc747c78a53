import Glibc
import Measurement
import NBDService
import Platform
import Primitives
import Redirection
import Stores
import Synchronization

/// Records the load of every volume and store once a second, and keeps it in a file of the pool.
final class LoadWatcher: Sendable {
  private struct State {
    var clock: HistoryClock
    /// Its own clock, which does not jump.
    var lastNanoseconds = MonotonicClock.nanoseconds()
    /// The second that was recorded last.
    var second = 0
    var loads = RecordedLoads()
    var secondsUntilSaved = LoadWatcher.saveSeconds
  }

  private let pool: Pool
  private let file: Mutex<HistoryFile>
  private let state: Mutex<State>
  private let looks = Recurrence()
  private let log = Log("load")

  /// What a crash loses of the history.
  private static let saveSeconds = 600

  /// Goes on with the history that was kept; without one, or with one that makes no sense, it begins anew.
  init(_ pool: Pool) {
    self.pool = pool
    let file = HistoryFile(directory: pool.directory)
    let now = Self.wallSeconds()
    var state = State(clock: HistoryClock(wallSeconds: now))
    do throws(GnomonError) {
      state.loads = try file.read(nowSeconds: Int(now)) ?? RecordedLoads()
    } catch {
      log.warning("the history of loads begins anew", ["cause": error])
    }
    // What was gone when the daemon ended in a crash, and had not been saved since.
    state.loads.keep(Set(pool.exports.volumes.map(\.uuid) + pool.stores.map(\.record.uuid)))
    self.file = Mutex(file)
    self.state = Mutex(state)
  }

  private static func wallSeconds() -> Double {
    var now = timespec()
    unsafe clock_gettime(CLOCK_REALTIME, &now)
    return Double(now.tv_sec) + Double(now.tv_nsec) / 1e9
  }

  /// Begins to record.
  func start() {
    looks.start { [self] in look() }
  }

  /// Records no more, keeps what there is, then calls back.
  func stop(_ done: @escaping @Sendable () -> Void) {
    looks.stop { [self] in
      // What came since the last second.
      record()
      save()
      done()
    }
  }

  /// - Returns: milliseconds up to the end of the second.
  private func look() -> Int {
    record()
    let (isDue, milliseconds) = state.withLock { state in
      state.secondsUntilSaved -= 1
      let isDue = state.secondsUntilSaved <= 0
      if isDue { state.secondsUntilSaved = Self.saveSeconds }
      return (isDue, 1000 - Int(state.clock.seconds * 1000) % 1000)
    }
    // Not here: this must not wait for a disk.
    if isDue { pool.controlThread.async { [self] in save() } }
    return milliseconds
  }

  // MARK: Recording

  /// Takes what came since the last call.
  func record() {
    let now = MonotonicClock.nanoseconds()
    let reactors = pool.reactors
    state.withLock { state in
      let elapsed = Double(now - min(now, state.lastNanoseconds)) / 1e9
      state.clock.advance(elapsedSeconds: elapsed, wallSeconds: Self.wallSeconds())
      state.lastNanoseconds = now
      // The second that has just ended; the clock is a little beyond its end.
      state.second = max(state.second, Int(state.clock.seconds) - 1)
      // Not looked up before: what `forget` was told of must not come again.
      for volume in pool.exports.volumes {
        state.loads.record(volume, reactors, at: state.second, seconds: elapsed)
      }
      for store in pool.stores {
        var counts = StoreCounts()
        for reactor in reactors { reactor.meters.read(store.record.id, into: &counts) }
        state.loads.record(counts, of: store.record.uuid, at: state.second, seconds: elapsed)
      }
    }
  }

  /// Forgets a volume that is deleted. One that is not on offer for a while, because it is being shrunk, is
  /// not.
  func forget(_ volume: Volume) {
    state.withLock { state in
      state.loads.forget(volume.uuid)
      for reactor in pool.reactors { reactor.volumeMeters.forget(volume.id) }
    }
  }

  /// Forgets a store that is removed.
  func forget(_ store: any Store) {
    state.withLock { $0.loads.forget(store.record.uuid) }
  }

  private func save() {
    // One after the other: they would write to the same draft.
    file.withLock { file in
      let loads = state.withLock { $0.loads }
      do throws(SystemError) {
        try file.write(loads)
      } catch {
        log.warning("the history of loads could not be kept", ["cause": error])
      }
    }
  }

  // MARK: Telling

  /// The load of a volume or store, and the second that was recorded last; nil if nothing is known.
  func history(of uuid: UUID128) -> (history: LoadHistory, second: Int)? {
    state.withLock { state in state.loads.history(of: uuid).map { ($0, state.second) } }
  }

  /// Where in a volume requests were served, and the second that was recorded last; nil if nothing is known.
  func addresses(of volume: UUID128) -> (addresses: AddressHistory, second: Int)? {
    state.withLock { state in state.loads.addresses(of: volume).map { ($0, state.second) } }
  }
}
