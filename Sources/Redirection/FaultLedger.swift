public import Primitives
import Synchronization

/// What can fail on the way to the disks.
public enum FaultKind: UInt8, Sendable, CaseIterable {
  /// Reading from a store.
  case read
  /// Writing to a store, or zeroing in it.
  case write
  /// Making a fresh slot of a store read as zeros.
  case prepare
  /// Making a store durable.
  case synchronize
  /// Reaching a store in time to make it durable. What was written is kept.
  case reach
  /// Giving a store's space back.
  case discard
  /// Finding a slot for a new extent: no store has one.
  case place
  /// Taking a map change: as many as there may be wait for the catalog.
  case refuse
  /// Committing map changes to the catalog.
  case commit
  /// Folding the catalog's journal.
  case fold
}

/// What people are to be told: a failure, and how many of its kind there were since the last time.
public struct Fault: Sendable, Equatable {
  /// What failed.
  public var kind: FaultKind
  /// Where; nil if it has to do with no one store.
  public var store: StoreID?
  /// Whose request it was, where that is known. Of several, the last.
  public var volume: VolumeID?
  /// The error number, positive. Of several, the last.
  public var errno: Int32
  /// More about the last one.
  public var cause: String?
  /// Failures of this kind in this store since people were last told, this one included.
  public var count: Int
}

/// Counts what fails in the data path, and says when it is time to tell people.
///
/// The first of its kind in a store is told at once, later ones as one summary in each interval: a disk that
/// fails every request must not fill the log. It reads no clock; whoever tells people hands the time in.
public final class FaultLedger: Sendable {
  private struct Key: Hashable {
    var kind: FaultKind
    var store: StoreID?
  }

  private struct Line {
    var fault: Fault
    var total: UInt64 = 0
    var toldNanoseconds: UInt64?
  }

  /// At most one line a kind and store.
  private let lines = Mutex<[Key: Line]>([:])
  private let news = Atomic<Bool>(false)

  /// Between two summaries of one kind and store.
  public static let intervalNanoseconds: UInt64 = 10_000_000_000

  /// Nothing has failed.
  public init() {}

  /// Notes a failure.
  public func note(
    _ kind: FaultKind, store: StoreID? = nil, volume: VolumeID? = nil, errno: Int32, cause: String? = nil
  ) {
    lines.withLock { lines in
      let key = Key(kind: kind, store: store)
      var line = lines[key] ?? Line(fault: Fault(kind: kind, store: store, errno: errno, count: 0))
      line.fault.volume = volume
      line.fault.errno = errno
      line.fault.cause = cause
      line.fault.count += 1
      line.total += 1
      lines[key] = line
    }
    news.store(true, ordering: .releasing)
  }

  /// Whether something has failed since `takeDue` was last called.
  public var hasNews: Bool { news.load(ordering: .relaxed) }

  /// Takes what people should be told now.
  ///
  /// - Parameter nanoseconds: the time on any clock that does not jump; nil: tell everything, it is the end.
  public func takeDue(at nanoseconds: UInt64?) -> [Fault] {
    news.store(false, ordering: .sequentiallyConsistent)
    return lines.withLock { lines in
      var due: [Fault] = []
      for (key, line) in lines where line.fault.count > 0 {
        if let nanoseconds, let told = line.toldNanoseconds, nanoseconds - told < Self.intervalNanoseconds {
          continue
        }
        due.append(line.fault)
        lines[key]?.fault.count = 0
        lines[key]?.toldNanoseconds = nanoseconds
      }
      return due.sorted {
        ($0.kind.rawValue, $0.store?.rawValue ?? 0) < ($1.kind.rawValue, $1.store?.rawValue ?? 0)
      }
    }
  }

  /// Failures of a kind in a store since the start.
  public func count(_ kind: FaultKind, store: StoreID? = nil) -> UInt64 {
    lines.withLock { $0[Key(kind: kind, store: store)]?.total ?? 0 }
  }
}
