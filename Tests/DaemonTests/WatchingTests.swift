import ExtentMap
import Glibc
import Health
import Measurement
import Primitives
import Redirection
import Shadowing
import TestSupport
import Testing

@testable import Daemon

@Suite struct SampleTakerTests {
  private func counts(reads: UInt64, begun: UInt64) -> StoreCounts {
    var counts = StoreCounts()
    counts[LatencySeries(.read)].record(nanoseconds: 1_000_000, times: reads)
    counts.bytesRead = reads * 4096
    counts.begun = begun
    return counts
  }

  @Test func samplesAreWhatHappenedSinceTheOneBefore() throws {
    var taker = SampleTaker()
    #expect(taker.take(counts(reads: 100, begun: 103), seconds: 0) == nil)
    let taken = taker.take(counts(reads: 130, begun: 131), seconds: 1)
    let sample = try #require(taken)
    #expect(sample.seconds == 1 && sample.counts.succeeded == 30 && sample.counts.bytesRead == 30 * 4096)
    // Of all that was begun ever, not of what was begun since.
    #expect(sample.inFlight == 1)
  }

  @Test func aPauseOfTheProcessSaysNothing() throws {
    var taker = SampleTaker()
    _ = taker.take(counts(reads: 0, begun: 5), seconds: 0)
    #expect(taker.take(counts(reads: 0, begun: 5), seconds: 60) == nil)
    let taken = taker.take(counts(reads: 5, begun: 5), seconds: 1)
    let sample = try #require(taken)
    #expect(sample.counts.succeeded == 5)
  }

  @Test func theLatestIsHalfAMinuteToAMinute() {
    var taker = SampleTaker()
    for second in 0..<200 as Range<UInt64> {
      _ = taker.take(counts(reads: 10 * second, begun: 10 * second), seconds: second == 0 ? 0 : 1)
      let latest = taker.latest
      #expect(latest.seconds <= 60 && latest.seconds >= Double(min(second, 30)))
      #expect(latest.counts.succeeded == UInt64(latest.seconds) * 10)
    }
  }
}

@Suite struct WatchedStoreTests {
  private final class Plan: MovePlan {
    let triesAgain = true
    func next() -> PlannedMoves { PlannedMoves() }
    func leftBytes(after progress: MoveJob.Progress) -> UInt64? { nil }
  }

  private func job() -> MoveJob { MoveJob(number: 1, "test", .evacuation, plan: Plan()) }

  @Test func eachStateHasItsJob() {
    var watched = WatchedStore(uuid: UUID128(high: 1, low: 2))
    #expect(watched.turn(to: .serving, isUsed: true) == (nil, false))
    #expect(watched.turn(to: .noNewPlacements, isUsed: true) == (nil, false))
    #expect(watched.turn(to: .evacuating, isUsed: true) == (nil, true))
    let evacuation = job()
    watched.job = evacuation
    #expect(watched.turn(to: .evacuating, isUsed: true) == (nil, false))
    #expect(watched.turn(to: .satOut, isUsed: true) == (evacuation, true))
    let promotion = job()
    watched.job = promotion
    #expect(watched.turn(to: .returning, isUsed: true) == (promotion, false))
    #expect(watched.turn(to: .serving, isUsed: true) == (nil, false))
  }

  @Test func anEvacuationIsBegunAgainIfSomethingHasCome() {
    var watched = WatchedStore(uuid: UUID128(high: 1, low: 2))
    #expect(watched.turn(to: .evacuating, isUsed: false) == (nil, false))
    #expect(watched.turn(to: .evacuating, isUsed: true) == (nil, true))
    let done = job()
    done.end()
    watched.job = done
    #expect(watched.turn(to: .evacuating, isUsed: false) == (nil, false))
    #expect(watched.turn(to: .evacuating, isUsed: true) == (nil, true))
  }

  @Test func whatSomebodyHasCancelledIsNotBegunAgain() {
    var watched = WatchedStore(uuid: UUID128(high: 1, low: 2))
    _ = watched.turn(to: .evacuating, isUsed: true)
    let cancelled = job()
    cancelled.cancel()
    cancelled.end()
    watched.job = cancelled
    #expect(watched.turn(to: .evacuating, isUsed: true) == (nil, false))
    // What has ended is not cancelled once more.
    #expect(watched.turn(to: .serving, isUsed: true) == (nil, false))
    #expect(watched.turn(to: .evacuating, isUsed: true) == (nil, true))
  }
}

private func == (found: (end: MoveJob?, isDue: Bool), wanted: (MoveJob?, Bool)) -> Bool {
  found.end === wanted.0 && found.isDue == wanted.1
}

@Suite struct BackingDeviceTests {
  /// A picture of sysfs with devices and links between them.
  private final class Sysfs {
    let folder = TemporaryFolder()

