public import ExtentMap
public import NBDWire
public import Platform
import Primitives
import Synchronization

/// A request as it enters the I/O path. The range is not empty unless it is a flush, and lies within the
/// volume.
public struct Request {
  /// The map of the volume.
  public var view: ExtentMapView
  /// First byte, from the start of the volume.
  public var offset: UInt64
  /// Bytes.
  public var length: UInt64
  /// How it is to be done.
  public var flags: OperationFlags
  /// The client's name for it.
  public var cookie: UInt64
  /// Who asked: comes back in the operation.
  public var owner: UInt64
  /// The volume's size: a trim or zero up to the end covers the last extent whole.
  public var volumeBytes: UInt64

  /// A request; nothing is checked.
  public init(
    view: ExtentMapView, offset: UInt64, length: UInt64, flags: OperationFlags, cookie: UInt64,
    owner: UInt64, volumeBytes: UInt64
  ) {
    self.view = view
    self.offset = offset
    self.length = length
    self.flags = flags
    self.cookie = cookie
    self.owner = owner
    self.volumeBytes = volumeBytes
  }

  /// An accepted request of a client.
  ///
  /// - Parameter hasChunks: whether replies can come in pieces.
  public init(
    _ header: RequestHeader, view: ExtentMapView, volumeBytes: UInt64, owner: UInt64, hasChunks: Bool
  ) {
    self.init(
      view: view, offset: header.offset, length: header.length, flags: [], cookie: header.cookie,
      owner: owner, volumeBytes: volumeBytes)
    if header.commandNumber == Command.read.rawValue {
      if hasChunks && !header.flags.contains(.dontFragment) { flags = .chunked }
      return
    }
    if header.flags.contains(.forceUnitAccess) { flags.insert(.durable) }
    if header.flags.contains(.noHole) { flags.insert(.keepAllocated) }
    if header.flags.contains(.fastZero) { flags.insert(.fastOnly) }
  }
}

/// The I/O path of one reactor: splits requests at extent edges, redirects the pieces through the
/// extent map, allocates, zeroes, unmaps and flushes.
///
/// It does no I/O and reads no clock: requests and completions go in, `directives` and finished
/// operations come out. So the simulator can drive it as well as a ring. Confined to one thread; what
/// redirectors share is in `SharedState`.
@safe
public final class Redirector {
  let shared: SharedState
  let number: UInt8
  var slab: OperationSlab
  var arena: BufferArena
  /// What the driver must do next; it takes them all and clears the queue.
  public var directives = DirectiveQueue(capacity: 1024)
  var finished = OperationQueue()
  var parked = OperationQueue()
  /// Operations that wait for slots on their way back, and what `Reclaimer.spaceChanges` was before the
  /// first of them found no space.
  var waitingForSpace = OperationQueue()
  var spaceChangesSeen = 0
  /// Operation that `retryParked` is trying again, and whether it parked once more.
  var resuming = Operation.none
  var hasReparked = false
  /// Whether parked operations should be tried again before the driver waits.
  public internal(set) var isRetryDue = false
  /// Slab entries promised to the pieces of writes whose payload is still on its way.
  var reserved = 0
  /// Operations in flight by parity of the grace period they started in.
  var inFlight = (0, 0)
  var epoch: UInt8 = 0
  var isInGrace = false
  /// Writes that have ended since the last flush, and how many flushes in a row came after just one.
  var writesSinceFlush = 0
  var flushesAfterOneWrite = 0
  /// From so many of them on the next flush is foreseen.
  static let flushIsForeseenFrom = 4
  /// The slab entry of the flush rounds that this redirector leads.
  let leader: UInt32
  var leaderHasChanges = false
  let zeros: AlignedMemory

  /// Bytes of zeros that one directive writes.
  static let zerosBytes: UInt64 = 256 << 10
  /// Up to here, zeros are written; beyond, the file system is asked to zero the range.
  static let writeZerosUpTo: UInt64 = 64 << 10
  /// Pieces that the longest request (32 MiB, unaligned, on 64 KiB extents) can have.
  public static let piecesMax = 513

