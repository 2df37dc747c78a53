/// Page-aligned I/O buffers cut from one block of memory: first fit over a bitmap of 4 KiB pages.
///
/// First fit keeps the pages in use at the low end, so that small requests always lie in the prefix
/// that is registered with the ring, and the rest of the arena stays untouched until big requests need
/// it. Confined to one thread.
@safe
public struct BufferArena: ~Copyable {
  /// Bytes of a page: the unit in which buffers are cut, and their alignment.
  public static let pageBytes = 4096

  private let memory: AlignedMemory
  /// One bit a page, 1 = free.
  private let free: UnsafeMutablePointer<UInt64>
  private let wordCount: Int
  /// No word below this one has a free page.
  private var firstFreeWord = 0
  /// Pages not handed out.
  public private(set) var freePages: Int

  /// Reserves `bytes` (a multiple of 256 KiB) of address space; memory is used as it is touched.
  public init(bytes: Int) throws(SystemError) {
    precondition(bytes > 0 && bytes % (64 * Self.pageBytes) == 0)
    memory = try AlignedMemory(count: bytes)
    wordCount = bytes / (64 * Self.pageBytes)
    freePages = wordCount * 64
    unsafe free = .allocate(capacity: wordCount)
    unsafe free.initialize(repeating: ~0, count: wordCount)
  }

  deinit {
    unsafe free.deallocate()
  }

  /// The first byte of the memory that all buffers lie in.
  public var base: UnsafeMutableRawPointer { unsafe memory.base }
  /// Bytes of that memory.
  public var count: Int { memory.count }

  /// Whether every page is free.
  public var isIdle: Bool { freePages == wordCount * 64 }

  /// Gives back the memory of all pages from `offset` on; only while the arena is idle.
  public func discardIdle(from offset: Int) {
    precondition(isIdle)
    memory.discard(offset: offset, count: memory.count - offset)
  }

  /// Takes a run of pages that holds `bytes`; nil if there is none.
  public mutating func allocate(bytes: Int) -> UnsafeMutableRawPointer? {
    let pages = (bytes + Self.pageBytes - 1) / Self.pageBytes
    precondition(pages > 0)
    guard pages <= freePages else { return nil }
    guard let first = pages == 1 ? firstFreePage() : firstRun(of: pages) else { return nil }
    mark(first, pages, free: false)
    freePages -= pages
    return unsafe memory.base + first * Self.pageBytes
  }

  /// Returns a run of pages that `allocate(bytes:)` gave out with the same `bytes`.
  public mutating func release(_ buffer: UnsafeMutableRawPointer, bytes: Int) {
    let pages = (bytes + Self.pageBytes - 1) / Self.pageBytes
    let first = unsafe (buffer - memory.base) / Self.pageBytes
    precondition(first >= 0 && first + pages <= wordCount * 64)
    mark(first, pages, free: true)
    freePages += pages
    firstFreeWord = min(firstFreeWord, first / 64)
  }

  private mutating func firstFreePage() -> Int? {
    var word = firstFreeWord
    while word < wordCount {
      let bits = unsafe free[word]
      if bits != 0 {
        firstFreeWord = word
        return word * 64 + bits.trailingZeroBitCount
      }
      word += 1
    }
    return nil
  }

  private func firstRun(of pages: Int) -> Int? {
    var start = 0
    var length = 0
    for word in firstFreeWord..<wordCount {
      var bits = unsafe free[word]
      if bits == ~0 {
        if length == 0 { start = word * 64 }
        length += 64
        if length >= pages { return start }
        continue
      }
      var position = 0
      while position < 64 {
        let zeros = min(bits.trailingZeroBitCount, 64 - position)
        if zeros > 0 {
          length = 0
          position += zeros
          bits = zeros == 64 ? 0 : bits >> UInt64(zeros)
          continue
        }
        let ones = (~bits).trailingZeroBitCount
        if length == 0 { start = word * 64 + position }
        length += ones
        if length >= pages { return start }
        position += ones
        bits >>= UInt64(ones)
      }
    }
    return nil
  }

  private func mark(_ first: Int, _ pages: Int, free isFree: Bool) {
    var page = first
    let end = first + pages
    while page < end {
      let bit = page % 64
      let count = min(64 - bit, end - page)
      let mask = (count == 64 ? ~0 : (UInt64(1) << UInt64(count)) - 1) << UInt64(bit)
      if isFree {
        unsafe precondition(free[page / 64] & mask == 0, "a buffer is released twice")
        unsafe free[page / 64] |= mask
      } else {
        unsafe precondition(free[page / 64] & mask == mask, "a buffer is handed out twice")
        unsafe free[page / 64] &= ~mask
      }
      page += count
    }
  }
}
