import NBDWire
import Primitives
import Testing

@Suite struct BlockStatusBuilderTests {
  struct Run: Hashable {
    var length: UInt64
    var status: UInt32

    init(_ length: UInt64, _ status: UInt32) {
      self.length = length
      self.status = status
    }
  }

  struct Chunk {
    var bytes: [UInt8] = []
    var runs: [Run] = []
    /// How many of the runs were asked for.
    var appended = 0
  }

  /// Appends runs until the builder has enough, and takes the chunk apart.
  static func build(
    _ runs: [Run], format: ReplyFormat = .structured, length: UInt64 = 1 << 20, one: Bool = false,
    descriptors: Int = 8, granularity: UInt32 = 512, done: Bool = true
  ) -> Chunk {
    let request = RequestHeader(
      .blockStatus, flags: one ? .requestOne : [], cookie: 0x0102_0304_0506_0708, offset: 0x2000,
      length: length)
    let capacity = BlockStatusBuilder.bytes(format, descriptors: descriptors)
    var chunk = Chunk()
    chunk.bytes = written(capacity: capacity) { bytes in
      var builder = unsafe BlockStatusBuilder(
        format: format, into: bytes, capacityBytes: capacity, request: request, contextID: 3,
        granularityBytes: granularity)
      for run in runs {
        chunk.appended += 1
        guard builder.append(length: run.length, status: run.status) else { break }
      }
      let count = builder.descriptorCount
      let size = builder.finish(done: done)
      // What is counted on the way is what is written in the end, at least the one descriptor.
      return size == BlockStatusBuilder.bytes(format, descriptors: max(count, 1)) ? size : 0
    }
    chunk.runs = decode(chunk.bytes, format)
    return chunk
  }

  static func decode(_ bytes: [UInt8], _ format: ReplyFormat) -> [Run] {
    func number(_ slice: ArraySlice<UInt8>) -> UInt64 { slice.reduce(0) { $0 << 8 | UInt64($1) } }
    let isExtended = format == .extended
    let width = isExtended ? 8 : 4
    let list = bytes.dropFirst(format.headerBytes + (isExtended ? 8 : 4))
    return stride(from: list.startIndex, to: list.endIndex, by: 2 * width).map { place in
      Run(
        number(list[place..<place + width]), UInt32(number(list[place + width..<place + 2 * width])))
    }
  }

