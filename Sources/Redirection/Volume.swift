public import ExtentMap
public import Primitives
import Synchronization

/// A volume that is being served.
public final class Volume: Sendable {
  public let id: VolumeID
  public let uuid: UUID128
  public let name: String
  public let extentBytes: UInt64
  public let isReadOnly: Bool
  public let map: ExtentMap
  private let size: Atomic<UInt64>

  /// What clients have asked of the volume since the daemon started.
  public let traffic = Traffic()

  public init(_ record: VolumeRecord, map: ExtentMap) {
    id = record.id
    uuid = record.uuid
    name = record.name
    extentBytes = record.extentBytes
    isReadOnly = record.readOnly
    self.map = map
    size = Atomic(record.sizeBytes)
  }

  /// Requests beyond it are refused; it can grow while clients are connected.
  public var sizeBytes: UInt64 {
    get { size.load(ordering: .acquiring) }
    set { size.store(newValue, ordering: .releasing) }
  }
}

/// Counters of requests and bytes, added to in batches.
public final class Traffic: Sendable {
  public struct Counts: Sendable, Equatable {
    public var reads: UInt64 = 0
    public var writes: UInt64 = 0
    public var others: UInt64 = 0
    public var flushes: UInt64 = 0
    public var errors: UInt64 = 0
    public var bytesRead: UInt64 = 0
    public var bytesWritten: UInt64 = 0

    public init() {}
  }

  private let total = Mutex(Counts())

  public init() {}

  public var counts: Counts { total.withLock { $0 } }

  public func add(_ counts: Counts) {
    total.withLock { total in
      total.reads &+= counts.reads
      total.writes &+= counts.writes
      total.others &+= counts.others
      total.flushes &+= counts.flushes
      total.errors &+= counts.errors
      total.bytesRead &+= counts.bytesRead
      total.bytesWritten &+= counts.bytesWritten
    }
  }
}
