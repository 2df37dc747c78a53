internal import Forecasting

/// The extents on the fast tier, by when they were touched last.
///
/// A list through an array of fixed size; the most recent first. What is not expected to be touched again
/// goes to the end at once, so that it is the next to leave.
public struct FastTier: Sendable {
  /// Extents at most.
  public let capacity: Int
  /// Extents on the tier.
  public private(set) var count = 0

  private struct Entry: BitwiseCopyable, Sendable {
    var extent: UInt32 = 0
    var newer: Int32 = -1
    var older: Int32 = -1
    /// The request, by number, that touched it last.
    var lastRequest: UInt32 = 0
    /// When its copy is complete.
    var readyMicroseconds: UInt64 = 0
    /// When it was touched last.
    var touchedMicroseconds: UInt64 = 0
    /// Whether it was put at the end before its time.
    var isFinished = false
  }

  private var index: ExtentTable<Int32>
  private var entries: [Entry]
  private var newest: Int32 = -1
  private var oldest: Int32 = -1

  /// - Parameter capacity: at least 1.
  public init(capacity: Int) {
    precondition(capacity > 0)
    self.capacity = capacity
    index = ExtentTable(capacity: capacity, filler: -1)
    entries = Array(repeating: Entry(), count: capacity)
  }

  /// Whether the extent is on the tier.
  public func contains(_ extent: UInt32) -> Bool {
    index.place(of: extent) != nil
  }

  /// Whether an addition puts something out.
  public var isFull: Bool { count == capacity }

  /// An extent that left.
  public struct Departure: Sendable, Equatable {
    /// Its number.
    public var extent: UInt32
    /// The requests since it was touched last; nil if it left before its time.
    public var idleRequests: UInt32?
  }

  /// Puts an extent on the tier that is not there.
  ///
  /// - Parameters:
  ///   - microseconds: now.
  ///   - readyMicroseconds: when its copy is complete.
  /// - Returns: what had to leave for it.
  public mutating func add(
    _ extent: UInt32, request: UInt32, at microseconds: UInt64, readyMicroseconds: UInt64
  ) -> Departure? {
    var departure: Departure?
    var slot = Int32(count)
    if isFull {
      slot = oldest
      let entry = entries[Int(slot)]
      departure = Departure(
        extent: entry.extent, idleRequests: entry.isFinished ? nil : request &- entry.lastRequest)
      unlink(slot)
      if let place = index.place(of: entry.extent) { index.remove(at: place) }
    } else {
      count += 1
    }
    entries[Int(slot)] = Entry(
      extent: extent, lastRequest: request, readyMicroseconds: readyMicroseconds,
      touchedMicroseconds: microseconds)
    _ = index.add(extent, slot)
    linkNewest(slot)
    return departure
  }

  /// An extent was touched.
  ///
  /// - Parameter isFinished: it is not expected to be touched again.
  /// - Returns: when its copy is or was complete; nil if it is not on the tier.
  public mutating func touch(
    _ extent: UInt32, request: UInt32, at microseconds: UInt64, isFinished: Bool
  ) -> UInt64? {
    guard let place = index.place(of: extent) else { return nil }
    let slot = index[place]
    entries[Int(slot)].lastRequest = request
    entries[Int(slot)].touchedMicroseconds = microseconds
    entries[Int(slot)].isFinished = isFinished
    if isFinished {
      if slot != oldest {
        unlink(slot)
        linkOldest(slot)
      }
    } else if slot != newest {
      unlink(slot)
      linkNewest(slot)
    }
    return entries[Int(slot)].readyMicroseconds
  }

  /// An extent that will leave.
  public struct Candidate: Sendable, Equatable {
    /// Its number.
    public var extent: UInt32
    /// When it was touched last; 0 if it leaves before its time.
    public var touchedMicroseconds: UInt64
    /// The request that touched it last.
    var lastRequest: UInt32

    /// The requests since it was touched last; nil if it leaves before its time.
    func idleRequests(at request: UInt32) -> UInt32? {
      touchedMicroseconds == 0 ? nil : request &- lastRequest
    }
  }

  /// The next to leave; nil of an empty tier.
  public var next: Candidate? {
    guard oldest >= 0 else { return nil }
    let entry = entries[Int(oldest)]
    return Candidate(
      extent: entry.extent, touchedMicroseconds: entry.isFinished ? 0 : entry.touchedMicroseconds,
      lastRequest: entry.lastRequest)
  }

  /// Takes an extent off the tier; does nothing if it is not there.
  public mutating func remove(_ extent: UInt32) {
    guard let place = index.place(of: extent) else { return }
    let slot = index[place]
    unlink(slot)
    index.remove(at: place)
    count -= 1
    if Int(slot) != count { move(Int32(count), to: slot) }
  }

  /// Has an entry take a vacant place, so that those in use are the first.
  private mutating func move(_ slot: Int32, to vacant: Int32) {
    let entry = entries[Int(slot)]
    entries[Int(vacant)] = entry
    if entry.newer >= 0 { entries[Int(entry.newer)].older = vacant } else { newest = vacant }
    if entry.older >= 0 { entries[Int(entry.older)].newer = vacant } else { oldest = vacant }
    if let place = index.place(of: entry.extent) { index[place] = vacant }
  }

  /// Bytes that it takes, from the initializer on.
  var bytes: Int { index.bytes + entries.count * MemoryLayout<Entry>.stride }

  private mutating func unlink(_ slot: Int32) {
    let entry = entries[Int(slot)]
    if entry.newer >= 0 { entries[Int(entry.newer)].older = entry.older } else { newest = entry.older }
    if entry.older >= 0 { entries[Int(entry.older)].newer = entry.newer } else { oldest = entry.newer }
  }

  private mutating func linkNewest(_ slot: Int32) {
    entries[Int(slot)].newer = -1
    entries[Int(slot)].older = newest
    if newest >= 0 { entries[Int(newest)].newer = slot } else { oldest = slot }
    newest = slot
  }

  private mutating func linkOldest(_ slot: Int32) {
    entries[Int(slot)].older = -1
    entries[Int(slot)].newer = oldest
    if oldest >= 0 { entries[Int(oldest)].older = slot } else { newest = slot }
    oldest = slot
  }
}
