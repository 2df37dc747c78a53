import HTTPService
import Primitives
import Testing

@testable import gnomon

/// Stores and volumes as they are written on the command line.
@Suite struct SpecTests {
  private func store(_ text: String) throws(GnomonError) -> StoreRequest {
    try StoreRequest(spec: text, workingDirectory: "/home/u")
  }

  @Test func storesHaveEveryKey() throws {
    #expect(
      try store("fast=/dev/nvme0n1,size=1.5T,tier=1,region=eu,zone=a,node=n1,cost=0.08,cache=page")
        == StoreRequest(
          name: "fast", path: "/dev/nvme0n1", sizeBytes: 3 << 39, tier: 1, region: "eu", zone: "a",
          node: "n1",
          cost: 0.08, cache: .page))
    #expect(
      try store("a=x/y.img,size=10GiB")
        == StoreRequest(name: "a", path: "/home/u/x/y.img", sizeBytes: 10 << 30, tier: 0))
  }

  @Test func commasAreEscaped() throws {
    #expect(try store(#"a=/x\,y\\z=1,size=1G,zone=p\,q"#).path == #"/x,y\z=1"#)
    #expect(try store(#"a=/x\,y,size=1G,zone=p\,q"#).zone == "p,q")
    #expect(try store(#"a=/x\y,size=1G"#).path == #"/x\y"#)
  }

  @Test(arguments: [
    ("fast", "a store can not be read from 'fast'"), ("fast=", "a store can not be read from 'fast='"),
    ("", "a store can not be read from ''"), ("=/x,size=1G", "wrong name of a store"),
    ("-a=/x,size=1G", "wrong name of a store"), ("a=/x", "store 'a' has no size"),
    ("a=/x,size=ten", "store 'a': wrong size 'ten'"), ("a=/x,size=1G,tier=x", "store 'a': wrong tier 'x'"),
    ("a=/x,size=1G,tier=-1", "store 'a' has a wrong tier: -1"),
    ("a=/x,size=1G,teir=1", "store 'a': unknown key 'teir'"),
    ("a=/x,size=1G,size=2G", "store 'a': 'size' is given twice"),
    ("a=/x,size=1G,y", "store 'a': 'y' is not of the form"),
    ("a=/x,size=1G,", "store 'a': '' is not of the form"),
    ("a=/x,size=1G,cost=nan", "store 'a' has a wrong cost"),
    ("a=/x,size=1G,cache=ram", "store 'a': wrong cache 'ram'"), ("a=/x,size=4097", "wrong size of store 'a'"),
    ("a=/x,size=4096", "store 'a' is too small"),
  ])
  func wrongStoresAreTold(text: String, message: String) throws {
    let error = #expect(throws: GnomonError.self) { try store(text) }
    let found = try #require(error)
    #expect(found.code == .invalid)
    #expect(found.message.hasPrefix(message), "\(found)")
  }

  @Test func volumesHaveEveryKey() throws {
    #expect(try VolumeRequest(spec: "disk 0=20G") == VolumeRequest(name: "disk 0", sizeBytes: 20 << 30))
    #expect(
      try VolumeRequest(spec: "d=1T,extent=64K")
        == VolumeRequest(name: "d", sizeBytes: 1 << 40, extentBytes: 64 << 10))
    let pinned = VolumeRequest(
      name: "d", sizeBytes: 1 << 30, tiers: TierRulesChange(pin: .tier(1), never: TierSet([0, 2])))
    for spec in ["d=1G,pin=tier1,never=tier0+tier2", "d=1G,pin=1,never=0\\,2"] {
      #expect(try VolumeRequest(spec: spec) == pinned)
    }
    #expect(try VolumeRequest(spec: "d=1G", options: ["pin": "1", "never": "tier2,tier0"]) == pinned)
    #expect(
      try VolumeRequest(spec: "d=1G,pin=none,never=none")
        == VolumeRequest(name: "d", sizeBytes: 1 << 30, tiers: TierRulesChange(never: TierSet())))
  }

  @Test func aKeyIsNotGivenTwice() {
    let error = #expect(throws: GnomonError.self) {
      try VolumeRequest(spec: "d=1G,pin=tier1", options: ["pin": "tier1"])
    }
    #expect(error?.message == "volume 'd': 'pin' is given twice")
  }

  @Test(arguments: [
    ("d", "a volume can not be read from 'd'"), ("d=x", "volume 'd': wrong size 'x'"),
    ("d=1000", "wrong size of volume 'd': 1000 bytes"), ("d=0", "wrong size of volume 'd': 0 bytes"),
    ("d=1G,extent=3M", "wrong extent size: 3 MiB"), ("d=1G,extent=big", "volume 'd': wrong extent 'big'"),
    ("d=1G,size=1", "volume 'd': unknown key 'size'"), ("a/b=1G", "wrong name of a volume"),
    ("d=1G,pin=tier256", "wrong pin 'tier256'"), ("d=1G,never=0;1", "wrong never '0;1'"),
    ("d=1G,pin=0,never=0", "a volume can not be pinned to tier0 and never have copies there"),
  ])
  func wrongVolumesAreTold(text: String, message: String) throws {
    let error = #expect(throws: GnomonError.self) { try VolumeRequest(spec: text) }
    let found = try #require(error)
    #expect(found.message.hasPrefix(message), "\(found)")
  }

  @Test func pathsAreMadeAbsolute() {
    #expect(AbsolutePath.of("a", from: "/b") == "/b/a")
    #expect(AbsolutePath.of("/a//", from: "/b") == "/a")
    #expect(AbsolutePath.of("/", from: "/b") == "/")
  }

  @Test func wordsAreQuotedForShells() {
    #expect(ShellWord.quoted("/srv/pool-1") == "/srv/pool-1")
    #expect(ShellWord.quoted("/a b") == "'/a b'")
    #expect(ShellWord.quoted("it's") == #"'it'\''s'"#)
    #expect(ShellWord.quoted("") == "''")
  }
}