  /// - Parameters:
  ///   - number: index among the pool's redirectors.
  ///   - operationsMax: requests and pieces in flight; at least 1,024.
  ///   - bufferBytes: bytes of payload in flight.
  public init(_ shared: SharedState, number: Int, operationsMax: Int, bufferBytes: Int) throws(SystemError) {
    precondition(operationsMax >= 1024, "fewer operations than the pieces of the longest request")
    precondition(
      operationsMax * shared.redirectorCount <= MapEntry.writersMax, "too many writers for an entry")
    self.shared = shared
    self.number = UInt8(number)
    slab = OperationSlab(capacity: operationsMax)
    arena = try BufferArena(bytes: bufferBytes)
    zeros = try AlignedMemory(count: Int(Self.zerosBytes))
    leader = slab.take()
  }

  // MARK: What the driver sees of operations

  /// An operation, valid until it is released.
  @inline(__always)
  public func operation(_ index: UInt32) -> UnsafeMutablePointer<Operation> {
    unsafe slab.base + Int(index)
  }

  /// Takes the next operation that is ready to be answered; the caller releases it once it has been.
  public func popFinished() -> UInt32? {
    finished.popFirst(in: slab)
  }

  /// Ends the life of a finished operation and of its buffer.
  public func release(_ index: UInt32) {
    let op = unsafe operation(index)
    if unsafe op.pointee.bufferBytes > 0, let buffer = unsafe op.pointee.buffer {
      unsafe arena.release(buffer, bytes: op.pointee.bufferBytes)
    }
    slab.release(index)
  }

  /// Requests and their pieces that are not released yet.
  public var operationsInUse: Int { slab.capacity - 1 - slab.freeCount }

  /// The memory of all buffers, for registration with the ring.
  public var bufferMemory: UnsafeMutableRawBufferPointer {
    unsafe UnsafeMutableRawBufferPointer(start: arena.base, count: arena.count)
  }

  /// Gives memory beyond `offset` back to the system if no buffer is in use.
  public func trimMemory(from offset: Int) {
    if arena.isIdle { arena.discardIdle(from: offset) }
  }

  /// Whether no operation exists: nothing in flight, nothing unanswered.
  public var isIdle: Bool { slab.freeCount == slab.capacity - 1 && reserved == 0 }

  /// Whether it is idle and holds nothing back: no memory, no grace period.
  package var isAtRest: Bool {
    isIdle && arena.isIdle && parked.isEmpty && waitingForSpace.isEmpty && inFlight == (0, 0) && !isInGrace
  }

  /// Operations that wait for a gate or a range, and those that wait for space.
  package var waitingCounts: (parked: Int, forSpace: Int) { (parked.count, waitingForSpace.count) }

  // MARK: Making operations

  /// Makes an operation that is finished already: the answer to a request that needs no I/O. It does not
  /// appear in `popFinished`.
  ///
  /// - Parameter bufferBytes: room for the caller to write the answer into; it sets `length` to what it used.
  /// - Returns: nil if there is no room for it now.
  public func makeAnswer(_ request: Request, error: NBDErrno?, bufferBytes: Int = 0) -> UInt32? {
    guard hasRoom(pieces: 1) else { return nil }
    var buffer: UnsafeMutableRawPointer?
    if bufferBytes > 0 {
      unsafe buffer = arena.allocate(bytes: bufferBytes)
      if unsafe buffer == nil { return nil }
    }
    let index = make(.answer, request)
    let op = unsafe operation(index)
    unsafe op.pointee.step = .finished
    unsafe op.pointee.error = error
    unsafe op.pointee.length = 0
    unsafe op.pointee.buffer = buffer
    unsafe op.pointee.bufferBytes = bufferBytes
    return index
  }

  /// Whether a request of `pieces` pieces would find room.
  func hasRoom(pieces: Int) -> Bool {
    slab.freeCount - reserved > (pieces > 1 ? pieces : 0)
  }

