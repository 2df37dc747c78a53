import Glibc
import Platform
public import Synchronization

/// The shadow lines of one volume: a directory of leaves, each a page with the lines of 64 extents, made when
/// the first of them gets a shadow. So shadows cost 64 bytes an extent, and almost nothing where there are
/// none.
@safe
final class ShadowMap: Sendable {
  private let directory: AlignedMemory
  /// Leaves that the directory has room for.
  private let leafCount: Mutex<Int>
  let view: ShadowMapView

  /// - Parameter reserved: extents that there may ever be.
  init(extentCount: UInt64, reserved: UInt64) throws(SystemError) {
    directory = try AlignedMemory(
      count: Self.directoryBytes(extentCount), reserved: Self.directoryBytes(max(reserved, extentCount)))
    leafCount = Mutex(Self.directoryBytes(extentCount) / MemoryLayout<UInt>.size)
    unsafe view = ShadowMapView(directory: directory.base.assumingMemoryBound(to: Atomic<UInt>.self))
  }

  deinit {
    for leaf in 0..<leafCount.withLock({ $0 }) { unsafe free(view.leaf(leaf)) }
  }

  private static func directoryBytes(_ extentCount: UInt64) -> Int {
    max(Int(extentCount >> ShadowMapView.leafShift) + 1, 1) * MemoryLayout<UInt>.size
  }

  func grow(to extentCount: UInt64) throws(SystemError) {
    let bytes = Self.directoryBytes(extentCount)
    guard bytes <= directory.count else { throw SystemError("mmap", "shadow map", errno: ENOMEM) }
    try directory.makeAccessible(bytes)
    leafCount.withLock { $0 = max($0, bytes / MemoryLayout<UInt>.size) }
  }
}

/// The lines, for the data path; valid as long as the map lives.
@frozen
@safe
@usableFromInline
struct ShadowMapView: BitwiseCopyable, @unchecked Sendable {
  @usableFromInline let directory: UnsafeMutablePointer<Atomic<UInt>>

  /// log2 of the extents of a leaf.
  @usableFromInline static let leafShift: UInt64 = 6

  init(directory: UnsafeMutablePointer<Atomic<UInt>>) {
    unsafe self.directory = directory
  }

  @inlinable
  func line(_ extent: UInt64) -> ShadowLine? {
    let leaf = unsafe directory[Int(extent >> Self.leafShift)].load(ordering: .acquiring)
    guard let words = unsafe UnsafeMutablePointer<Atomic<UInt64>>(bitPattern: leaf) else { return nil }
    return unsafe ShadowLine(words + Int(extent & (1 << Self.leafShift - 1)) * ShadowLine.wordCount)
  }

  /// Calls `body` with the lines that have been made, of the first `count` extents.
  func forEachLine(_ count: UInt64, _ body: (UInt64, ShadowLine) -> Void) {
    for leaf in 0..<(count + (1 << Self.leafShift) - 1) >> Self.leafShift {
      let first = leaf << Self.leafShift
      guard line(first) != nil else { continue }
      for extent in first..<min(first + 1 << Self.leafShift, count) { body(extent, line(extent)!) }
    }
  }

  /// The line of an extent, made if there is none.
  func makeLine(_ extent: UInt64) throws(SystemError) -> ShadowLine {
    if let line = line(extent) { return line }
    let bytes = ShadowLine.wordCount * MemoryLayout<UInt64>.size << Int(Self.leafShift)
    guard let memory = unsafe aligned_alloc(64, bytes) else {
      throw SystemError("aligned_alloc", "shadow map", errno: ENOMEM)
    }
    unsafe memory.initializeMemory(as: UInt8.self, repeating: 0, count: bytes)
    let (isFirst, _) = unsafe directory[Int(extent >> Self.leafShift)].compareExchange(
      expected: 0, desired: UInt(bitPattern: memory), ordering: .acquiringAndReleasing)
    // Somebody else was faster.
    if !isFirst { unsafe free(memory) }
    return line(extent)!
  }

  fileprivate func leaf(_ number: Int) -> UnsafeMutableRawPointer? {
    unsafe UnsafeMutableRawPointer(bitPattern: directory[number].load(ordering: .acquiring))
  }
}
