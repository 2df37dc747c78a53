import ExtentMap
import Measurement
public import NBDWire
public import Platform
import Primitives
import Synchronization

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
  /// A store has failed in the round that it leads.
  var isRoundRepeated = false
  /// It does without no store.
  var isRoundWhole = true
  /// When the round began, and the stores whose synchronization has not ended.
  var roundBegan: UInt64 = 0
  var roundPending: [StoreID] = []
  /// Changes were given up in it, whose data is lost.
  var roundDrops = false
  /// Stores that it has not asked, because they are late or behind.
  var roundSkips: [StoreID] = []
  /// Volumes whose changes it does not commit, because their data waits for a store that is late.
  var roundExcludes: Set<VolumeID> = []
  /// Synchronizations of earlier rounds that have not ended, by store: the round that began each, and when.
  var lateSynchronizations: [(store: StoreID, round: UInt32, began: UInt64)] = []
  let zeros: AlignedMemory
  /// The time, in nanoseconds on a clock that does not jump; whoever drives the redirector sets it before
  /// each turn.
  public var now: UInt64 = 0
  /// An operation and its memory have become free since the driver cleared this: requests that found no room
  /// may find it now.
  public var hasReleased = false
  /// Some parked operation has to go on as another one, and there was none.
  var waitsForOperation = false
  /// By store.
  var readPaces = [StorePace](repeating: StorePace(.read), count: StoreTable.capacity)
  var writePaces = [StorePace](repeating: StorePace(.write), count: StoreTable.capacity)
  var synchronizationPaces = [StorePace](
    repeating: StorePace(.synchronization), count: StoreTable.capacity)
  var readDeadlines = [DeadlineQueue](repeating: DeadlineQueue(), count: StoreTable.capacity)
  /// Writes to several copies, by the one that may take longest.
  var writeDeadlines = [DeadlineQueue](repeating: DeadlineQueue(), count: StoreTable.capacity)
  var watchedWriteStores: [UInt8] = []
  /// Transfers of moves that writers wait for. Apart from writes, which are not granted as long.
  var lastPassDeadlines = DeadlineQueue()
  /// Stores with reads that might be sent again.
  var watchedStores: [UInt8] = []
  var hedges = HedgeBudget()
  /// How often it did without something that took too long.
  public internal(set) var missedDeadlines = MissedDeadlines()
  /// Counts what the stores do, and how long requests take.
  let meters: StoreMeters

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
  ///   - meters: what it counts with; nobody else does.
  public init(
    _ shared: SharedState, number: Int, operationsMax: Int, bufferBytes: Int,
    meters: StoreMeters = StoreMeters()
  ) throws(SystemError) {
    precondition(operationsMax >= 1024, "fewer operations than the pieces of the longest request")
    precondition(
      operationsMax * shared.redirectorCount <= MapEntry.writersMax, "too many writers for an entry")
    self.shared = shared
    self.meters = meters
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
    if unsafe op.pointee.holds > 0 {
      // The kernel still has its memory.
      unsafe op.pointee.isReleased = true
      return
    }
    if unsafe op.pointee.bufferBytes > 0, let buffer = unsafe op.pointee.buffer {
      unsafe arena.release(buffer, bytes: op.pointee.bufferBytes)
    }
    slab.release(index)
    hasReleased = true
    if waitsForOperation {
      waitsForOperation = false
      isRetryDue = true
    }
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
    unsafe op.pointee.arrived = now
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
    unsafe op.pointee.copies = CopySet()
    unsafe op.pointee.skipsCopies = false
    unsafe op.pointee.readsEdgesAsOperations = false
    unsafe op.pointee.began = 0
    unsafe op.pointee.isOverdue = false
    unsafe op.pointee.twin = Operation.none
    unsafe op.pointee.isOrphan = false
    unsafe op.pointee.pending = CopySet()
    unsafe op.pointee.isPinned = false
    unsafe op.pointee.late = CopySet()
    unsafe op.pointee.latePreparation = .unmapped
    unsafe op.pointee.holds = 0
    unsafe op.pointee.isReleased = false
    unsafe op.pointee.move = MoveState()
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
    _ kind: Directive.Kind, store: UInt8 = 0, durable: Bool = false, isPatient: Bool = true,
    length: UInt64 = 0, offset: UInt64 = 0, buffer: UnsafeMutableRawPointer? = nil,
    token: UInt64 = Token.none
  ) {
    unsafe directives.append(
      Directive(
        kind: kind, store: store, durable: durable, isPatient: isPatient, length: length, offset: offset,
        buffer: buffer, token: token))
  }

  /// Emits a directive for the operation's store whose completion goes to the operation.
  func emit(
    _ kind: Directive.Kind, for index: UInt32, length: UInt64, offset: UInt64,
    buffer: UnsafeMutableRawPointer? = nil, durable: Bool = false
  ) {
    unsafe emit(
      kind, for: index, in: operation(index).pointee.store, length: length, offset: offset, buffer: buffer,
      durable: durable)
  }

  /// Emits a directive for any store whose completion goes to the operation.
  func emit(
    _ kind: Directive.Kind, for index: UInt32, in store: StoreID, length: UInt64, offset: UInt64,
    buffer: UnsafeMutableRawPointer? = nil, durable: Bool = false
  ) {
    let op = unsafe operation(index)
    unsafe op.pointee.commandsPending += 1
    // A move is tried again later.
    let isPatient = unsafe !op.pointee.view.marks.failsAtOnce && op.pointee.kind != .move
    if kind == .read || kind == .write {
      unsafe op.pointee.emitted = now
      meters[store].begin()
    }
    unsafe emit(
      kind, store: store.rawValue, durable: durable, isPatient: isPatient, length: length, offset: offset,
      buffer: buffer,
      token: Token.make(
        index, op.pointee.generation, store: store,
        expectedBytes: kind == .read || kind == .write ? length : 0))
  }

  /// First byte of a copy in its store's file.
  func slotOffset(of copy: MapEntry, _ view: ExtentMapView) -> UInt64 {
    shared.stores.dataOffset(of: copy.store) + copy.slot << UInt64(view.extentShift)
  }

  // MARK: Completions

  /// Takes the result of a directive.
  public func complete(_ token: UInt64, _ result: Int32) {
    let index = Token.index(token)
    let op = unsafe operation(index)
    if Canary.answersBeforeCompletion.isOut, isAnswered(index, token) { return }
    if index == leader {
      completeRound(result, token)
      return
    }
    guard unsafe op.pointee.generation == Token.generation(token) else {
      preconditionFailure("a completion for an operation that has ended")
    }
    meter(index, token, result)
    if unsafe op.pointee.isOrphan {
      endOrphan(index)
      return
    }
    if unsafe op.pointee.latePreparation.isMapped,
      unsafe op.pointee.latePreparation.store == Token.store(token)
    {
      endLatePreparation(index)
      return
    }
    if unsafe op.pointee.late.count > 0, unsafe op.pointee.late.contains(in: Token.store(token)) {
      endLate(index, Token.store(token))
      return
    }
    if unsafe op.pointee.pending.count > 0 { endPending(index, Token.store(token), result) }
    if result < 0 {
      failed(index, Token.store(token), result)
    } else if result != Token.expectedBytes(token) {
      // A store that gives less than was asked for has been truncated under us.
      failed(
        index, Token.store(token), -StoreErrno.io,
        cause: "\(result) bytes instead of \(Token.expectedBytes(token))")
    }
    unsafe op.pointee.commandsPending -= 1
    if unsafe op.pointee.commandsPending == 0 {
      advance(index)
    } else if unsafe op.pointee.isOverdue && op.pointee.pending.count > 0 {
      leavePending(index)
    }
  }

  /// A directive of an operation has failed: with the other copies it may go on.
  private func failed(_ index: UInt32, _ store: StoreID, _ result: Int32, cause: String? = nil) {
    let op = unsafe operation(index)
    noteFault(index, store, result, cause: cause)
    if unsafe op.pointee.result == 0 && !leaveCopy(index, in: store, result) {
      unsafe op.pointee.result = result
    }
  }

  private func noteFault(_ index: UInt32, _ store: StoreID, _ result: Int32, cause: String?) {
    let op = unsafe operation(index)
    let kind: FaultKind =
      switch unsafe op.pointee.step {
      case .preparing: .prepare
      case .readingEdges: .read
      default: isReading(index) ? .read : .write
      }
    // There is another way to make zeros; whoever asked goes on with it.
    if unsafe result == -StoreErrno.notSupported && (kind == .prepare || op.pointee.kind == .zero) { return }
    // Nobody has asked for it who would not know that the store is away.
    if unsafe op.pointee.kind == .probe && StoreErrno.isSilence(result) { return }
    unsafe shared.faults.note(
      kind, store: store, volume: op.pointee.view.volume, errno: -result, cause: cause)
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
      switch unsafe op.pointee.kind {
      case .read: finishRead(index)
      case .move: advanceFilling(index)
      case .scan: advanceScan(index)
      case .probe: advanceProbe(index)
      default: advanceTransfer(index)
      }
    case .readingEdges: mergeEdges(index)
    case .preparing: advancePreparation(index)
    case .new, .parked, .draining, .joining, .activating, .flushing, .finished:
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
    if unsafe whole.pointee.step == .readingEdges {
      finishEdgeRead(index)
      return
    }
    if let error = unsafe op.pointee.error { unsafe whole.pointee.error = whole.pointee.error ?? error }
    if unsafe op.pointee.flags.contains(.needsFlush) { unsafe whole.pointee.flags.insert(.needsFlush) }
    if unsafe op.pointee.kind == .read && op.pointee.flags.contains(.chunked) && op.pointee.error == nil {
      unsafe op.pointee.step = .finished
      finished.append(index, in: slab)
    } else {
      if unsafe op.pointee.kind == .read && op.pointee.bufferBytes > 0 && op.pointee.error == nil {
        joinPiece(index)
      }
      release(index)
    }
    unsafe whole.pointee.piecesPending -= 1
    if unsafe whole.pointee.piecesPending == 0 { finishRequest(parent) }
  }

  /// Ends a request: with a flush if something of it is not durable and has to be.
  func finishRequest(_ index: UInt32) {
    let op = unsafe operation(index)
    if unsafe op.pointee.parent != Operation.none {
      finishPart(index)
      return
    }
    if unsafe op.pointee.flags.contains(.needsFlush) && op.pointee.error == nil {
      unsafe op.pointee.flags.remove(.needsFlush)
      enterFlush(index)
      return
    }
    meterRequest(index)
    unsafe op.pointee.step = .finished
    finished.append(index, in: slab)
  }
}
