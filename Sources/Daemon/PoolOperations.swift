public import HTTPService
public import Primitives
public import Stores

/// What the command line does without a running daemon.
public struct PoolOperations: OfflineOperations {
  /// Holds nothing: each call works on the pool that it names.
  public init() {}

  /// Makes the stores and the catalog; see `OfflineOperations`.
  public func createPool(
    directory: String, stores: [StoreRequest], volumes: [VolumeRequest]
  ) throws(GnomonError) -> PoolInfo {
    try PoolCreation.create(directory, stores, volumes)
  }

  /// Checks a pool that nobody serves; see `OfflineOperations`.
  public func checkPool(directory: String) throws(GnomonError) -> CheckReport {
    try PoolCheck.run(directory: directory)
  }

  /// Serves a pool until SIGTERM or SIGINT; see `OfflineOperations`.
  public func serve(_ options: ServeOptions) throws(GnomonError) -> Int32 {
    // Before any thread exists, so that all of them inherit the mask.
    let signals = SignalSet()
    return try Daemon(options).run(signals)
  }
}
