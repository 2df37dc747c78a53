import ExtentMap
public import NBDWire
import Primitives

/// What a client asked for.
@frozen
public enum OperationKind: UInt8, Sendable {
  case read, write, trim, zero, flush
  /// A step of a move (`MoveStep`).
  case move
  /// Reading a part of a copy for its checksum (`Scan`).
  case scan
  /// A block of a store is read and written, to see how the store is.
  case probe
  /// Not I/O: an answer that is known already, an error or the content of the buffer.
  case answer
}

/// How an operation is to be done.
@frozen
public struct OperationFlags: OptionSet, Sendable {
  /// The bits.
  public let rawValue: UInt8

  /// A set of bits.
  @inlinable
  public init(rawValue: UInt8) {
    self.rawValue = rawValue
  }

  /// Durable before it is acknowledged.
  public static let durable = OperationFlags(rawValue: 1)
  /// Zeroed ranges stay allocated.
  public static let keepAllocated = OperationFlags(rawValue: 2)
  /// Fail with ENOTSUP rather than zero slowly.
  public static let fastOnly = OperationFlags(rawValue: 4)
  /// The pieces of a read may be answered one by one, holes as holes.
  public static let chunked = OperationFlags(rawValue: 8)
  /// A piece of a request that crosses extents; its parent is answered when all pieces are.
  public static let piece = OperationFlags(rawValue: 16)
  /// The result of a read is a hole: there is no payload.
  public static let hole = OperationFlags(rawValue: 32)
  /// A piece was not durable by itself: the request ends with a flush.
  public static let needsFlush = OperationFlags(rawValue: 64)
  /// A read whose pieces have been answered one by one: only the end is left to say.
  public static let answeredInPieces = OperationFlags(rawValue: 128)
}

/// Where an operation stands.
@frozen
@usableFromInline
enum Step: UInt8 {
  /// Made; a write's payload may still be on its way.
  case new
  /// Waiting for a gate, a range or a free extent; tried again when something was released.
  case parked
  /// Holds the gate and waits until the writers of the extent have drained.
  case draining
  /// Makes a fresh slot read as zeros, under the gate.
  case preparing
  /// Reads the blocks that the request covers in part.
  case readingEdges
  /// Reads, writes or zeroes data.
  case transferring
  /// Waits for its pieces.
  case joining
  /// Waits for the flush that tells the catalog that copies may differ, or to forget a seal.
  case activating
  /// Waits for a flush.
  case flushing
  /// Done; waits to be answered and released.
  case finished
}

/// One request, or one piece of a request that crosses extents: an entry of the slab.
@safe
public struct Operation {
  /// Link of whatever list the operation is in: free, parked, finished, a connection's replies.
  public var next: UInt32
  /// Tells it apart from earlier users of the same slab entry.
  public var generation: UInt32
  /// What was asked for.
  public var kind: OperationKind
  /// How it is to be done, and what has become of it.
  public var flags: OperationFlags
  var step: Step
  /// Grace period in which it started.
  var epoch: UInt8
  /// 0, or the errno for the client.
  public var error: NBDErrno?
  /// Who asked: chosen by the caller.
  public var owner: UInt64
  /// The client's name for the request.
  public var cookie: UInt64
  /// First byte, from the start of the volume.
  public var offset: UInt64
  /// Bytes. Of an answer: what is used of its buffer.
  public var length: UInt64
  /// Page-aligned buffer; its first byte belongs to the block that holds `offset`.
  public var buffer: UnsafeMutableRawPointer?
  var bufferBytes: Int
  var view: ExtentMapView

  /// Two pages for the blocks that a write or zero covers in part.
  var scratch: UnsafeMutableRawPointer?

  /// The request that this is a piece of.
  public var parent: UInt32
  /// Pieces that have not ended; before a write starts, entries that it has reserved for them.
  var piecesPending: UInt32

  // The part that is being worked on: a whole piece, or one extent of a trim or zero.
  var cursor: UInt64
  var partLength: UInt64
  /// Where a trim or zero ends, rounded up to a whole extent at the end of the volume.
  var limit: UInt64
  /// The copy that is worked on: its address, its store, and the first byte of its slot in the store's file.
  var copy: MapEntry
  var store: StoreID
  var slotOffset: UInt64
  var commandsPending: UInt16
  /// First failure among the directives of this step: 0 or -errno.
  var result: Int32
  /// Its blocks are locked in `RangeLocks`.
  var holdsRange: Bool
  /// Its write was durable by itself.
  var isSelfDurable: Bool
  /// The slot being prepared, and the stores tried before it.
  var placement: SlotPlacement
  var prepare: PrepareMethod
  /// Why the first store that was tried could not be used: 0 or -errno.
  var placementFailure: Int32
  /// Bytes prepared or zeroed so far.
  var progress: UInt64
  /// Of an extent with shadows: the copies that are written, or that could not be read.
  var copies: CopySet
  /// Of a write to an extent with shadows: the copies that it was sent to.
  var tried: CopySet
  /// Of a write to an extent with shadows: which copy was the live one when it began.
  var live: MapEntry
  /// Copies that are not written exist; they lack it.
  var skipsCopies: Bool
  /// When the request had arrived whole, on the driver's clock.
  public var arrived: UInt64
  /// When its last transfers were handed to the driver, likewise.
  var emitted: UInt64
  /// When its transfer began, on the driver's clock; 0 if nobody waits for it.
  var began: UInt64
  /// It has missed its deadline.
  var isOverdue: Bool
  /// The same read of another copy: the first to end answers.
  var twin: UInt32
  /// Somebody else has answered; it only waits for the kernel to give its buffer back.
  var isOrphan: Bool
  /// Copies whose write has not ended, and the bytes of each of these writes.
  var pending: CopySet
  var pendingBytes: UInt64
  /// The blocks that it covers in part are read by operations of their own, which it is the parent of.
  var readsEdgesAsOperations: Bool
  /// Of a zero: the edges of the part that have been written.
  var edgesDone: ZeroEdges
  /// A slot that is no longer waited for although its preparation has not ended.
  var latePreparation: MapEntry
  /// It is counted as a writer of its extent.
  var isPinned: Bool
  /// Copies that are no longer waited for although their write has not ended.
  var late: CopySet
  /// Such writes of this operation and of its pieces: its memory is theirs until they end.
  var holds: UInt16
  /// Released by its driver, as soon as nothing holds it.
  var isReleased: Bool
  /// Of a move.
  var move: MoveState
  /// Of a scan.
  var scan: Scan
  var scanOutcome: ScanOutcome

  static let none = UInt32.max

  /// First byte of the payload in the buffer.
  public var payload: UnsafeMutableRawPointer? {
    guard let buffer = unsafe buffer else { return nil }
    return unsafe buffer + Int(offset % Block.bytes)
  }
}
