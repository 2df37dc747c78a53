import Synchronization

/// Which copies the reads of one thread of the data path came from. That thread counts, others read.
public final class ReadShares: Sendable {
  private let all = Atomic<UInt64>(0)
  private let faster = Atomic<UInt64>(0)

  /// All zero.
  public init() {}

  /// Reads of mapped extents; one that goes over several extents counts once for each.
  public var reads: UInt64 { all.load(ordering: .relaxed) }

  /// Those of them that a shadow on a faster tier than the live copy's was chosen for.
  public var fasterReads: UInt64 { faster.load(ordering: .relaxed) }

  /// Counts a read; on the thread that it belongs to.
  @inline(__always)
  public func add(isFaster: Bool) {
    all.store(all.load(ordering: .relaxed) &+ 1, ordering: .relaxed)
    if isFaster { faster.store(faster.load(ordering: .relaxed) &+ 1, ordering: .relaxed) }
  }
}
