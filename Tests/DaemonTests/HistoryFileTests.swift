import Foundation
import Measurement
import Platform
import Primitives
import TestSupport
import Testing

@testable import Daemon

/// The file that keeps the history of loads.
@Suite struct HistoryFileTests {
  private let folder = TemporaryFolder()
  private let store = UUID128(high: 1, low: 2)

  private func loads() -> RecordedLoads {
    var loads = RecordedLoads()
    var counts = StoreCounts()
    for second in 3600..<3720 {
      counts[LatencySeries(.read, .small)].record(nanoseconds: 1000, times: 5)
      loads.record(counts, of: store, at: second, seconds: 1)
    }
    return loads
  }

  @Test func whatWasKeptIsRead() throws {
    let file = HistoryFile(directory: folder.path)
    #expect(try file.read(nowSeconds: 4000) == nil)
    try file.write(loads())
    try file.write(loads())
    let kept = try #require(try file.read(nowSeconds: 4000)?.history(of: store))
    #expect(kept[.minute][60].reads == 300 && kept[.minute][61].reads == 300)
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["history"])
  }

  @Test(arguments: [0, 8, 12, 20, 60])
  func damageIsTold(place: Int) throws {
    let file = HistoryFile(directory: folder.path)
    try file.write(loads())
    let url = URL(filePath: folder.path + "/history")
    var bytes = try Data(contentsOf: url)
    bytes[place] ^= 0x40
    try bytes.write(to: url)
    #expect(throws: GnomonError.self) { try file.read(nowSeconds: 4000) }
    try bytes.prefix(place).write(to: url)
    #expect(throws: GnomonError.self) { try file.read(nowSeconds: 4000) }
  }
}
