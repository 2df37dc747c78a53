import Glibc
import Platform
import Primitives
import Testing

@Suite struct BufferArenaTests {
  private static let page = BufferArena.pageBytes

  /// First fit over a plain array of pages.
  private struct NaiveArena {
    var isFree: [Bool]

    mutating func allocate(_ pages: Int) -> Int? {
      var run = 0
      for page in isFree.indices {
        run = isFree[page] ? run + 1 : 0
        if run == pages {
          let first = page - pages + 1
          for taken in first...page { isFree[taken] = false }
          return first
        }
      }
      return nil
    }
  }

  /// The arena hands out exactly the runs that first fit over an array does.
  @Test func itIsFirstFit() throws {
    for seed in 1...30 as ClosedRange<UInt64> {
      var generator = SeededGenerator(seed: seed)
      let words = 1 + generator.below(5)
      var arena = try BufferArena(bytes: words * 64 * Self.page)
      var naive = NaiveArena(isFree: Array(repeating: true, count: words * 64))
      var held: [(first: Int, bytes: Int)] = []
      let largest = generator.chance(3) ? 3 : 100
      for _ in 0..<400 {
        if generator.chance(2) || held.isEmpty {
          let bytes = 1 + generator.below(largest * Self.page)
          let pages = (bytes + Self.page - 1) / Self.page
          let expected = naive.allocate(pages)
          let buffer = unsafe arena.allocate(bytes: bytes)
          let first = unsafe buffer.map { unsafe ($0 - arena.base) / Self.page }
          #expect(first == expected, "seed \(seed)")
          if let first { held.append((first, bytes)) }
        } else {
          let (first, bytes) = held.remove(at: generator.below(held.count))
          unsafe arena.release(arena.base + first * Self.page, bytes: bytes)
          for page in first..<first + (bytes + Self.page - 1) / Self.page { naive.isFree[page] = true }
        }
        let free = naive.isFree.count { $0 }
        let (freePages, isIdle) = (arena.freePages, arena.isIdle)
        #expect(freePages == free && isIdle == held.isEmpty)
      }
    }
  }

  @Test func theWholeArenaIsOneBuffer() throws {
    var arena = try BufferArena(bytes: 1 << 20)
    let count = arena.count
    #expect(count == 1 << 20)
    guard let whole = unsafe arena.allocate(bytes: 1 << 20) else {
      Issue.record("the arena is not whole")
      return
    }
    var isRefused = unsafe arena.allocate(bytes: 1) == nil
    #expect(isRefused)
    unsafe memset(whole, 0xff, 1 << 20)
    unsafe arena.release(whole, bytes: 1 << 20)
    isRefused = unsafe arena.allocate(bytes: (1 << 20) + 1) == nil
    #expect(isRefused)
    arena.discardIdle(from: 64 << 10)
    guard let again = unsafe arena.allocate(bytes: 128 << 10) else {
      Issue.record("a buffer that was released is gone")
      return
    }
    let kept = unsafe again.load(as: UInt8.self)
    let discarded = unsafe again.load(fromByteOffset: 64 << 10, as: UInt8.self)
    #expect(kept == 0xff && discarded == 0)
    #expect(UInt(bitPattern: again) % UInt(Self.page) == 0)
  }

  @Test func aBufferReleasedTwiceTraps() async {
    await #expect(processExitsWith: .failure) {
      var arena = try BufferArena(bytes: 1 << 20)
      guard let buffer = unsafe arena.allocate(bytes: 8192) else { return }
      unsafe arena.release(buffer, bytes: 8192)
      unsafe arena.release(buffer + 4096, bytes: 4096)
    }
  }
}
