import Glibc
public import Primitives

/// The one place that knows which type stands behind which kind of store.
public enum StoreFactory {
  /// Makes a store. When this returns, its label is durable; memory has none.
  ///
  /// - Parameter force: take the place although there is something in it. That is lost.
  /// - Returns: what was made; its record may say more than the one that was asked for.
  /// - Throws: `invalid` if the place is not fit for a store; `conflict` if something is there already or
  ///   it is
  ///   in use; `notFound`, `unavailable`, `full`, `system`.
  public static func create(
    _ record: StoreRecord, pool: UUID128, force: Bool = false
  ) throws(GnomonError) -> CreatedStore {
    switch record.kind {
    case .file:
      let isNew = unsafe Glibc.access(record.path, F_OK) != 0
      try FileStore.create(record, pool: pool, force: force)
      return CreatedStore(record: record, isNew: isNew)
    case .memory: return CreatedStore(record: record, isNew: false)
    case .nbd:
      return CreatedStore(record: try NBDStore.create(record, pool: pool, force: force), isNew: true)
    }
  }

  /// Opens a store after it has proved to be the one that `record` describes.
  ///
  /// - Parameter session: random, another one for each run of a daemon: what tells two daemons at one export
  ///   apart.
  /// - Throws: see the kinds' own initializers.
  public static func open(
    _ record: StoreRecord, pool: UUID128, session: UUID128
  ) throws(GnomonError) -> any Store {
    switch record.kind {
    case .file: try FileStore(opening: record, pool: pool)
    case .memory: try MemoryStore(record)
    case .nbd: try NBDStore(opening: record, pool: pool, session: session)
    }
  }

  /// Opens a store whose server can not be reached now: the data path connects as soon as it can, and checks
  /// then what `open` checks.
  ///
  /// - Returns: nil if the store's kind knows no such thing.
  /// - Throws: `invalid` if the record makes no sense.
  public static func openAway(
    _ record: StoreRecord, pool: UUID128, session: UUID128
  ) throws(GnomonError) -> (any Store)? {
    switch record.kind {
    case .file, .memory: nil
    case .nbd: try NBDStore(awaiting: record, pool: pool, session: session)
    }
  }

  /// Checks a store's label without opening the store for use, and without changing anything.
  ///
  /// - Returns: how many copies of the label are damaged although another is sound.
  /// - Throws: like `open(_:pool:)`.
  public static func inspect(_ record: StoreRecord, pool: UUID128) throws(GnomonError) -> Int {
    switch record.kind {
    case .file: try FileStore.inspect(record, pool: pool)
    case .memory: 0
    case .nbd: try NBDStore.inspect(record, pool: pool)
    }
  }

  /// Bytes for slots of the store that `record` describes, open or not.
  public static func capacityBytes(of record: StoreRecord) -> UInt64 {
    switch record.kind {
    case .file, .nbd: StoreLayout.capacity(ofBytes: record.sizeBytes)
    case .memory: record.sizeBytes / StoreLayout.granuleBytes * StoreLayout.granuleBytes
    }
  }
}

/// A store that was made and is not in any catalog yet.
public struct CreatedStore: Sendable {
  /// What the catalog is to know of it.
  public let record: StoreRecord
  /// Whether there was nothing before that could be left as it is: no file, no label.
  let isNew: Bool

  /// Removes what was made, as far as that can be done without touching what was there before.
  public func undo() {
    guard isNew else { return }
    if record.kind == .nbd { NBDStore.erase(record) } else { unsafe unlink(record.path) }
  }
}