  func pieces(of request: Request) -> Int {
    let shift = UInt64(request.view.extentShift)
    let last = (request.offset + max(request.length, 1) - 1) >> shift
    return Int(last - request.offset >> shift) + 1
  }

  func make(_ kind: OperationKind, _ request: Request) -> UInt32 {
    let index = slab.take()
    let op = unsafe operation(index)
    unsafe op.pointee.kind = kind
    unsafe op.pointee.flags = request.flags
    unsafe op.pointee.step = .new
    unsafe op.pointee.error = nil
    unsafe op.pointee.owner = request.owner
    unsafe op.pointee.cookie = request.cookie
    unsafe op.pointee.offset = request.offset
    unsafe op.pointee.length = request.length
    unsafe op.pointee.buffer = nil
    unsafe op.pointee.bufferBytes = 0
    unsafe op.pointee.scratch = nil
    unsafe op.pointee.view = request.view
    unsafe op.pointee.parent = Operation.none
    unsafe op.pointee.piecesPending = 0
    unsafe op.pointee.cursor = request.offset
    unsafe op.pointee.partLength = request.length
    unsafe op.pointee.commandsPending = 0
    unsafe op.pointee.result = 0
    unsafe op.pointee.holdsRange = false
    unsafe op.pointee.isSelfDurable = false
    unsafe op.pointee.placement = SlotPlacement()
    unsafe op.pointee.progress = 0
    return index
  }

  /// A piece of `parent`: the part of it from `offset` on that lies in one extent.
  func makePiece(of parent: UInt32, offset: UInt64) -> UInt32 {
    let index = slab.take()
    let whole = unsafe operation(parent)
    let op = unsafe operation(index)
    let shift = unsafe UInt64(whole.pointee.view.extentShift)
    let extentEnd = ((offset >> shift) + 1) << shift
    let generation = unsafe op.pointee.generation
    unsafe op.pointee = whole.pointee
    unsafe op.pointee.generation = generation
    // A piece that was refused at once has left its error there already.
    unsafe op.pointee.error = nil
    unsafe op.pointee.flags.insert(.piece)
    unsafe op.pointee.flags.remove(.answeredInPieces)
    unsafe op.pointee.offset = offset
    unsafe op.pointee.length = min(extentEnd, whole.pointee.offset + whole.pointee.length) - offset
    unsafe op.pointee.cursor = offset
    unsafe op.pointee.partLength = op.pointee.length
    unsafe op.pointee.bufferBytes = 0
    unsafe op.pointee.parent = parent
    unsafe op.pointee.piecesPending = 0
    let skipped = unsafe Block.floor(offset) - Block.floor(whole.pointee.offset)
    if let buffer = unsafe whole.pointee.buffer { unsafe op.pointee.buffer = buffer + Int(skipped) }
    return index
  }

  // MARK: Directives

  func emit(
    _ kind: Directive.Kind, store: UInt8 = 0, durable: Bool = false, length: UInt64 = 0, offset: UInt64 = 0,
    buffer: UnsafeMutableRawPointer? = nil, token: UInt64 = Token.none
  ) {
    unsafe directives.append(
      Directive(
        kind: kind, store: store, durable: durable, length: length, offset: offset, buffer: buffer,
        token: token))
  }

  /// Emits a directive whose completion goes to the operation.
  func emit(
    _ kind: Directive.Kind, for index: UInt32, length: UInt64, offset: UInt64,
    buffer: UnsafeMutableRawPointer? = nil, durable: Bool = false
  ) {
    let op = unsafe operation(index)
    unsafe op.pointee.commandsPending += 1
    unsafe emit(
      kind, store: op.pointee.store.rawValue, durable: durable, length: length, offset: offset,
      buffer: buffer,
      token: Token.make(
        index, op.pointee.generation, store: op.pointee.store,
        expectedBytes: kind == .read || kind == .write ? length : 0))
  }

