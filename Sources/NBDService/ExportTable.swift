public import NBDWire
public import Primitives
public import Redirection
import Synchronization

/// The volumes on offer and who is attached to them.
public final class ExportTable: ExportDirectory {
  private struct Export {
    let volume: Volume
    var attachments = 0
  }

  /// By the bytes of the name: clients send names of 4096 bytes, and to compare such strings as Unicode does
  /// takes milliseconds.
  private let exports = Mutex<[[UInt8]: Export]>([:])

  /// No volume is on offer.
  public init() {}

  /// Offers a volume under its name.
  public func add(_ volume: Volume) {
    exports.withLock { $0[Array(volume.name.utf8)] = Export(volume: volume) }
  }

  /// Takes a volume off the table if nobody is attached to it.
  ///
  /// - Returns: how many connections use it; not 0 means that it stays.
  public func remove(_ name: String) -> Int {
    exports.withLock { table in
      let key = Array(name.utf8)
      let attachments = table[key]?.attachments ?? 0
      if attachments == 0 { table[key] = nil }
      return attachments
    }
  }

  /// The volumes on offer, by name.
  public var volumes: [Volume] {
    exports.withLock { $0.values.map(\.volume) }.sorted { $0.name < $1.name }
  }

  /// The volume of that name; nil if none is on offer.
  public func volume(_ name: String) -> Volume? {
    exports.withLock { $0[Array(name.utf8)]?.volume }
  }

  /// The volume of that number; nil if it is not on offer.
  public func volume(_ id: VolumeID) -> Volume? {
    exports.withLock { $0.values.first { $0.volume.id == id }?.volume }
  }

  /// Connections that have the volume open.
  public func attachments(_ name: String) -> Int {
    exports.withLock { $0[Array(name.utf8)]?.attachments ?? 0 }
  }

  /// Opens a volume for a connection: it cannot be deleted until `detach`.
  func attach(_ name: String) -> Volume? {
    exports.withLock { table in
      let key = Array(name.utf8)
      table[key]?.attachments += 1
      return table[key]?.volume
    }
  }

  func detach(_ volume: Volume) {
    exports.withLock { $0[Array(volume.name.utf8)]?.attachments -= 1 }
  }

  // MARK: ExportDirectory

  /// The names on offer, in order.
  public func exportNames() -> [String] {
    volumes.map(\.name)
  }

  /// The empty name is an only volume's second name.
  public func export(named name: String) -> ExportInfo? {
    let volume = exports.withLock { table in
      name.isEmpty && table.count == 1 ? table.values.first?.volume : table[Array(name.utf8)]?.volume
    }
    guard let volume else { return nil }
    var flags: TransmissionFlags = [.sendFlush, .sendFUA, .sendDontFragment, .canMultiConnect, .sendCache]
    if volume.isReadOnly {
      flags.insert(.readOnly)
    } else {
      flags.formUnion([.sendTrim, .sendWriteZeroes, .sendFastZero])
    }
    return ExportInfo(
      name: volume.name, sizeBytes: volume.sizeBytes, transmissionFlags: flags, blockSizeMinimum: 1,
      blockSizePreferred: UInt32(Block.bytes), metaContexts: BlockStatus.contexts)
  }
}
