import Glibc
import Platform
public import Synchronization

/// A few words for each of some of a volume's extents: a directory of leaves, each a page of 512 words, made
/// when the first extent of it needs them. So what few extents have costs almost nothing where there is none.
@safe
final class LeafTable: Sendable {
  private let directory: AlignedMemory
  /// Leaves that the directory has room for.
  private let leafCount: Mutex<Int>
  /// log2 of the words of an extent.
  private let wordShift: UInt64
  let view: LeafTableView

  /// - Parameters:
  ///   - wordShift: log2 of the words of an extent.
  ///   - reserved: extents that there may ever be.
  init(wordShift: UInt64, extentCount: UInt64, reserved: UInt64) throws(SystemError) {
    self.wordShift = wordShift
    directory = try AlignedMemory(
      count: Self.directoryBytes(extentCount, wordShift),
      reserved: Self.directoryBytes(max(reserved, extentCount), wordShift))
    leafCount = Mutex(Self.directoryBytes(extentCount, wordShift) / MemoryLayout<UInt>.size)
    unsafe view = LeafTableView(directory: directory.base.assumingMemoryBound(to: Atomic<UInt>.self))
  }

  deinit {
    for leaf in 0..<leafCount.withLock({ $0 }) { unsafe free(view.leaf(leaf)) }
  }

  private static func directoryBytes(_ extentCount: UInt64, _ wordShift: UInt64) -> Int {
    Int(extentCount >> (LeafTableView.leafShift - wordShift) + 1) * MemoryLayout<UInt>.size
  }

  func grow(to extentCount: UInt64) throws(SystemError) {
    let bytes = Self.directoryBytes(extentCount, wordShift)
    guard bytes <= directory.count else { throw SystemError("mmap", "extent map", errno: ENOMEM) }
    try directory.makeAccessible(bytes)
    leafCount.withLock { $0 = max($0, bytes / MemoryLayout<UInt>.size) }
  }

  /// Calls `body` with the words that have been made, of the first `count` extents.
  func forEachWords(_ count: UInt64, _ body: (UInt64, UnsafeMutablePointer<Atomic<UInt64>>) -> Void) {
    let leafExtents: UInt64 = 1 << (LeafTableView.leafShift - wordShift)
    for first in stride(from: 0, to: count, by: Int(leafExtents)) {
      guard unsafe view.words(first, wordShift) != nil else { continue }
      for extent in first..<min(first + leafExtents, count) {
        unsafe body(extent, view.words(extent, wordShift)!)
      }
    }
  }
}

/// The leaves, for the data path; valid as long as the table lives.
@frozen
@safe
@usableFromInline
struct LeafTableView: BitwiseCopyable, @unchecked Sendable {
  @usableFromInline let directory: UnsafeMutablePointer<Atomic<UInt>>

  /// log2 of the words of a leaf.
  @usableFromInline static let leafShift: UInt64 = 9

  init(directory: UnsafeMutablePointer<Atomic<UInt>>) {
    unsafe self.directory = directory
  }

  /// The view of no table.
  static let none = unsafe LeafTableView(directory: .allocate(capacity: 1))

  /// The first word of an extent; nil if none were made.
  @inlinable
  func words(_ extent: UInt64, _ wordShift: UInt64) -> UnsafeMutablePointer<Atomic<UInt64>>? {
    let leaf = unsafe directory[Int(extent >> (Self.leafShift - wordShift))].load(ordering: .acquiring)
    guard let words = unsafe UnsafeMutablePointer<Atomic<UInt64>>(bitPattern: leaf) else { return nil }
    return unsafe words + Int(extent << wordShift & (1 << Self.leafShift - 1))
  }

  /// The words of an extent, made if there are none.
  func make(_ extent: UInt64, _ wordShift: UInt64) throws(SystemError) -> UnsafeMutablePointer<Atomic<UInt64>>
  {
    if let words = unsafe words(extent, wordShift) { return unsafe words }
    let bytes = MemoryLayout<UInt64>.size << Int(Self.leafShift)
    guard let memory = unsafe aligned_alloc(64, bytes) else {
      throw SystemError("aligned_alloc", "extent map", errno: ENOMEM)
    }
    unsafe memory.initializeMemory(as: UInt8.self, repeating: 0, count: bytes)
    let (isFirst, _) = unsafe directory[Int(extent >> (Self.leafShift - wordShift))].compareExchange(
      expected: 0, desired: UInt(bitPattern: memory), ordering: .acquiringAndReleasing)
    // Somebody else was faster.
    if !isFirst { unsafe free(memory) }
    return unsafe words(extent, wordShift)!
  }

  fileprivate func leaf(_ number: Int) -> UnsafeMutableRawPointer? {
    unsafe UnsafeMutableRawPointer(bitPattern: directory[number].load(ordering: .acquiring))
  }
}
