public import HTTPService
public import Primitives
public import Stores

/// What the command line does without a running daemon.
public struct PoolOperations: OfflineOperations {
  public init() {}

  public func createPool(
    directory: String, stores: [StoreRequest], volumes: [VolumeRequest]
  ) throws(GnomonError) -> PoolInfo {
    try PoolCreation.create(directory, stores, volumes)
  }

  public func checkPool(directory: String) throws(GnomonError) -> CheckReport {
    try PoolCheck.run(directory: directory)
  }

  public func serve(_ options: ServeOptions) throws(GnomonError) -> Int32 {
    // Before any thread exists, so that all of them inherit the mask.
    let signals = SignalSet()
    return try Daemon(options).run(signals)
  }
}
