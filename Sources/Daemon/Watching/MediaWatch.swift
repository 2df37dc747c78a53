import Health
import Platform
import Primitives
import Stores
import Synchronization

/// What is known of the device beneath a store.
struct MediaStatus: Sendable {
  /// The device; nil if there is none of its own.
  var device: String?
  /// What it said last.
  var summary: MediaSummary?
  /// Why there is nothing from it, or nothing new.
  var complaint: String?
  /// When it was asked last, on `MonotonicClock`.
  var askedNanoseconds: UInt64 = 0
}

/// Asks the devices beneath stores how they are, now and then, by `smartctl`, which can take its time: on a
/// thread of its own.
final class MediaWatch: Sendable {
  private struct Entry {
    var store: UUID128
    var status = MediaStatus()
    var isAsking = false
    /// A summary that the watcher has not taken yet.
    var isNew = false
  }

  private let program: String
  private let intervalNanoseconds: UInt64
  private let thread: WorkThread
  private let isStopping = Atomic<Bool>(false)
  private let entries = Mutex<[StoreID: Entry]>([:])
  private let log = Log("health")

  /// Seconds after which `smartctl` is killed: a disk that has to spin up takes about ten.
  private static let deadlineSeconds: UInt64 = 30

  /// - Returns: nil if devices are not to be asked.
  init?(_ configuration: Configuration.Health) throws(GnomonError) {
    guard configuration.smartctlSeconds > 0 else { return nil }
    program = configuration.smartctl
    intervalNanoseconds = UInt64(configuration.smartctlSeconds) * 1_000_000_000
    do throws(SystemError) {
      thread = try WorkThread(name: "gnomon-media")
    } catch {
      throw GnomonError(.system, "no thread can be started", cause: error.description)
    }
  }

  /// What is known of the device beneath a store; nil as long as it has never been asked.
  func status(of store: any Store) -> MediaStatus? {
    entries.withLock { entries in
      guard let entry = entries[store.record.id], entry.store == store.record.uuid,
        entry.status.askedNanoseconds > 0
      else { return nil }
      return entry.status
    }
  }

  /// Has the device asked if it is time.
  ///
  /// - Returns: what it has said, if that is news.
  func look(at store: any Store) -> MediaStatus? {
    guard case .file(let descriptor, _) = store.access else { return nil }
    let (id, uuid) = (store.record.id, store.record.uuid)
    let (news, isDue) = entries.withLock { entries -> (MediaStatus?, Bool) in
      var entry = entries[id] ?? Entry(store: uuid)
      if entry.store != uuid { entry = Entry(store: uuid) }
      defer { entries[id] = entry }
      let asked = entry.status.askedNanoseconds
      // The clock is looked at in here: an answer may have come while the lock was waited for.
      let isDue =
        !entry.isAsking && (asked == 0 || MonotonicClock.nanoseconds() - asked >= intervalNanoseconds)
      if isDue { entry.isAsking = true }
      guard entry.isNew else { return (nil, isDue) }
      entry.isNew = false
      return (entry.status, isDue)
    }
    if isDue {
      // The store keeps its descriptor open for as long as it is here.
      thread.async { [self, store] in
        take(ask(BackingDevice(beneath: descriptor)), of: id, uuid)
        _ = store
      }
    }
    return news
  }

  private func ask(_ backing: BackingDevice) -> MediaStatus {
    var status = MediaStatus()
    switch backing {
    case .none(let why): status.complaint = why
    case .device(let path):
      status.device = path
      do throws(SystemError) {
        let output = try ChildProcess.output(
          of: program, ["--json", "--all", path], bytesMax: SmartctlReport.bytesMax + 1,
          seconds: Self.deadlineSeconds, isWanted: { !isStopping.load(ordering: .relaxed) })
        do throws(SmartctlProblem) {
          status.summary = try SmartctlReport.parse(output)
        } catch {
          status.complaint = error.words
        }
      } catch {
        status.complaint = error.description
      }
    }
    status.askedNanoseconds = MonotonicClock.nanoseconds()
    return status
  }

  private func take(_ status: MediaStatus, of id: StoreID, _ uuid: UUID128) {
    let isNews = entries.withLock { entries in
      guard var entry = entries[id], entry.store == uuid else { return false }
      let isNews = entry.status.complaint != status.complaint
      entry.isAsking = false
      entry.isNew = status.summary != nil
      // What a device has said holds until it says something else.
      let known = entry.status.device == status.device ? entry.status.summary : nil
      entry.status = status
      entry.status.summary = status.summary ?? known
      entries[id] = entry
      return isNews
    }
    if isNews, let device = status.device, let complaint = status.complaint {
      log.info("a device says nothing of its health", ["device": device, "cause": complaint])
    }
  }

  /// Asks no more; who is being asked is interrupted. Then calls back: never, if that hangs in the kernel.
  func stop(_ done: @escaping @Sendable () -> Void) {
    isStopping.store(true, ordering: .relaxed)
    thread.stop(done)
  }
}

extension SmartctlProblem {
  /// In plain words.
  var words: String {
    switch self {
    case .tooLong(let bytes): "smartctl's report has \(bytes) bytes"
    case .malformed(let cause): "smartctl's report can not be read: \(cause)"
    case .noHealth(let cause): cause ?? "it has no S.M.A.R.T."
    }
  }
}
