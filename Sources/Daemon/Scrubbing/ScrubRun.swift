import ExtentMap
import Glibc
import NBDService
import Platform
import Primitives
import Redirection
import Shadowing
import Synchronization

/// What a scrub looks at.
struct ScrubScope: Sendable {
  var volume: Volume?
  /// Copies in this store only.
  var store: (id: StoreID, name: String)?

  var isWhole: Bool { volume == nil && store == nil }

  /// In words.
  var words: String {
    switch (volume?.name, store?.name) {
    case (nil, nil): "all volumes"
    case (let volume?, nil): "volume \(volume)"
    case (nil, let store?): "store \(store)"
    case (let volume?, let store?): "volume \(volume) in store \(store)"
    }
  }

  /// Copies of a sealed extent that are to be read.
  func copyCount(_ view: ExtentMapView, _ extent: UInt64) -> Int {
    guard view.seal(extent).isSealed, let copies = ExtentCopies(view, extent) else { return 0 }
    guard let store else { return copies.goodStores.count }
    return copies.goodStores.contains(store.id) ? 1 : 0
  }
}

/// A scrub under way: what it has come to, and how far it is.
final class ScrubRun: Sendable {
  private struct State {
    var record: ScrubRecord
    var rate = MovementRate()
    var expectedBytes: UInt64 = 0
    /// Of the copies that have been looked at, or passed over.
    var handledBytes: UInt64 = 0
    var isCancelled = false
  }

  let scope: ScrubScope
  private let startedNanoseconds = MonotonicClock.nanoseconds()
  private let state: Mutex<State>

  init(_ scope: ScrubScope) {
    self.scope = scope
    state = Mutex(State(record: ScrubRecord(scope: scope.words, startedSeconds: Int64(time(nil)))))
  }

  var record: ScrubRecord { state.withLock { $0.record } }
  var isCancelled: Bool { state.withLock { $0.isCancelled } }
  var seconds: UInt64 { (MonotonicClock.nanoseconds() - startedNanoseconds) / 1_000_000_000 }
  var leftBytes: UInt64 { state.withLock { $0.expectedBytes - min($0.handledBytes, $0.expectedBytes) } }

  /// Bytes per second in the last seconds.
  var bytesPerSecond: Double {
    state.withLock { $0.rate.bytesPerSecond(at: MonotonicClock.nanoseconds()) }
  }

  func cancel() {
    state.withLock { $0.isCancelled = true }
  }

  func expect(_ bytes: UInt64) {
    state.withLock { $0.expectedBytes += bytes }
  }

  /// An extent has been looked at, or passed over with nil.
  func note(_ result: ScrubHands.Result?, expectedBytes: UInt64) {
    state.withLock { state in
      state.handledBytes += expectedBytes
      guard let result else { return }
      state.rate.add(result.bytes, at: MonotonicClock.nanoseconds())
      state.record.figures.bytes += result.bytes
      if result.isVoid { return }
      state.record.figures.extents += 1
      state.record.figures.copies += result.copies
      for finding in result.findings {
        switch finding.problem {
        case .differs: state.record.figures.bad += 1
        case .unreadable: state.record.figures.unread += 1
        }
        switch finding.outcome {
        case .healed: state.record.figures.healed += 1
        case .unhealed: state.record.figures.unhealed += 1
        }
        state.record.add(finding)
      }
    }
  }

  /// The run has ended.
  ///
  /// - Parameter last: the scrub before this one.
  /// - Returns: what is to be remembered of it.
  func end(_ end: ScrubRecord.End, after last: ScrubRecord?) -> ScrubRecord {
    state.withLock { state in
      state.record.end = end
      state.record.endedSeconds = Int64(time(nil))
      // One that somebody has stopped is not begun again by itself at once: the next is due as after any.
      state.record.wholeEndedSeconds =
        end != .interrupted && scope.isWhole ? state.record.endedSeconds : last?.wholeEndedSeconds ?? 0
      return state.record
    }
  }
}
