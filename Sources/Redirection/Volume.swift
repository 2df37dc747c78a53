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
