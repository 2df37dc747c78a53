import Daemon

/// The operations that need no running daemon.
func offlineOperations() -> any OfflineOperations {
  PoolOperations()
}
