import Glibc
public import NBDWire
public import Platform
public import Primitives
import Synchronization

/// A store in an export of another server.
///
/// It has the layout of a `FileStore`, and a claim (`StoreClaim`) at 128 KiB. The first connection is made
/// when it is opened, by whoever may block; from then on a reactor owns the only one, and what the control
/// plane wants done goes through that (`RemoteChannel`).
public final class NBDStore: Store {
  /// The store as the catalog describes it; its path is the URI.
  public let record: StoreRecord
  /// What was found to work when the store was opened; nothing if its server could not be reached then.
  public let capabilities: StoreCapabilities
  let uri: NBDURI
  private let pool: UUID128
  private let claim: StoreClaim
  /// The connection that opening made, until the data path takes it over.
  private let first: Mutex<RemoteConnection?>
  private let channel = Mutex<(any RemoteChannel)?>(nil)
  private let remoteStatus: Mutex<RemoteStatus>
  /// Whether the claim was written in this run.
  private let isClaimed: Atomic<Bool>

  /// Where the first slot begins, in bytes.
  public var dataOffset: UInt64 { StoreLayout.dataOffset }
  /// Bytes for slots, in whole granules of 64 KiB.
  public var capacityBytes: UInt64 { StoreLayout.capacity(ofBytes: record.sizeBytes) }
  /// True: only a server that promises durability is taken.
  public var mayHoldLiveCopies: Bool { true }
  /// Through the connection that one reactor owns.
  public var access: StoreAccess { .remote(self) }

  /// Connects, and opens the store after it has proved to be the one that `record` describes. Nothing is
  /// written unless the label is right; then the scratch area and the claim are.
  ///
  /// - Parameter session: random, another one for each run of a daemon.
  /// - Throws: `unavailable` if the server can not be reached or breaks the protocol; `invalid` if its export
  ///   is not fit for a store; `corrupt` if it is too short, or its label is missing or damaged; `conflict`
  ///   if it is another store, or of another pool.
  public init(opening record: StoreRecord, pool: UUID128, session: UUID128) throws(GnomonError) {
    self.record = record
    self.pool = pool
    uri = try Self.uri(of: record)
    claim = StoreClaim(store: record.uuid, session: session, holder: Self.holder)
    do {
      let connection = try NBDConnection(opening: uri)
      try Self.check(connection.export, record)
      try Self.verify(connection, record, pool)
      capabilities = StoreCapabilities(probing: connection)
      try Self.write(claim, connection)
      first = Mutex(RemoteConnection(socket: try connection.takeSocket(), export: connection.export))
    } catch {
      throw StoreErrors.translate(error, record, "store \(record.name) can not be opened")
    }
    remoteStatus = Mutex(
      RemoteStatus(state: .connected, sinceNanoseconds: MonotonicClock.nanoseconds()))
    isClaimed = Atomic(true)
  }

  /// A store whose server can not be reached now. The first connection (`connect`) proves that it is the one
  /// that `record` describes, and claims it.
  ///
  /// - Throws: `invalid` if the record's URI makes no sense.
  init(awaiting record: StoreRecord, pool: UUID128, session: UUID128) throws(GnomonError) {
    self.record = record
    self.pool = pool
    uri = try Self.uri(of: record)
    claim = StoreClaim(store: record.uuid, session: session, holder: Self.holder)
    capabilities = StoreCapabilities(zeroRange: false, punchHole: false, preallocate: false)
    first = Mutex(nil)
    remoteStatus = Mutex(
      RemoteStatus(state: .reconnecting, sinceNanoseconds: MonotonicClock.nanoseconds()))
    isClaimed = Atomic(false)
  }

  private static func write(_ claim: StoreClaim, _ connection: NBDConnection) throws {
    try connection.write(claim.encoded(), at: StoreClaim.offset)
    try connection.flush()
  }

  deinit {
    if let socket = first.withLock({ $0?.socket }) { close(socket) }
  }

  // MARK: Connections of the data path

