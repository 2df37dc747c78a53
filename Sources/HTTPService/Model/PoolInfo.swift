/// The pool as a whole.
public struct PoolInfo: Codable, Sendable, Equatable {
  /// `8-4-4-4-12` hexadecimal digits.
  public var uuid: String
  /// Absolute path of the pool's folder.
  public var directory: String
  public var storeCount: Int
  public var volumeCount: Int
  /// What all stores can hold.
  public var sizeBytes: UInt64
  /// What is taken of it, by extents and by the stores' own labels.
  public var usedBytes: UInt64
  public var freeBytes: UInt64
  /// The sum of the volumes' sizes; may exceed `sizeBytes`, as volumes are thin.
  public var provisionedBytes: UInt64

  public init(
    uuid: String, directory: String, storeCount: Int, volumeCount: Int, sizeBytes: UInt64, usedBytes: UInt64,
    freeBytes: UInt64, provisionedBytes: UInt64
  ) {
    self.uuid = uuid
    self.directory = directory
    self.storeCount = storeCount
    self.volumeCount = volumeCount
    self.sizeBytes = sizeBytes
    self.usedBytes = usedBytes
    self.freeBytes = freeBytes
    self.provisionedBytes = provisionedBytes
  }
}
