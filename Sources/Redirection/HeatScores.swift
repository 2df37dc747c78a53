/// How volatile the extents of a volume are, in hundredths, as somebody found them at some time: a byte for
/// each extent of the stretches of which anything is known.
public struct HeatScores: Sendable {
  /// For each stretch of the volume, where in `scores` it begins; negative: nothing is known of it.
  private var places: [Int32]
  private var scores: [UInt8] = []
  private let extentsPerChunk: Int

  /// Nothing is known of a volume with so many extents; what will be comes in stretches of that length.
  public init(extentCount: UInt64, extentsPerChunk: Int) {
    self.extentsPerChunk = extentsPerChunk
    let chunks = (extentCount + UInt64(extentsPerChunk) - 1) / UInt64(extentsPerChunk)
    places = Array(repeating: -1, count: Int(chunks))
  }

  /// Takes in the scores of stretch `number`, `extentsPerChunk` of them; what lies beyond the volume's end is
  /// left out.
  public mutating func add(_ chunk: some Sequence<UInt8>, _ number: UInt32) {
    guard Int(number) < places.count else { return }
    places[Int(number)] = Int32(clamping: scores.count)
    scores += chunk
  }

  /// From 0 to 100: the share of the pool's extents of which less is expected; 0 if nothing is known.
  public subscript(extent: UInt64) -> UInt8 {
    let (number, place) = Int(extent).quotientAndRemainder(dividingBy: extentsPerChunk)
    guard number < places.count, places[number] >= 0 else { return 0 }
    return scores[Int(places[number]) + place]
  }
}
