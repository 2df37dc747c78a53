import Primitives
import Testing

@Suite struct UUIDTests {
  @Test func theWrittenFormReadsBack() {
    var generator = SeededGenerator(seed: 1)
    for _ in 0..<200 {
      let uuid = UUID128(high: generator.next(), low: generator.next() >> UInt64(generator.below(64)))
      #expect(uuid.description.utf8.count == 36)
      #expect(UUID128(uuid.description) == uuid)
      #expect(UUID128(uuid.description.uppercased()) == uuid)
    }
    #expect(UUID128(high: 0, low: 1).description == "00000000-0000-0000-0000-000000000001")
    #expect(
      UUID128(high: 0x0123_4567_89ab_cdef, low: .max).description == "01234567-89ab-cdef-ffff-ffffffffffff")
  }

  @Test func randomOnesSayTheirVersion() {
    var generator = SeededGenerator(seed: 7)
    for _ in 0..<100 {
      let high = generator.next()
      let low = generator.next()
      let uuid = UUID128(randomHigh: high, randomLow: low)
      let text = Array(uuid.description)
      #expect(text[14] == "4" && "89ab".contains(text[19]))
      #expect((uuid.high ^ high) & ~0xf000 == 0 && (uuid.low ^ low) & ~(3 << 62) == 0)
    }
  }

  @Test(arguments: [
    "", "00000000-0000-0000-0000-00000000000", "00000000-0000-0000-0000-0000000000000",
    "000000000000-0000-0000-000000000001", "00000000000000000000000000000001",
    "g0000000-0000-0000-0000-000000000000", "+0000000-0000-0000-0000-000000000000",
    "00000000-0000-0000-+000-000000000000", "00000000-0000-0000-0000-0000000000é",
    " 0000000-0000-0000-0000-000000000000", "{0000000-0000-0000-0000-00000000000}",
  ])
  func otherTextIsRefused(_ text: String) {
    #expect(UUID128(text) == nil)
  }

  @Test func blocksAreRounded() {
    #expect(Block.floor(0) == 0 && Block.ceiling(0) == 0)
    #expect(Block.floor(4095) == 0 && Block.ceiling(1) == 4096)
    #expect(Block.floor(4096) == 4096 && Block.ceiling(4096) == 4096)
    #expect(Block.bytes == 1 << Block.shift)
  }

  @Test func theLastExtentMayBePartlyBeyondTheEnd() {
    func count(_ bytes: UInt64) -> UInt64 {
      VolumeRecord(
        id: VolumeID(rawValue: 1), uuid: UUID128(high: 0, low: 0), name: "v", sizeBytes: bytes,
        extentBytes: 1 << 20
      ).extentCount
    }
    #expect(count(0) == 0 && count(1) == 1 && count(1 << 20) == 1 && count((1 << 20) + 1) == 2)
  }
}
