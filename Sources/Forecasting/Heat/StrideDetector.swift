/// Notices streams that go from extent to extent in equal steps, forwards or backwards, several at a time.
///
/// Steps of one forwards are left to whoever follows sequential runs; all others, as of readers of one
/// column, of every n-th piece, or from the end to the start, are found here.
struct StrideDetector: Sendable {
  private struct Stream: BitwiseCopyable, Sendable {
    var last: UInt32
    /// From extent to extent; 0 as long as only one was seen.
    var stride: Int64 = 0
    /// Steps of this length in a row, after the first; saturating.
    var confirmations: UInt8 = 0
    /// The count of steps when it was used last.
    var used: UInt64 = 0
  }

  /// What a stream is expected to touch next.
  struct Expectation: Equatable {
    var extent: UInt32
    /// How often it was right in a row.
    var confirmations: Int
  }

  private var streams: [Stream] = []
  private var current = 0
  private var steps: UInt64 = 0

  private static let streamsMax = 16
  /// A step further than this begins another stream.
  private static let strideMax: Int64 = 64
  /// A stride counts from so many confirmations on.
  private static let confirmationsMin = 2

  init() {
    streams.reserveCapacity(Self.streamsMax)
  }

  /// Takes in a touch of an extent.
  ///
  /// - Returns: what its stream is expected to touch next, if it goes in known steps other than one forwards.
  mutating func touch(_ extent: UInt32) -> Expectation? {
    if streams.isEmpty || streams[current].last != extent { current = stream(for: extent) }
    let stream = streams[current]
    guard stream.confirmations >= Self.confirmationsMin, stream.stride != 1,
      let next = UInt32(exactly: Int64(extent) + stream.stride)
    else { return nil }
    return Expectation(extent: next, confirmations: Int(stream.confirmations))
  }

  /// The stream that the extent belongs to, moved on to it.
  private mutating func stream(for extent: UInt32) -> Int {
    steps += 1
    var nearest = -1
    var nearestDistance = Self.strideMax + 1
    var oldest = 0
    for index in streams.indices {
      let step = Int64(extent) - Int64(streams[index].last)
      if step == 0 || step == streams[index].stride { return advance(index, to: extent, step) }
      if step.magnitude < nearestDistance {
        nearest = index
        nearestDistance = Int64(step.magnitude)
      }
      if streams[index].used < streams[oldest].used { oldest = index }
    }
    if nearest >= 0, !isSteady(nearest) {
      return advance(nearest, to: extent, Int64(extent) - Int64(streams[nearest].last))
    }
    let fresh = Stream(last: extent, used: steps)
    if streams.count < Self.streamsMax {
      streams.append(fresh)
      return streams.count - 1
    }
    streams[oldest] = fresh
    return oldest
  }

  /// A stream that keeps its step is not led astray by a touch nearby, unless it has come to its end.
  private func isSteady(_ index: Int) -> Bool {
    streams[index].confirmations >= Self.confirmationsMin
      && steps - streams[index].used < UInt64(Self.streamsMax)
  }

  private mutating func advance(_ index: Int, to extent: UInt32, _ step: Int64) -> Int {
    streams[index].used = steps
    guard step != 0 else { return index }
    let isSame = step == streams[index].stride
    streams[index].confirmations = isSame ? min(streams[index].confirmations, 254) + 1 : 0
    streams[index].stride = step
    streams[index].last = extent
    return index
  }
}
