/// The records of touched extents, bounded: what has not been touched for long is forgotten.
struct ExtentRecords: Sendable {
  private var table: ExtentTable<ExtentRecord>
  /// Where the search for something to forget goes on.
  private var hand = 0

  /// Records compared to find one to forget.
  private static let candidates = 16

  /// - Parameter capacity: records kept at least.
  init(capacity: Int) {
    table = ExtentTable(capacity: capacity, filler: ExtentRecord())
  }

  var bytes: Int { table.bytes }
  var capacity: Int { table.capacity }
  var count: Int { table.count }

  subscript(place: Int) -> ExtentRecord {
    get { table[place] }
    _modify { yield &table[place] }
  }

  /// The extent's record; nil if it has none.
  func record(of extent: UInt32) -> ExtentRecord? {
    table.place(of: extent).map { table[$0] }
  }

  /// Where the extent's record is, after making one and forgetting another if that is needed. Places found
  /// earlier mean nothing after this.
  mutating func makePlace(for extent: UInt32, at microseconds: UInt64) -> Int {
    if let place = table.place(of: extent) { return place }
    if table.count == table.capacity { forgetOne(at: microseconds) }
    return table.add(extent, ExtentRecord())
  }

  /// Of the next few records the one that was touched longest before the touch at hand.
  private mutating func forgetOne(at microseconds: UInt64) {
    var oldest = -1
    var idleMost: UInt64 = 0
    var seen = 0
    while seen < Self.candidates {
      hand = (hand + 1) & (table.placeCount - 1)
      guard table.extent(at: hand) != nil else { continue }
      seen += 1
      let idle = table[hand].passed(at: microseconds)
      if oldest < 0 || idle > idleMost { (oldest, idleMost) = (hand, idle) }
    }
    table.remove(at: oldest)
  }
}
