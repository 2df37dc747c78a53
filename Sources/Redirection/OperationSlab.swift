import ExtentMap
public import Primitives

/// All operations of one reactor, allocated at start; taking and returning one is a list operation.
@safe
struct OperationSlab: ~Copyable {
  let base: UnsafeMutablePointer<Operation>
  let capacity: Int
  private var firstFree: UInt32
  private(set) var freeCount: Int

  init(capacity: Int) {
    precondition(capacity > 0 && capacity < Int(UInt16.max))
    self.capacity = capacity
    unsafe base = .allocate(capacity: capacity)
    for index in 0..<capacity {
      unsafe (base + index).initialize(to: Operation(generation: 0, next: UInt32(index + 1)))
    }
    unsafe base[capacity - 1].next = Operation.none
    firstFree = 0
    freeCount = capacity
  }

  deinit {
    unsafe base.deinitialize(count: capacity)
    unsafe base.deallocate()
  }

  /// Takes an entry; the caller has made sure that one is free.
  mutating func take() -> UInt32 {
    precondition(freeCount > 0)
    let index = firstFree
    unsafe firstFree = base[Int(index)].next
    freeCount -= 1
    return index
  }

  /// Returns an entry; tokens that name it are stale from now on.
  mutating func release(_ index: UInt32) {
    let generation = unsafe (base[Int(index)].generation &+ 1) & Token.generationMask
    unsafe base[Int(index)].generation = generation
    unsafe base[Int(index)].next = firstFree
    firstFree = index
    freeCount += 1
  }
}

extension Operation {
  init(generation: UInt32, next: UInt32) {
    self.next = next
    self.generation = generation
    kind = .read
    flags = []
    step = .new
    epoch = 0
    error = nil
    owner = 0
    cookie = 0
    offset = 0
    length = 0
    unsafe buffer = nil
    bufferBytes = 0
    unsafe scratch = nil
    view = .none
    parent = Self.none
    piecesPending = 0
    cursor = 0
    partLength = 0
    limit = 0
    copy = .unmapped
    store = StoreID(rawValue: 0)
    slotOffset = 0
    commandsPending = 0
    result = 0
    holdsRange = false
    isSelfDurable = false
    placement = SlotPlacement()
    prepare = .zeroRange
    placementFailure = 0
    progress = 0
    copies = CopySet()
    tried = CopySet()
    live = .unmapped
    skipsCopies = false
    arrived = 0
    emitted = 0
    began = 0
    isOverdue = false
    twin = Self.none
    isOrphan = false
    pending = CopySet()
    pendingBytes = 0
    isPinned = false
    readsEdgesAsOperations = false
    edgesDone = []
    late = CopySet()
    latePreparation = .unmapped
    holds = 0
    isReleased = false
    move = MoveState()
    scan = Scan()
    scanOutcome = .void
  }
}

/// Names an operation in a directive, so that a late completion cannot hit its successor.
///
/// ```
///  63 … 56   55 … 40      39 … 32   31 … 16    15 … 0
/// ┌────────┬────────────┬─────────┬──────────┬─────────┐
/// │ driver │ generation │  store  │ expected │  index  │
/// └────────┴────────────┴─────────┴──────────┴─────────┘
/// ```
///
/// `expected` is what the directive must return, in blocks.
public enum Token {
  static let generationMask: UInt32 = 0xffff
  /// The bits that the redirector uses; those above are the driver's.
  public static let mask: UInt64 = (1 << 56) - 1
  /// Nobody waits.
  static let none = mask

  static func make(
    _ index: UInt32, _ generation: UInt32, store: StoreID = StoreID(rawValue: 0), expectedBytes: UInt64 = 0
  ) -> UInt64 {
    UInt64(generation) << 40 | UInt64(store.rawValue) << 32 | (expectedBytes >> Block.shift) << 16
      | UInt64(index)
  }

  static func index(_ token: UInt64) -> UInt32 { UInt32(token & 0xffff) }
  static func expectedBytes(_ token: UInt64) -> Int32 { Int32((token >> 16) & 0xffff) << Int32(Block.shift) }
  static func generation(_ token: UInt64) -> UInt32 { UInt32(token >> 40) & generationMask }

  /// The store that the directive was for.
  public static func store(_ token: UInt64) -> StoreID {
    StoreID(rawValue: UInt8(truncatingIfNeeded: token >> 32))
  }
}

/// A first-in, first-out list of operations, linked through `next`.
struct OperationQueue {
  private(set) var first = Operation.none
  private var last = Operation.none
  private(set) var count = 0

  var isEmpty: Bool { count == 0 }

  mutating func append(_ index: UInt32, in slab: borrowing OperationSlab) {
    unsafe slab.base[Int(index)].next = Operation.none
    if isEmpty { first = index } else { unsafe slab.base[Int(last)].next = index }
    last = index
    count += 1
  }

  mutating func popFirst(in slab: borrowing OperationSlab) -> UInt32? {
    guard !isEmpty else { return nil }
    let index = first
    unsafe first = slab.base[Int(index)].next
    count -= 1
    return index
  }
}