  /// A connection for the data path: the one that opening made, or else a new one after the store has proved
  /// to be the same, unchanged, and claimed by nobody else since this daemon has claimed it. Blocks for some
  /// seconds at most.
  ///
  /// - Throws: `unavailable` if the server can not be reached now; else why the store can not be used.
  public func connect() throws(GnomonError) -> RemoteConnection {
    let made = first.withLock { first in
      defer { first = nil }
      return first
    }
    if let made { return made }
    do {
      let connection = try NBDConnection(opening: uri)
      try Self.check(connection.export, record)
      try Self.verify(connection, record, pool)
      if isClaimed.load(ordering: .acquiring) {
        let block = try connection.read(StoreClaim.bytes, at: StoreClaim.offset)
        if let refusal = unsafe block.withUnsafeBytes({ unsafe refusal(ofClaim: $0) }) { throw refusal }
      } else {
        try Self.write(claim, connection)
        isClaimed.store(true, ordering: .releasing)
      }
      return RemoteConnection(socket: try connection.takeSocket(), export: connection.export)
    } catch let error as SystemError {
      // Whatever goes wrong between two processes may go right the next time.
      throw GnomonError(.unavailable, "store \(record.name) can not be reached", cause: error.description)
    } catch {
      throw StoreErrors.translate(error, record, "store \(record.name) can not be opened again")
    }
  }

  /// Where the claim lies: what the data path reads now and then.
  public static var claimRange: (offset: UInt64, bytes: Int) { (StoreClaim.offset, StoreClaim.bytes) }

  /// Why the store must not be used any more, if its claim is not the one that was written when it was
  /// opened.
  ///
  /// - Parameter block: the 4096 bytes at `claimRange`.
  public func refusal(ofClaim block: UnsafeRawBufferPointer) -> GnomonError? {
    let found = unsafe StoreClaim(decoding: block)
    if found == claim { return nil }
    return GnomonError(
      .conflict, "store \(record.name) has been taken over",
      cause: found.map { "it is used by \($0.holder) now" } ?? "its claim was overwritten",
      remedy: "let one daemon only use \(record.path), then start this one again")
  }

  /// Tells the control plane the way to the data path; nil: there is none any more.
  public func setChannel(_ channel: (any RemoteChannel)?) {
    self.channel.withLock { $0 = channel }
  }

  /// How it stands with the server.
  public var status: RemoteStatus {
    get { remoteStatus.withLock { $0 } }
    set { remoteStatus.withLock { $0 = newValue } }
  }

  // MARK: Store

  /// Has the server free the range, if it can and is there; what the range reads then is unknown.
  public func discard(offset: UInt64, length: UInt64) throws(SystemError) {
    precondition(offset >= dataOffset && offset + length <= dataOffset + capacityBytes)
    try perform(.discard, offset: offset, length: length)
  }

  /// Makes a range read zero.
  public func zero(offset: UInt64, length: UInt64) throws(SystemError) {
    precondition(offset >= dataOffset && offset + length <= dataOffset + capacityBytes)
    try perform(.zero, offset: offset, length: length)
  }

  /// Makes everything that was written durable (FLUSH).
  public func synchronize() throws(SystemError) {
    try perform(.synchronize, offset: 0, length: 0)
  }

  private func perform(_ command: RemoteCommand, offset: UInt64, length: UInt64) throws(SystemError) {
    guard let channel = channel.withLock({ $0 }) else {
      throw SystemError("nbd \(command)", record.path, errno: ENOTCONN)
    }
    let ended = try Signal()
    let result = Atomic<Int32>(0)
    channel.perform(command, offset: offset, length: length) {
      result.store($0, ordering: .releasing)
      ended.raise()
    }
    ended.wait()
    let code = result.load(ordering: .acquiring)
    guard code >= 0 else { throw SystemError("nbd \(command)", record.path, errno: -code) }
  }

  /// Does nothing: a claim is not a lock, and whoever comes next replaces it.
  public func unlock() {}
}

/// A connection that is ready for requests.
public struct RemoteConnection: Sendable {
  /// A blocking socket; the receiver closes it.
  public let socket: Int32
  /// What the server says about the export.
  public let export: ExportInfo
}
