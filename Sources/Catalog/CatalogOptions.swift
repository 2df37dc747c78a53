/// What may differ from one catalog to another. The defaults are the daemon's.
public struct CatalogOptions: Sendable {
  /// Name of the SQLite VFS that keeps the files; nil for the operating system's. It needs no shared memory:
  /// a catalog is locked for one process before its first use.
  public var fileSystem: String?
  /// Frames of the write-ahead log (4 KiB each) above which a checkpoint folds it too.
  public var logFramesToFold = 1024
  /// Frames of the write-ahead log above which `append` folds it before it returns.
  public var logFramesMax = 16384

  /// The defaults.
  public init() {}
}
