import Glibc

/// Anonymous pages of memory, zeroed, aligned to a page, freed when the value goes out of scope.
///
/// Pages cost nothing until they are touched.
@safe
public struct AlignedMemory: ~Copyable, @unchecked Sendable {
  /// The first byte; a multiple of the page size.
  public let base: UnsafeMutableRawPointer
  /// Bytes of address space, those that are only reserved included.
  public let count: Int

  /// Maps `count` bytes.
  ///
  /// - Parameter reserved: address space kept for `grow(to:)`, at least `count`. Beyond `count` it is
  ///   inaccessible and is charged to nobody.
  public init(count: Int, reserved: Int? = nil, hugePages: Bool = false) throws(SystemError) {
    let whole = max(reserved ?? count, count, 1)
    let address = unsafe mmap(nil, whole, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
    guard let address = unsafe address, unsafe address != MAP_FAILED else {
      throw SystemError("mmap", "\(whole) bytes")
    }
    if hugePages { _ = unsafe madvise(address, whole, MADV_HUGEPAGE) }
    guard unsafe mprotect(address, count, PROT_READ | PROT_WRITE) == 0 else {
      let error = SystemError("mprotect", "\(count) bytes")
      unsafe munmap(address, whole)
      throw error
    }
    unsafe base = address
    self.count = whole
  }

  /// Makes the first `count` bytes accessible; what was accessible before keeps its content.
  public func makeAccessible(_ count: Int) throws(SystemError) {
    precondition(count <= self.count)
    guard count > 0 else { return }
    guard unsafe mprotect(base, count, PROT_READ | PROT_WRITE) == 0 else {
      throw SystemError("mprotect", "\(count) bytes")
    }
  }

  /// Gives the pages of a range back to the system; they read zero when touched again.
  public func discard(offset: Int, count: Int) {
    precondition(offset >= 0 && count >= 0 && offset + count <= self.count)
    _ = unsafe madvise(base + offset, count, MADV_DONTNEED)
  }

  deinit {
    unsafe munmap(base, count)
  }
}
