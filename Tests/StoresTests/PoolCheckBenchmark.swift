import Catalog
import ExtentMap
import Glibc
import Platform
import Primitives
import Stores
import Testing

private let isWanted = unsafe getenv("GNOMON_BENCHMARK") != nil

/// Figures, not tests: run with GNOMON_BENCHMARK=1 in a release build.
@Suite(.enabled(if: isWanted, "set GNOMON_BENCHMARK=1 to measure"))
struct PoolCheckBenchmark {
  @Test func checkOf64Tebibytes() throws {
    let folder = TemporaryFolder()
    // No file here can have 64 TiB, so four stores share the map.
    let stores = (0..<4).map { record($0, at: "\(folder.path)/s\($0)", size: 15 << 40, cache: .page) }
    for store in stores { try FileStore.create(store, pool: poolID) }
    let volume = VolumeRecord(
      id: VolumeID(rawValue: 1), uuid: UUID128(high: 8, low: 1), name: "vol1", sizeBytes: 59 << 40)
    let directory = folder.path + "/pool"
    try Catalog.create(at: directory, pool: PoolRecord(uuid: poolID), stores: stores, volumes: [volume])
    let catalog = try Catalog(opening: directory)
    let perStore = StoreFactory.capacityBytes(of: stores[0]) >> 20
    for start in stride(from: UInt64(0), to: volume.extentCount, by: 1 << 18) {
      let deltas = (start..<min(start + 1 << 18, volume.extentCount)).map { extent in
        let place = extent.quotientAndRemainder(dividingBy: perStore)
        let entry = MapEntry(store: StoreID(rawValue: UInt8(place.quotient)), slot: place.remainder)
        return MapDelta(volume: volume.id, extent: extent, entry: entry)
      }
      unsafe try deltas.withUnsafeBufferPointer { unsafe try catalog.append($0) }
      while try catalog.checkpoint(pagesMax: 64) {}
    }
    catalog.close()
    let start = MonotonicClock.nanoseconds()
    let report = try PoolCheck.run(directory: directory)
    let seconds = Double(MonotonicClock.nanoseconds() - start) / 1e9
    #expect(report.isSound)
    print("check of \(report.volumes[0].mappedExtents) extents in 4 stores: \(seconds) s")
  }
}