  @Test func goldenCompactChunk() {
    let chunk = Self.build([Run(4096, 3), Run(1 << 20, 0)], done: false)
    #expect(
      chunk.bytes == ReplyFormatTests.header(.structured, 5, length: 20, done: false) + big(UInt32(3))
        + big(UInt32(4096)) + big(UInt32(3)) + big(UInt32(1 << 20)) + big(UInt32(0)))
  }

  @Test func goldenExtendedChunk() {
    let chunk = Self.build([Run(4096, 3), Run(1 << 40, 0)], format: .extended)
    #expect(
      chunk.bytes == ReplyFormatTests.header(.extended, 6, length: 40, done: true) + big(UInt32(3))
        + big(UInt32(2)) + big(UInt64(4096)) + big(UInt64(3)) + big(UInt64(1 << 40)) + big(UInt64(0)))
  }

  @Test(arguments: [ReplyFormat.structured, .extended])
  func equalNeighboursAreMerged(format: ReplyFormat) {
    let runs = [Run(512, 1), Run(512, 1), Run(0, 7), Run(1024, 1), Run(512, 0), Run(512, 1)]
    #expect(
      Self.build(runs, format: format).runs == [Run(2048, 1), Run(512, 0), Run(512, 1)])
  }

  @Test(arguments: [ReplyFormat.structured, .extended])
  func onlyTheLastRunMayGoBeyondTheRequest(format: ReplyFormat) {
    let runs = [Run(4096, 1), Run(8192, 0), Run(4096, 1), Run(512, 0)]
    let chunk = Self.build(runs, format: format, length: 6000)
    #expect(chunk.runs == [Run(4096, 1), Run(8192, 0)])
    #expect(chunk.appended == 2)
    // A run that ends exactly at the end is the last one too.
    #expect(Self.build(runs, format: format, length: 4096).runs == [Run(4096, 1)])
  }

  @Test(arguments: [ReplyFormat.structured, .extended])
  func oneDescriptorIsCutAtTheEndOfTheRequest(format: ReplyFormat) {
    let long = Self.build([Run(8192, 1)], format: format, length: 4096, one: true)
    #expect(long.runs == [Run(4096, 1)])
    let merged = Self.build([Run(1024, 1), Run(9999, 1)], format: format, length: 4096, one: true)
    #expect(merged.runs == [Run(4096, 1)])
    let short = Self.build(
      [Run(1024, 1), Run(1024, 0), Run(1024, 1)], format: format, length: 4096, one: true)
    #expect(short.runs == [Run(1024, 1)])
    #expect(short.appended == 2)
  }

  @Test(arguments: [ReplyFormat.structured, .extended])
  func theRoomBoundsTheDescriptors(format: ReplyFormat) {
    let runs = (0..<20).map { Run(512, UInt32($0 % 2)) }
    for room in 1...5 {
      let chunk = Self.build(runs, format: format, descriptors: room)
      #expect(chunk.runs == Array(runs.prefix(room)))
      #expect(chunk.appended == room + 1)
    }
  }

  @Test func theLastDescriptorGrowsThoughTheRoomIsUsedUp() {
    let chunk = Self.build([Run(512, 0), Run(512, 1), Run(512, 1), Run(512, 0)], descriptors: 2)
    #expect(chunk.runs == [Run(512, 0), Run(1024, 1)])
  }

  @Test func compactRunsAreCutAtTheGranularity() {
    let longest: UInt64 = 0xffff_f000
    let chunk = Self.build([Run(1 << 40, 2)], length: UInt64(UInt32.max), granularity: 4096)
    #expect(chunk.runs == [Run(longest, 2), Run(longest, 2)])
    // The first piece covers a smaller request alone.
    #expect(Self.build([Run(1 << 40, 2)], length: longest, granularity: 4096).runs == [Run(longest, 2)])
    let one = Self.build([Run(1 << 40, 2)], length: UInt64(UInt32.max), one: true, granularity: 4096)
    #expect(one.runs == [Run(longest, 2)])
    let narrow = Self.build([Run(1 << 40, 2)], length: UInt64(UInt32.max), descriptors: 1, granularity: 4096)
    #expect(narrow.runs == [Run(longest, 2)])
  }

  @Test func mergingStopsBelowThirtyTwoBits() {
    let half = Run(1 << 31, 1)
    let chunk = Self.build([half, half, half], length: UInt64(UInt32.max), granularity: 4096)
    #expect(chunk.runs == [Run(0xffff_f000, 1), Run(4096, 1)])
    #expect(chunk.appended == 2)
  }

  @Test func extendedRunsAreNotCut() {
    let chunk = Self.build([Run(1 << 45, 1), Run(1 << 45, 1)], format: .extended, length: 1 << 46)
    #expect(chunk.runs == [Run(1 << 46, 1)])
    let huge = Self.build([Run(512, 1), Run(.max, 1)], format: .extended, length: .max)
    #expect(huge.runs.first == Run(.max - 511, 1))
  }

  @Test func withoutRunsTheWholeRequestHasStatusZero() {
    #expect(Self.build([], length: 12288).runs == [Run(12288, 0)])
    #expect(Self.build([], length: 12288, one: true).runs == [Run(12288, 0)])
    #expect(Self.build([Run(0, 5)], length: 12288).runs == [Run(12288, 0)])
  }

  @Test func randomRunsAreToldAsTheyAre() {
    var generator = SeededGenerator(seed: 11)
    for round in 0..<2_000 {
      let runs = (0..<Int.random(in: 1...12, using: &generator)).map { _ in
        Run(
          512 * UInt64.random(in: 1...(1 << 24), using: &generator),
          UInt32.random(in: 0...2, using: &generator))
      }
      let length = 512 * UInt64.random(in: 1..<(1 << 23), using: &generator)
      let one = round % 5 == 0
      let format = round % 2 == 0 ? ReplyFormat.structured : .extended
      let room = Int.random(in: 1...6, using: &generator)
      let chunk = Self.build(runs, format: format, length: length, one: one, descriptors: room)
      let told = chunk.runs
      #expect(!told.isEmpty && told.count <= room, "round \(round)")
      #expect(!one || (told.count == 1 && told[0].length <= length), "round \(round)")
      let total = told.reduce(0) { $0 + $1.length }
      #expect(total - (told.last?.length ?? 0) < length, "round \(round)")
      // Every descriptor's first and last block have the status that the runs gave them.
      var position: UInt64 = 0
      for descriptor in told {
        #expect(Self.status(of: position, in: runs) == descriptor.status, "round \(round)")
        position += descriptor.length
        #expect(Self.status(of: position - 1, in: runs) == descriptor.status, "round \(round)")
        #expect(descriptor.length % 512 == 0)
      }
    }
  }

  static func status(of position: UInt64, in runs: [Run]) -> UInt32? {
    var end: UInt64 = 0
    for run in runs {
      end += run.length
      if position < end { return run.status }
    }
    return nil
  }
}
