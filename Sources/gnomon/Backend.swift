import Daemon
import HTTPService
import Primitives

/// The operations that need no running daemon.
func offlineOperations() -> any OfflineOperations {
  UnavailableOperations()
}

/// Stands in until the daemon's composition root exists.
private struct UnavailableOperations: OfflineOperations {
  func createPool(
    directory: String, stores: [StoreRequest], volumes: [VolumeRequest]
  ) throws(GnomonError) -> PoolInfo {
    throw GnomonError(.unavailable, "pools can not be created yet")
  }

  func checkPool(directory: String) throws(GnomonError) -> CheckReport {
    throw GnomonError(.unavailable, "pools can not be checked yet")
  }

  func serve(_ options: ServeOptions) throws(GnomonError) -> Int32 {
    throw GnomonError(.unavailable, "pools can not be served yet")
  }
}
