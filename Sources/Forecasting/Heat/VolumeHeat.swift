/// The heat of one volume's extents. Memory is taken where there were accesses: for 256 extents at a time.
public struct VolumeHeat: Sendable {
  /// What became of an access.
  public enum Count: Sendable {
    /// There was memory for it.
    case counted
    /// Memory was taken for one more chunk.
    case grown
    /// There was none: it is not known.
    case dropped
  }

  /// Extents of a chunk.
  public static let extentsPerChunk = 256
  /// Bytes of a chunk.
  public static let bytesPerChunk = extentsPerChunk * MemoryLayout<ExtentHeat>.stride

  /// Where in `extents` each chunk begins. Chunk n has the extents from n · `extentsPerChunk` on.
  private var places: [UInt32: Int] = [:]
  /// One chunk behind the other.
  private var extents: [ExtentHeat] = []

  /// Nothing is known yet.
  public init() {}

  /// Chunks for which memory was taken.
  public var chunkCount: Int { places.count }

  /// The heat of an extent; nil if nothing is known of it.
  public subscript(extent: UInt64) -> ExtentHeat? {
    let (number, place) = Self.split(extent)
    return places[number].map { extents[$0 + place] }
  }

  /// All that is known, in no order.
  public var all: [ExtentHeat] { extents }

  /// Counts an access.
  ///
  /// - Parameters:
  ///   - time: now, on a clock that goes on when the process is started again.
  ///   - mayGrow: whether there is memory for one more chunk.
  /// - Returns: how it was counted.
  public mutating func touch(_ extent: UInt64, at time: HeatTime, mayGrow: Bool) -> Count {
    let (number, place) = Self.split(extent)
    if let start = places[number] {
      extents[start + place].touch(at: time)
      return .counted
    }
    guard mayGrow else { return .dropped }
    var chunk = [ExtentHeat](repeating: ExtentHeat(), count: Self.extentsPerChunk)
    chunk[place].touch(at: time)
    _ = add(chunk, number)
    return .grown
  }

  /// Adds what was kept of a chunk.
  ///
  /// - Returns: false if it has another size, or is there already; nothing has changed.
  public mutating func add(_ chunk: [ExtentHeat], _ number: UInt32) -> Bool {
    guard chunk.count == Self.extentsPerChunk, places[number] == nil else { return false }
    places[number] = extents.count
    extents += chunk
    return true
  }

  /// Calls `body` with each chunk and its number.
  public func forEachChunk(_ body: (UInt32, ArraySlice<ExtentHeat>) -> Void) {
    for (number, start) in places { body(number, extents[start..<start + Self.extentsPerChunk]) }
  }

  private static func split(_ extent: UInt64) -> (number: UInt32, place: Int) {
    let (number, place) = extent.quotientAndRemainder(dividingBy: UInt64(extentsPerChunk))
    return (UInt32(truncatingIfNeeded: number), Int(place))
  }
}
