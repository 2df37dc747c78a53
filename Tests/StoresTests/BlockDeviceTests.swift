import Glibc
import Platform
import Primitives
import Stores
import Testing

private let hasLoopDevices = unsafe getuid() == 0 && access("/dev/loop-control", F_OK) == 0

/// Stores on loop devices.
@Suite(.enabled(if: hasLoopDevices, "loop devices need root"), .serialized)
struct BlockDeviceTests {
  private let folder = TemporaryFolder()

  /// Runs `body` with a loop device of 16 MiB.
  private func withDevice(_ body: (String) throws -> Void) throws {
    let image = folder.path + "/image"
    do { try FileDescriptor.open(image, O_RDWR | O_CREAT).truncate(to: 16 << 20) }
    let name = folder.path + "/name"
    try #require(run("sh", "-c", "losetup --find --show \(image) > \(name)"), "losetup failed")
    let device = String(decoding: try content(name, 64).prefix { $0 != 10 }, as: UTF8.self)
    defer { run("losetup", "-d", device) }
    try body(device)
  }

  @Test func aBlockDeviceIsAStore() throws {
    try withDevice { device in
      let record = record(1, at: device, size: 16 << 20)
      try FileStore.create(record, pool: poolID)
      let store = try FileStore(opening: record, pool: poolID)
      #expect(store.kind == .blockDevice)
      #expect(store.capacityBytes == 15 << 20)
      #expect(store.isDirect)
      try store.zero(offset: 1 << 20, length: 1 << 20)
      try store.discard(offset: 1 << 20, length: 1 << 20)
    }
  }

  @Test func aSizeBeyondTheDeviceIsRefused() throws {
    try withDevice { device in
      let error = gnomonError { try FileStore.create(record(1, at: device, size: 17 << 20), pool: poolID) }
      #expect(error?.code == .invalid)
    }
  }

  @Test func aMountedDeviceIsRefusedEvenWithForce() throws {
    try withDevice { device in
      try #require(run("mkfs.ext4", "-q", device))
      #expect(gnomonError { try FileStore.create(record(1, at: device), pool: poolID) }?.code == .conflict)
      let mountPoint = folder.path + "/mnt"
      run("mkdir", mountPoint)
      try #require(run("mount", device, mountPoint))
      defer { run("umount", mountPoint) }
      #expect(
        gnomonError { try FileStore.create(record(1, at: device), pool: poolID, force: true) }?.code
          == .conflict)
    }
  }
}
