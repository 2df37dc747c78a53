import Primitives
import Testing

@testable import Forecasting

@Suite struct ExtentTableTests {
  /// Adds, removes and looks up, always as a dictionary would.
  @Test(arguments: 1...8 as ClosedRange<UInt64>)
  func itIsADictionary(seed: UInt64) throws {
    var random = SeededGenerator(seed: seed)
    var table = ExtentTable<Int32>(capacity: 200, filler: 0)
    var model: [UInt32: Int32] = [:]
    // Few extents, many of them neighbours, so that runs of places overflow into each other.
    func extent() -> UInt32 { UInt32(random.below(40) * 64 + random.below(12)) }
    for step in 0..<20_000 {
      let extent = extent()
      if let place = table.place(of: extent) {
        #expect(table[place] == model[extent])
        #expect(table.extent(at: place) == extent)
        if random.chance(2) {
          table.remove(at: place)
          model[extent] = nil
        }
      } else {
        #expect(model[extent] == nil)
        if table.count < table.capacity {
          let place = table.add(extent, Int32(step))
          #expect(table.place(of: extent) == place)
          model[extent] = Int32(step)
        }
      }
      try #require(table.count == model.count)
    }
    for (extent, value) in model { #expect(table.place(of: extent).map { table[$0] } == value) }
  }

  @Test func recordsAreForgottenLongestUntouchedFirst() {
    var records = ExtentRecords(capacity: 1000)
    let capacity = records.capacity
    let bytes = records.bytes
    for extent in 0..<UInt32(capacity * 20) {
      let place = records.makePlace(for: extent, at: UInt64(extent))
      records[place].setLast(UInt64(extent))
      // One extent is touched all the time.
      let hot = records.makePlace(for: 7, at: UInt64(extent))
      records[hot].setLast(UInt64(extent))
      #expect(records.count <= capacity)
    }
    #expect(records.bytes == bytes)
    #expect(records.record(of: 7) != nil)
    #expect(records.record(of: UInt32(capacity * 20 - 1)) != nil)
    let old = (100..<UInt32(capacity * 10)).count { records.record(of: $0) != nil }
    #expect(old < capacity / 20, "\(old) of \(capacity) records are of extents that were left long ago")
  }

  @Test func timesWrapAroundAndNeverPassBackwards() {
    var record = ExtentRecord()
    record.setLast(1_800_000_000_000_000)
    #expect(record.passed(at: 1_800_000_000_000_007) == 7)
    #expect(record.passed(at: 1_799_999_999_999_999) == 0)
    record.setLast(1 << 48 - 2)
    #expect(record.passed(at: 1 << 48 + 3) == 5)
  }

  /// The bound that is promised for a touched extent, at the fill to which the table is allowed.
  @Test func aRecordTakesAtMost64Bytes() {
    let records = ExtentRecords(capacity: 3 << 18)
    #expect(records.bytes <= records.capacity * 64)
  }
}
