import ExtentMap
import Glibc
import Platform
import Primitives
import Testing

@testable import Catalog

private let isWanted = unsafe getenv("GNOMON_BENCHMARK") != nil

/// Figures, not tests: run with GNOMON_BENCHMARK=1 in a release build.
@Suite(.enabled(if: isWanted, "set GNOMON_BENCHMARK=1 to measure"), .serialized)
struct CatalogBenchmark {
  private func milliseconds(_ body: () throws -> Void) rethrows -> Double {
    let start = MonotonicClock.nanoseconds()
    try body()
    return Double(MonotonicClock.nanoseconds() - start) / 1e6
  }

  private func residentMebibytes() -> Int {
    var usage = rusage()
    unsafe getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
    return usage.ru_maxrss >> 10
  }

  @Test(arguments: [1, 100, 1000])
  func appendLatency(count: Int) throws {
    let volume = TemporaryPool.volume(1, extents: 1 << 20)
    let pool = try TemporaryPool(volumes: [volume])
    let catalog = try pool.open()
    var random = SplitMix(state: 1)
    var times: [Double] = []
    for round in 0..<2000 {
      let deltas = randomDeltas(count, in: volume, &random)
      times.append(try milliseconds { try catalog.append(deltas) })
      if round % 16 == 15 { _ = try catalog.checkpoint(pagesMax: 16) }
    }
    times.sort()
    print("append of \(count): p50 \(times[1000]) ms, p99 \(times[1980]) ms, max \(times[1999]) ms")
  }

  @Test func checkpointStep() throws {
    let volume = TemporaryPool.volume(1, extents: 1 << 20)
    let pool = try TemporaryPool(volumes: [volume])
    let catalog = try pool.open()
    var random = SplitMix(state: 1)
    for round in 0..<2 {
      for _ in 0..<1000 { try catalog.append(randomDeltas(200, in: volume, &random)) }
      var times: [Double] = []
      var more = true
      while more { times.append(try milliseconds { more = try catalog.checkpoint(pagesMax: 16) }) }
      let first = times[0]
      times.sort()
      print(
        "checkpoint round \(round), 200k random records in 256 pages: \(times.count) steps of 16 pages,",
        "p50 \(times[times.count / 2]) ms, first \(first) ms, max \(times.last!) ms,",
        "sum \(times.reduce(0, +)) ms"
      )
    }
  }

  /// How long a commit waits while the map of a volume of 16 TiB, all mapped, is cleared away: in one step
  /// and in the steps that the daemon takes.
  @Test(arguments: [Int.max, 64])
  func commitsWhileAMapIsClearedAway(pagesMax: Int) throws {
    let volumes = [1, 2].map { TemporaryPool.volume($0, extents: 1 << 24) }
    let pool = try TemporaryPool(volumes: volumes)
    // What the pages say does not matter here.
    try pool.tamper(
      """
      WITH RECURSIVE page(number) AS (SELECT 0 UNION ALL SELECT number + 1 FROM page WHERE number < 4095)
      INSERT INTO pages SELECT \(MapPage.keys(of: volumes[0].id).lowerBound) + number, randomblob(32784)
      FROM page
      """)
    let catalog = try pool.open()
    var random = SplitMix(state: 1)
    try catalog.delete(volume: volumes[0].id)
    var (steps, longest, sum, isMore) = (0, 0.0, 0.0, true)
    while isMore {
      let wait = try milliseconds {
        isMore = try catalog.purge(pagesMax: pagesMax)
        try catalog.append(randomDeltas(100, in: volumes[1], &random))
      }
      (steps, longest, sum) = (steps + 1, max(longest, wait), sum + wait)
    }
    print("4096 pages in \(steps) steps and \(sum) ms; a commit waits for \(longest) ms at most")
  }

  @Test func mapOf64Tebibytes() throws {
    let volume = TemporaryPool.volume(1, extents: 1 << 26)
    let pool = try TemporaryPool(volumes: [volume])
    do {
      let catalog = try pool.open()
      var deltas: [MapDelta] = []
      let fill = try milliseconds {
        for start in stride(from: UInt64(0), to: 1 << 26, by: 1 << 18) {
          deltas = (start..<start + 1 << 18).map {
            MapDelta(
              volume: volume.id, extent: $0, entry: MapEntry(store: StoreID(rawValue: 0), slot: $0 ^ 5))
          }
          try catalog.append(deltas)
          while try catalog.checkpoint(pagesMax: 64) {}
        }
      }
      print("filling 2^26 entries through journal and pages: \(fill) ms")
      try catalog.append(Array(deltas.prefix(1 << 17)))
      catalog.releaseThread()
    }
    let before = residentMebibytes()
    let memory = try AlignedMemory(count: 8 << 26, hugePages: true)
    let entries = unsafe UnsafeMutableBufferPointer(
      start: memory.base.assumingMemoryBound(to: UInt64.self), count: 1 << 26)
    for _ in 0..<3 {
      memory.discard(offset: 0, count: 8 << 26)
      let catalog = try pool.open()
      let load = try milliseconds { unsafe try catalog.loadMap(of: volume, into: entries) }
      print(
        "loading 2^26 entries: \(load) ms,",
        "\(residentMebibytes() - before) MiB peak over before (512 are the map)"
      )
    }
    var allocator = SlotAllocator(capacityBytes: 64 << 40)
    let resident = residentMebibytes()
    let mark = milliseconds {
      unsafe allocator.markUsed(
        entries: UnsafeBufferPointer(entries), store: StoreID(rawValue: 0), slotBytes: 1 << 20
      ) { _ in }
    }
    print("marking 2^26 slots: \(mark) ms, \(residentMebibytes() - resident) MiB")
    let release = milliseconds {
      for slot in 0..<1 << 20 as Range<UInt64> {
        allocator.release(slot: slot &* 0x9e3779b1 & 0x3ffffff, slotBytes: 1 << 20)
      }
    }
    let allocate = milliseconds { for _ in 0..<1 << 20 { _ = allocator.allocate(slotBytes: 1 << 20) } }
    print("2^20 scattered releases \(release) ms, allocations \(allocate) ms")
    let catalog = try pool.open()
    print("deleting the volume: \(try milliseconds { try catalog.delete(volume: volume.id) }) ms")
    var (steps, longest, isMore) = (0, 0.0, true)
    let purge = try milliseconds {
      while isMore {
        longest = max(longest, try milliseconds { isMore = try catalog.purge(pagesMax: 64) })
        steps += 1
      }
    }
    print("clearing its map away: \(purge) ms in \(steps) steps, the longest \(longest) ms")
    withExtendedLifetime(memory) {}
  }
}
