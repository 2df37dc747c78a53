/// Something the redirector wants done by its driver: the reactor, or the simulator.
///
/// The driver carries directives out in order of appearance, in parallel where they wait, and hands the
/// result of each one that carries a token to `Redirector.complete(_:_:)`: bytes, 0, or -errno.
@frozen
@safe
public struct Directive {
  /// What is wanted.
  @frozen
  public enum Kind: UInt8, Sendable {
    /// Read `length` bytes at `offset` of the store into `buffer`.
    case read
    /// Write them. `durable` if the completion must mean that they are on stable storage.
    case write
    /// Make a range read as zeros and keep it allocated (FALLOC_FL_ZERO_RANGE).
    case zero
    /// Free a range: it reads as zeros afterwards (FALLOC_FL_PUNCH_HOLE).
    case punch
    /// Reserve space for a range (fallocate mode 0).
    case reserve
    /// Make everything written to the store durable (fdatasync).
    case synchronize
    /// Commit the map changes that `MapChanges` has cut to the catalog.
    case commit
    /// Tell every other redirector to try its parked operations again.
    case wakePeers
    /// Have every redirector pass through a grace period (`beginGrace()`).
    case grace
    /// Discard and release the slots that `Reclaimer` holds ready, in the background.
    case reclaim
    /// Deliver the end of a flush to an operation of another redirector: `store` is the redirector's
    /// number, `token` the operation and `length` the errno or 0.
    case deliver
  }

  /// What is wanted.
  public var kind: Kind
  /// Number of the store, where one is concerned.
  public var store: UInt8
  /// Of a write: the completion must mean that the data is on stable storage.
  public var durable: Bool
  /// Whether it may wait for a store that can not be reached now; otherwise it fails at once.
  public var isPatient = true
  /// Bytes of the range.
  public var length: UInt64
  /// Bytes from the start of the store's file.
  public var offset: UInt64
  /// Memory to read into or write from; valid until the completion.
  public var buffer: UnsafeMutableRawPointer?
  /// Comes back with the result.
  public var token: UInt64
}

/// Directives that wait for the driver, oldest first. Grows to its peak once, then stays.
@safe
public struct DirectiveQueue: ~Copyable {
  private var base: UnsafeMutablePointer<Directive>
  private var capacity: Int
  /// Directives that wait.
  public private(set) var count = 0
  /// Whether one of them wakes the peers: then another would be for nothing. Once it has been carried out,
  /// what is released later needs its own.
  private(set) var wakesPeers = false

  init(capacity: Int) {
    self.capacity = capacity
    unsafe base = .allocate(capacity: capacity)
  }

  deinit {
    unsafe base.deallocate()
  }

  /// The directive at a position, the oldest at 0.
  public subscript(index: Int) -> Directive {
    precondition(index < count)
    return unsafe base[index]
  }

  /// Empties the queue: all have been carried out. Its memory stays.
  public mutating func removeAll() {
    count = 0
    wakesPeers = false
  }

  mutating func append(_ directive: Directive) {
    if count == capacity { grow() }
    unsafe (base + count).initialize(to: directive)
    count += 1
    if directive.kind == .wakePeers { wakesPeers = true }
  }

  private mutating func grow() {
    let larger = UnsafeMutablePointer<Directive>.allocate(capacity: capacity * 2)
    unsafe larger.moveInitialize(from: base, count: count)
    unsafe base.deallocate()
    unsafe base = larger
    capacity *= 2
  }
}