    func device(_ number: String, at place: String, isPartition: Bool = false, on beneath: [String] = [])
      throws
    {
      let path = folder.path + "/devices/" + place
      try Self.makeFolders(path + "/slaves")
      try Self.makeFolders(folder.path + "/dev/block")
      if isPartition { close(unsafe open(path + "/partition", O_CREAT | O_WRONLY, 0o644)) }
      for other in beneath {
        let name = other.split(separator: "/").last!
        unsafe symlink(folder.path + "/devices/" + other, path + "/slaves/" + name)
      }
      unsafe symlink(path, folder.path + "/dev/block/" + number)
    }

    private static func makeFolders(_ path: String) throws {
      var place = ""
      for part in path.split(separator: "/") {
        place += "/" + part
        unsafe mkdir(place, 0o755)
      }
    }

    func found(_ major: UInt64, _ minor: UInt64) -> BackingDevice {
      BackingDevice(number: dev_t(major << 8 | minor), sysfs: folder.path)
    }
  }

  @Test func layersAreLookedThrough() throws {
    let sysfs = Sysfs()
    try sysfs.device("8:0", at: "pci0/ata1/block/sda")
    try sysfs.device("8:1", at: "pci0/ata1/block/sda/sda1", isPartition: true)
    try sysfs.device("253:0", at: "virtual/block/dm-0", on: ["pci0/ata1/block/sda/sda1"])
    try sysfs.device("253:1", at: "virtual/block/dm-1", on: ["virtual/block/dm-0"])
    for (major, minor) in [(8, 0), (8, 1), (253, 0), (253, 1)] as [(UInt64, UInt64)] {
      #expect(sysfs.found(major, minor) == .device("/dev/sda"), "\(major):\(minor)")
    }
  }

  @Test func whatHasNoDeviceSaysWhy() throws {
    let sysfs = Sysfs()
    try sysfs.device("8:0", at: "pci0/ata1/block/sda")
    try sysfs.device("8:16", at: "pci0/ata2/block/sdb")
    try sysfs.device("9:0", at: "virtual/block/md0", on: ["pci0/ata1/block/sda", "pci0/ata2/block/sdb"])
    try sysfs.device("7:0", at: "virtual/block/loop0")
    #expect(sysfs.found(9, 0) == .none("it lies on 2 devices: sda, sdb"))
    #expect(sysfs.found(7, 0) == .none("loop0 is a virtual device"))
    #expect(sysfs.found(0, 42) == .none("its file system lies on no single device"))
  }
}

@Suite struct CensusTests {
  private func id(_ number: UInt8) -> StoreID { StoreID(rawValue: number) }

  private func volume(_ number: UInt32, _ protection: Protection) throws -> Volume {
    let record = VolumeRecord(
      id: VolumeID(rawValue: number), uuid: UUID128(high: 1, low: UInt64(number)), name: "v\(number)",
      sizeBytes: 64 << 20, extentBytes: 1 << 20,
      redundancy: Redundancy(copies: 2, across: .store, protection: protection))
    return Volume(
      record, map: try ExtentMap(volume: record.id, extentBytes: record.extentBytes, extentCount: 64))
  }

  private func place(_ volume: Volume, _ extent: UInt64, _ live: UInt8, _ shadows: (UInt8, UInt64)...) throws
  {
    volume.map.view.setAddress(extent, MapEntry(store: id(live), slot: extent))
    for (index, shadow) in shadows.enumerated() {
      try volume.map.loadShadow(extent, index, MapEntry(store: id(shadow.0), slot: extent), missed: shadow.1)
    }
  }

  @Test func itCountsWhatWouldBeLostAndWhatIsLacking() throws {
    let mirrored = try volume(1, .sync)
    let lazy = try volume(2, .async)
    try place(mirrored, 0, 0)
    try place(mirrored, 1, 0, (1, 0))
    try place(mirrored, 2, 0, (1, 4))
    try place(mirrored, 3, 1, (0, 0))
    try place(mirrored, 4, 1, (0, 8), (2, 0))
    try place(mirrored, 5, 2, (0, 0))
    try place(mirrored, 6, 2)
    try place(lazy, 0, 1, (0, 8))
    // Store 2 can not be counted on.
    let census = Census(of: [id(0), id(1)], in: [mirrored, lazy]) { $0 != id(2) }
    // 0, 2 and 5: what is synced elsewhere is so in store 2 only, if at all.
    #expect(census.redundancy[id(0)] == StoreRedundancy(onlyCopies: 3, staleCopies: 1))
    // 4, and 0 of the other volume; that a shadow there lacks something is how that volume wants it.
    #expect(census.redundancy[id(1)] == StoreRedundancy(onlyCopies: 2, staleCopies: 1))
    #expect(census.redundancy[id(2)] == nil)
  }
}
