import Platform

/// What a server has acknowledged and no flush has made durable yet: it is sent again when the connection has
/// broken, since the server may have died and lost it.
///
/// Entries are in the order of their acknowledgements. Of two writes that overlap, the later one was sent
/// after the earlier one had been acknowledged, or else they had no order; so the latest entry of each
/// block is what the block must read. Memory is taken before a write is sent, so an acknowledged write
/// always finds room.
@safe
struct UnflushedWrites: ~Copyable {
  /// A stretch to be sent again; nil for the data: zeros.
  @safe
  struct Piece {
    var offset: UInt64
    var length: UInt64
    var data: UnsafeMutableRawPointer?
  }

  private enum Kind: UInt8 {
    case write, zero
    /// What the range reads now is unknown: nothing is sent again, and what was there before is not either.
    case trim
  }

  @safe
  private struct Entry {
    var kind: Kind
    var offset: UInt64
    var length: UInt64
    var data: UnsafeMutableRawPointer?
  }

  private var arena: BufferArena
  private let bytesMax: Int
  private var bytesTaken = 0
  /// A ring: entry `number` lies at `number % entriesMax`.
  private let entries: UnsafeMutablePointer<Entry>
  private var first: UInt64 = 0
  /// The number that the next entry gets: what a flush that is sent now makes durable ends before it.
  private(set) var end: UInt64 = 0
  /// Entries that requests on their way will need.
  private var entriesPromised = 0

  /// Entries that there may be.
  static let entriesMax = 16_384

  /// - Parameter bytes: memory for data, a multiple of 256 KiB.
  init(bytes: Int) throws(SystemError) {
    arena = try BufferArena(bytes: bytes)
    bytesMax = bytes
    unsafe entries = .allocate(capacity: Self.entriesMax)
  }

  deinit {
    unsafe entries.deallocate()
  }

  /// Whether nothing could be lost.
  var isEmpty: Bool { first == end }

  /// Whether it is time to have the server flush.
  var isUnderPressure: Bool {
    !isEmpty && (bytesTaken > bytesMax / 2 || count > Self.entriesMax / 2)
  }

  private var count: Int { Int(end - first) }

  // MARK: Requests on their way

  /// Takes what a write needs; nil if there is no room now.
  mutating func reserve(bytes: Int) -> UnsafeMutableRawPointer? {
    guard count + entriesPromised < Self.entriesMax, let data = unsafe arena.allocate(bytes: bytes) else {
      return nil
    }
    bytesTaken += bytes
    entriesPromised += 1
    return unsafe data
  }

  /// Takes what a request without data needs; false if there is no room now.
  mutating func reserve() -> Bool {
    guard count + entriesPromised < Self.entriesMax else { return false }
    entriesPromised += 1
    return true
  }

  /// Gives back what a request needed that came to nothing.
  mutating func release(_ data: UnsafeMutableRawPointer?, bytes: Int) {
    entriesPromised -= 1
    if let data = unsafe data { unsafe free(data, bytes) }
  }

  // MARK: Acknowledged requests

  /// A write was acknowledged; `data` was reserved for it and holds what was written.
  mutating func appendWrite(offset: UInt64, length: UInt64, data: UnsafeMutableRawPointer) {
    unsafe append(Entry(kind: .write, offset: offset, length: length, data: data))
  }

  /// Zeroing was acknowledged.
  mutating func appendZero(offset: UInt64, length: UInt64) {
    unsafe append(Entry(kind: .zero, offset: offset, length: length, data: nil))
  }

  /// A trim was acknowledged.
  mutating func appendTrim(offset: UInt64, length: UInt64) {
    unsafe append(Entry(kind: .trim, offset: offset, length: length, data: nil))
  }

  private mutating func append(_ entry: Entry) {
    entriesPromised -= 1
    unsafe (entries + Int(end % UInt64(Self.entriesMax))).initialize(to: entry)
    end += 1
  }

  /// Forgets the entries before `number`: they are durable.
  mutating func drop(before number: UInt64) {
    while first < number {
      let entry = unsafe entries[Int(first % UInt64(Self.entriesMax))]
      if let data = unsafe entry.data { unsafe free(data, Int(entry.length)) }
      first += 1
    }
  }

  /// Gives memory back to the system if none is needed now.
  mutating func trimMemory() {
    if arena.isIdle { arena.discardIdle(from: Self.bytesKept) }
  }

  /// Memory that stays when nothing is held, in bytes: what small writes use between two flushes.
  private static let bytesKept = 1 << 20

  private mutating func free(_ data: UnsafeMutableRawPointer, _ bytes: Int) {
    unsafe arena.release(data, bytes: bytes)
    bytesTaken -= bytes
  }

  // MARK: After a break

  /// What must be sent again: the latest content of each block, in stretches that do not overlap, so that
  /// their order does not matter.
  func pieces() -> [Piece] {
    var covered = CoveredRanges()
    var pieces: [Piece] = []
    var number = end
    while number > first {
      number -= 1
      let entry = unsafe entries[Int(number % UInt64(Self.entriesMax))]
      let gaps = covered.add(entry.offset..<entry.offset + entry.length)
      guard entry.kind != .trim else { continue }
      for gap in gaps {
        let data = unsafe entry.data.map { unsafe $0 + Int(gap.lowerBound - entry.offset) }
        unsafe pieces.append(
          Piece(offset: gap.lowerBound, length: gap.upperBound - gap.lowerBound, data: data))
      }
    }
    return pieces
  }
}

/// Which bytes have been seen, as ranges in order that neither overlap nor touch.
struct CoveredRanges {
  private var ranges: [Range<UInt64>] = []

  /// Adds a range that is not empty.
  ///
  /// - Returns: the parts of it that were not covered before, in order.
  mutating func add(_ range: Range<UInt64>) -> [Range<UInt64>] {
    // The first that ends at or after the start, by halving.
    var low = 0
    var high = ranges.count
    while low < high {
      let middle = (low + high) / 2
      if ranges[middle].upperBound < range.lowerBound { low = middle + 1 } else { high = middle }
    }
    var gaps: [Range<UInt64>] = []
    var start = range.lowerBound
    var merged = range
    var last = low
    while last < ranges.count, ranges[last].lowerBound <= range.upperBound {
      if ranges[last].lowerBound > start {
        gaps.append(start..<min(ranges[last].lowerBound, range.upperBound))
      }
      start = max(start, ranges[last].upperBound)
      merged =
        min(merged.lowerBound, ranges[last].lowerBound)..<max(merged.upperBound, ranges[last].upperBound)
      last += 1
    }
    if start < range.upperBound { gaps.append(start..<range.upperBound) }
    ranges.replaceSubrange(low..<last, with: CollectionOfOne(merged))
    return gaps
  }
}
