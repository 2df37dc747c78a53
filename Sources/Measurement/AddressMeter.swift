public import Synchronization

/// Where in a volume one thread of the data path served requests: counts of equal pieces of the address
/// space.
///
/// A block of 2 KiB that is allocated once, with one writer as `StoreMeter`.
@frozen
@safe
public struct AddressMeter: BitwiseCopyable, @unchecked Sendable {
  @usableFromInline let words: UnsafeMutablePointer<Atomic<UInt64>>

  /// Pieces of the address space that are told apart.
  public static let bucketCount = 256
  @usableFromInline static let shift = bucketCount
  private static let wordCount = shift + 1

  /// Counters at zero. They stay until `deallocate` is called.
  public static func allocate(bucketShift: Int) -> AddressMeter {
    let words = UnsafeMutablePointer<Atomic<UInt64>>.allocate(capacity: wordCount)
    for index in 0..<wordCount { unsafe (words + index).initialize(to: Atomic(0)) }
    let meter = unsafe AddressMeter(words: words)
    meter.bucketShift = bucketShift
    return meter
  }

  init(words: UnsafeMutablePointer<Atomic<UInt64>>) {
    unsafe self.words = words
  }

  /// Gives the memory back. Nobody may use any copy of this meter from now on.
  public func deallocate() {
    unsafe words.deinitialize(count: Self.wordCount)
    unsafe words.deallocate()
  }

  /// The least log2 of a bucket's bytes with which the buckets cover a volume.
  public static func bucketShift(volumeBytes: UInt64) -> Int {
    let perBucket = (volumeBytes + UInt64(bucketCount) - 1) / UInt64(bucketCount)
    return perBucket <= 1 ? 0 : 64 - (perBucket - 1).leadingZeroBitCount
  }

  /// log2 of a bucket's bytes. Whoever reads the meter may change it: the thread that counts goes by the new
  /// one soon, and what it counts meanwhile may show at another place.
  public var bucketShift: Int {
    get { unsafe Int(words[Self.shift].load(ordering: .relaxed)) }
    nonmutating set { unsafe words[Self.shift].store(UInt64(newValue), ordering: .relaxed) }
  }

  /// A request that begins at this byte has ended.
  @inlinable
  public func note(offset: UInt64) {
    let shift = unsafe words[Self.shift].load(ordering: .relaxed)
    let index = Int(min(offset >> shift, UInt64(Self.bucketCount - 1)))
    let value = unsafe words[index].load(ordering: .relaxed)
    unsafe words[index].store(value &+ 1, ordering: .relaxed)
  }

  /// Adds all counts so far.
  public func read(into counts: inout [UInt64]) {
    for index in 0..<Self.bucketCount {
      unsafe counts[index] &+= words[index].load(ordering: .relaxed)
    }
  }
}
