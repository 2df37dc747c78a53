/// The scale of a latency histogram: bins of 64 ns up to 2 µs, then 16 bins in each doubling, up to 68.7 s.
///
/// Log-linear, as in HdrHistogram: a bin is at most 1/16 as wide as the latencies in it, so its middle is off
/// by at most 1/32 (3.2 %) of any of them, and the index takes one count of leading zeros.
public enum LatencyScale {
  /// log2 of the narrowest bin's width in nanoseconds.
  @usableFromInline static let unitShift = 6
  /// log2 of the bins in one doubling.
  @usableFromInline static let binsPerDoublingShift = 4
  /// Latencies from here on count as the longest there is: 2³⁶ ns.
  @usableFromInline static let endShift = 36

  /// Bins of the scale.
  public static let binCount = 432

  /// The bin that a latency falls into.
  @inlinable
  public static func bin(ofNanoseconds nanoseconds: UInt64) -> Int {
    let units = min(nanoseconds, (1 << endShift) - 1) >> unitShift
    // 0 as long as a bin is one unit wide: through the first doubling, too.
    let widthShift = max(0, 63 - (units | 1).leadingZeroBitCount - binsPerDoublingShift)
    return widthShift << binsPerDoublingShift + Int(units >> widthShift)
  }

  /// The shortest latency of a bin, in nanoseconds.
  public static func start(ofBin bin: Int) -> UInt64 {
    precondition(bin >= 0 && bin <= binCount, "no such bin")
    let widthShift = max(0, bin >> binsPerDoublingShift - 1)
    return UInt64(bin - widthShift << binsPerDoublingShift) << (widthShift + unitShift)
  }

  /// The middle of a bin, in nanoseconds: what stands for each latency in it.
  public static func middle(ofBin bin: Int) -> UInt64 {
    (start(ofBin: bin) + start(ofBin: bin + 1)) / 2
  }
}