  // MARK: Completions

  /// Takes the result of a directive.
  public func complete(_ token: UInt64, _ result: Int32) {
    let index = Token.index(token)
    let op = unsafe operation(index)
    if Canary.answersBeforeCompletion.isOut, isAnswered(index, token) { return }
    guard unsafe op.pointee.generation == Token.generation(token) else {
      preconditionFailure("a completion for an operation that has ended")
    }
    if index == leader {
      completeRound(result, store: Token.store(token))
      return
    }
    if result < 0 {
      if unsafe op.pointee.result == 0 { unsafe op.pointee.result = result }
      noteFault(index, result)
    } else if unsafe result != Token.expectedBytes(token) && op.pointee.result == 0 {
      // A store that gives less than was asked for has been truncated under us.
      unsafe op.pointee.result = -StoreErrno.io
      noteFault(index, -StoreErrno.io, cause: "\(result) bytes instead of \(Token.expectedBytes(token))")
    }
    unsafe op.pointee.commandsPending -= 1
    if unsafe op.pointee.commandsPending == 0 { advance(index) }
  }

  private func noteFault(_ index: UInt32, _ result: Int32, cause: String? = nil) {
    let op = unsafe operation(index)
    let kind: FaultKind =
      switch unsafe op.pointee.step {
      case .preparing: .prepare
      case .readingEdges: .read
      default: unsafe op.pointee.kind == .read ? .read : .write
      }
    // There is another way to make zeros; whoever asked goes on with it.
    if unsafe result == -StoreErrno.notSupported && (kind == .prepare || op.pointee.kind == .zero) { return }
    unsafe shared.faults.note(
      kind, store: op.pointee.store, volume: op.pointee.view.volume, errno: -result, cause: cause)
  }

  /// Whether an operation has ended although a directive of it is under way: with a canary only.
  private func isAnswered(_ index: UInt32, _ token: UInt64) -> Bool {
    let op = unsafe operation(index)
    if unsafe op.pointee.generation != Token.generation(token) { return true }
    return unsafe index != leader && (op.pointee.step == .finished || op.pointee.step == .flushing)
  }

  private func advance(_ index: UInt32) {
    let op = unsafe operation(index)
    switch unsafe op.pointee.step {
    case .transferring:
      if unsafe op.pointee.kind == .read { finishRead(index) } else { advanceTransfer(index) }
    case .readingEdges: mergeEdges(index)
    case .preparing: advancePreparation(index)
    case .new, .parked, .draining, .joining, .flushing, .finished:
      preconditionFailure("a completion in a step without directives")
    }
  }

  // MARK: The end of an operation

  /// Ends a piece or a whole request of one piece.
  func finishPart(_ index: UInt32) {
    let op = unsafe operation(index)
    let parent = unsafe op.pointee.parent
    guard parent != Operation.none else {
      finishRequest(index)
      return
    }
    let whole = unsafe operation(parent)
    if let error = unsafe op.pointee.error { unsafe whole.pointee.error = whole.pointee.error ?? error }
    if unsafe op.pointee.flags.contains(.needsFlush) { unsafe whole.pointee.flags.insert(.needsFlush) }
    if unsafe op.pointee.kind == .read && op.pointee.flags.contains(.chunked) && op.pointee.error == nil {
      unsafe op.pointee.step = .finished
      finished.append(index, in: slab)
    } else {
      slab.release(index)
    }
    unsafe whole.pointee.piecesPending -= 1
    if unsafe whole.pointee.piecesPending == 0 { finishRequest(parent) }
  }

  /// Ends a request: with a flush if something of it is not durable and has to be.
  func finishRequest(_ index: UInt32) {
    let op = unsafe operation(index)
    if unsafe op.pointee.flags.contains(.needsFlush) && op.pointee.error == nil {
      unsafe op.pointee.flags.remove(.needsFlush)
      enterFlush(index)
      return
    }
    unsafe op.pointee.step = .finished
    finished.append(index, in: slab)
  }
}
