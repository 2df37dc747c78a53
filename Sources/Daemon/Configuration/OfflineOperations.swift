public import HTTPService
public import Primitives

/// What the command line does without a running daemon.
public protocol OfflineOperations: Sendable {
  /// Creates a pool in a folder that has none. `directory` and the stores' paths are absolute, and
  /// everything has passed `Validation`.
  func createPool(
    directory: String, stores: [StoreRequest], volumes: [VolumeRequest]
  ) throws(GnomonError) -> PoolInfo

  /// Verifies the pool against its stores. Throws if it can not be verified: there is none, or it is served.
  func checkPool(directory: String) throws(GnomonError) -> CheckReport

  /// Serves the pool until a signal ends it.
  ///
  /// - Returns: the exit status.
  func serve(_ options: ServeOptions) throws(GnomonError) -> Int32
}

/// What `gnomon serve` was asked to do.
public struct ServeOptions: Sendable, Equatable {
  /// Absolute path of the pool's folder.
  public var directory: String
  public var configuration: Configuration

  public init(directory: String, configuration: Configuration) {
    self.directory = directory
    self.configuration = configuration
  }
}

/// What `gnomon check` found.
public struct CheckReport: Codable, Sendable, Equatable {
  /// Absolute path of the pool's folder.
  public var directory: String
  /// Empty if the pool is sound.
  public var errors: [CheckFinding]
  /// Oddities that lose nothing.
  public var warnings: [CheckFinding]
  public var storeCount: Int
  public var volumeCount: Int
  /// Extents that have a live copy.
  public var mappedExtents: UInt64
  public var mappedBytes: UInt64

  public init(
    directory: String, errors: [CheckFinding] = [], warnings: [CheckFinding] = [], storeCount: Int,
    volumeCount: Int, mappedExtents: UInt64, mappedBytes: UInt64
  ) {
    self.directory = directory
    self.errors = errors
    self.warnings = warnings
    self.storeCount = storeCount
    self.volumeCount = volumeCount
    self.mappedExtents = mappedExtents
    self.mappedBytes = mappedBytes
  }
}

/// One thing that is wrong with a pool.
public struct CheckFinding: Codable, Sendable, Equatable {
  public var text: String
  public var remedy: String?

  public init(_ text: String, remedy: String? = nil) {
    self.text = text
    self.remedy = remedy
  }
}
