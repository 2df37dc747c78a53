import Primitives
import Replay

/// Traces of known nature, each the same whenever it is made.
enum SyntheticTraces {
  private static let mebibyte: UInt64 = 1 << 20

  private static func trace(_ name: String, _ requests: [(extent: Int, offset: Int, length: Int)]) -> Trace {
    Trace(
      name: name,
      requests: requests.enumerated().map { index, request in
        .init(
          microseconds: UInt64(index) * 500,
          offset: UInt64(request.extent) * mebibyte + UInt64(request.offset),
          length: UInt32(request.length), isWrite: index % 4 == 3)
      })
  }

  /// Blocks anywhere, all extents alike.
  static func uniform(extents: Int, requests: Int, seed: UInt64 = 1) -> Trace {
    var random = SeededGenerator(seed: seed)
    return trace(
      "uniform", (0..<requests).map { _ in (random.below(extents), random.below(256) * 4096, 4096) })
  }

  /// Each extent once, as a whole.
  static func scan(extents: Int) -> Trace {
    trace("scan", (0..<extents).map { ($0, 0, 1 << 20) })
  }

  /// A few blocks of each extent at one time, then never again.
  static func coldBursts(extents: Int, touches: Int) -> Trace {
    var random = SeededGenerator(seed: 2)
    var order = Array(0..<extents)
    order.shuffle(using: &random)
    return trace(
      "cold bursts",
      order.flatMap { extent in (0..<touches).map { _ in (extent, random.below(256) * 4096, 4096) } })
  }

  /// From start to end in pieces of 64 KiB, each `step` extents after the last.
  static func stream(extents: Int, step: Int = 1) -> Trace {
    trace(
      "stream", (0..<extents).flatMap { extent in (0..<16).map { (extent * step, $0 * 65_536, 65_536) } })
  }

  /// The same extents again and again in the same order, a block of each.
  static func loop(extents: Int, laps: Int) -> Trace {
    trace("loop", (0..<laps).flatMap { _ in (0..<extents).map { ($0, 0, 4096) } })
  }

  /// Most touches on few extents, which move every so often.
  static func movingHotSet(extents: Int, hot: Int, requests: Int, phases: Int) -> Trace {
    var random = SeededGenerator(seed: 3)
    return trace(
      "moving hot set",
      (0..<requests).map { index in
        let start = index * phases / requests * hot
        let extent = random.below(10) < 8 ? start + random.below(hot) : random.below(extents)
        return (extent % extents, random.below(256) * 4096, 4096)
      })
  }

  /// Rounds off a tenth of what is touched.
  static func tenth(_ trace: ExtentTrace) -> Int { max(trace.footprint / 10, 1) }
}
