import ExtentMap
import Primitives
import Testing

@Suite struct SealEntryTests {
  @Test func aSealGoesThroughItsStates() {
    var seal = SealEntry.open
    #expect(seal.isOpen && !seal.isSealed && seal.persistent == 0)
    seal.watch()
    let watched = seal
    #expect(seal.isWatched && !seal.isOpen && seal.persistent == 0 && seal.isUntouched(since: watched))
    seal.seal(0xffff_ffff)
    #expect(seal.isSealed && seal.checksum == 0xffff_ffff && seal.pending == 1)
    #expect(SealEntry(rawValue: seal.persistent) == SealEntry(checksum: 0xffff_ffff))
    let sealed = seal
    seal.unseal()
    #expect(!seal.isSealed && seal.isUnsealing && seal.pending == 2 && !seal.isUntouched(since: sealed))
    // The first of the two changes is the seal, which nobody waits for any more.
    let isForgottenEarly = seal.committed()
    #expect(!isForgottenEarly && seal.isUnsealing)
    let isForgotten = seal.committed()
    #expect(isForgotten && seal.isOpen && seal.pending == 0)
  }

  @Test func aWatchThatWasBrokenIsNotMistakenForAnother() {
    var seal = SealEntry.open
    seal.watch()
    let watched = seal
    seal.breakOpen()
    #expect(seal.isOpen && !seal.isUntouched(since: watched))
    seal.watch()
    #expect(!seal.isUntouched(since: watched))
  }

  @Test func aSealThatGoesWithItsExtentIsNotWaitedFor() {
    var seal = SealEntry(checksum: 7)
    seal.notePending()
    seal.breakOpen()
    #expect(seal.isOpen && seal.pending == 1)
    let isForgotten = seal.committed()
    #expect(!isForgotten && seal.pending == 0)
    // One that nobody counted, of an extent that was cut off.
    let isForgottenTwice = seal.committed()
    #expect(!isForgottenTwice && seal.pending == 0)
  }

  @Test func sealsAreKeptBesideTheMap() throws {
    let map = try ExtentMap(volume: VolumeID(rawValue: 1), extentBytes: 65_536, extentCount: 2000)
    #expect(map.view.seal(1999) == .open)
    // Where no room was made, nothing is known.
    map.view.setSeal(1999, SealEntry(checksum: 1))
    #expect(map.view.seal(1999) == .open)
    for extent: UInt64 in [0, 511, 512, 1999] {
      map.view.setAddress(extent, MapEntry(store: StoreID(rawValue: 3), slot: extent))
      try map.loadSeal(extent, SealEntry(checksum: UInt32(extent)))
    }
    for extent: UInt64 in [0, 511, 512, 1999] {
      #expect(map.view.seal(extent).checksum == UInt32(extent) && map.view.entry(extent).isClosed)
      #expect(map.view.entry(extent).slot == extent && map.view.entry(extent).store.rawValue == 3)
    }
    #expect(map.view.seal(1) == .open && !map.view.entry(1).isClosed)
    #expect(map.firstStraySeal() == nil)
    try map.loadSeal(1, SealEntry(checksum: 5))
    #expect(map.firstStraySeal() == 1)
    // What the journal takes back of what a page said.
    try map.loadSeal(1, .open)
    #expect(map.firstStraySeal() == nil && !map.view.entry(1).isClosed)
  }

  @Test func thePlaneAdmitsSealsOnly() {
    #expect(MapPlane.seal.admits(0) && MapPlane.seal.admits(SealEntry(checksum: 0).rawValue))
    #expect(MapPlane.seal.admits(SealEntry(checksum: .max).rawValue))
    #expect(!MapPlane.seal.admits(7) && !MapPlane.seal.admits(1 << 33 | 1 << 32))
    // A word with a run-time bit is no address.
    #expect(!MapPlane.live.admits(MapEntry.closed | 1))
  }
}
