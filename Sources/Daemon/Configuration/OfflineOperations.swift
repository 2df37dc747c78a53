public import HTTPService
public import Primitives
public import Stores

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
  /// Complete and checked.
  public var configuration: Configuration
  /// Names of stores to do without.
  public var absentStores: [String]

  /// Takes all as they are.
  public init(directory: String, configuration: Configuration, absentStores: [String] = []) {
    self.directory = directory
    self.configuration = configuration
    self.absentStores = absentStores
  }
}
