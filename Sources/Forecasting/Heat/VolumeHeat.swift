/// The heat of one volume's extents. Memory is taken where there were accesses: for 256 extents at a time.
public struct VolumeHeat: Sendable, Equatable {
  /// Extents of a chunk.
  public static let extentsPerChunk = 256
  /// Bytes of a chunk.
  public static let bytesPerChunk = extentsPerChunk * MemoryLayout<FadingHeat>.stride

  /// What became of an access.
  public enum Count: Sendable {
    /// There was memory for it.
    case counted
    /// Memory was taken for one more chunk.
    case grown
    /// There was none: it is not known.
    case dropped
  }

  /// By number: chunk n has the extents from n · `extentsPerChunk` on.
  public private(set) var chunks: [UInt32: [FadingHeat]] = [:]

  /// Nothing is known yet.
  public init() {}

  /// What was kept; nil if a chunk has another size.
  public init?(chunks: [UInt32: [FadingHeat]]) {
    guard chunks.values.allSatisfy({ $0.count == Self.extentsPerChunk }) else { return nil }
    self.chunks = chunks
  }

  /// The heat of an extent; nil if nothing is known of it.
  public subscript(extent: UInt64) -> FadingHeat? {
    let (number, place) = Self.split(extent)
    return chunks[number]?[place]
  }

  /// Counts an access.
  ///
  /// - Parameters:
  ///   - seconds: now, on a clock that goes on when the process is started again.
  ///   - mayGrow: whether there is memory for one more chunk.
  /// - Returns: how it was counted.
  public mutating func touch(_ extent: UInt64, at seconds: UInt32, mayGrow: Bool) -> Count {
    let (number, place) = Self.split(extent)
    if chunks[number]?[place].touch(at: seconds) != nil { return .counted }
    guard mayGrow else { return .dropped }
    var chunk = [FadingHeat](repeating: FadingHeat(), count: Self.extentsPerChunk)
    chunk[place].touch(at: seconds)
    chunks[number] = chunk
    return .grown
  }

  private static func split(_ extent: UInt64) -> (number: UInt32, place: Int) {
    let (number, place) = extent.quotientAndRemainder(dividingBy: UInt64(extentsPerChunk))
    return (UInt32(truncatingIfNeeded: number), Int(place))
  }
}
