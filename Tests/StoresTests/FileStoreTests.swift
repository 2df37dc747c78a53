import Glibc
import Platform
import Primitives
import Testing

@testable import Stores

struct FileStoreTests {
  private let folder = TemporaryFolder()
  private var path: String { folder.path + "/store" }

  @Test(arguments: CacheMode.allCases)
  func aNewStoreIsSparseAndReadsZero(cache: CacheMode) throws {
    let record = record(1, at: path, size: (64 << 20) + 5000, cache: cache)
    try FileStore.create(record, pool: poolID)
    let store = try FileStore(opening: record, pool: poolID)
    #expect(store.record == record)
    #expect(store.dataOffset == 1 << 20)
    #expect(store.capacityBytes == 63 << 20)
    #expect(store.mayHoldLiveCopies)
    #expect(store.kind == .regular)
    let status = try store.descriptor.status()
    #expect(status.st_size == off_t(record.sizeBytes))
    #expect(status.st_blocks * 512 < 1 << 20)
  }

  @Test func discardedAndZeroedRangesReadZero() throws {
    let record = record(1, at: path, cache: .page)
    try FileStore.create(record, pool: poolID)
    let store = try FileStore(opening: record, pool: poolID)
    let pattern = [UInt8](repeating: 7, count: 256 << 10)
    try store.descriptor.writeBytes(pattern, at: store.dataOffset)
    try store.discard(offset: store.dataOffset, length: 64 << 10)
    try store.zero(offset: store.dataOffset + 128 << 10, length: 64 << 10)
    try store.synchronize()
    let bytes = try store.descriptor.readBytes(256 << 10, at: store.dataOffset)
    let quarters = (0..<4).map { quarter in Set(bytes.dropFirst(quarter * 65536).prefix(65536)) }
    let first: Set<UInt8> = store.capabilities.punchHole ? [0] : [7]
    #expect(quarters == [first, [7], [0], [7]])
  }

  @Test func probingLeavesDataAlone() throws {
    let record = record(1, at: path, cache: .page)
    try FileStore.create(record, pool: poolID)
    try overwrite(path, [UInt8](repeating: 0x33, count: 1 << 20), at: 1 << 20)
    let before = fingerprint(path)
    _ = try FileStore(opening: record, pool: poolID)
    #expect(fingerprint(path) == before)
  }

  @Test func aStoreInUseIsRefused() throws {
    let record = record(1, at: path)
    try FileStore.create(record, pool: poolID)
    let store = try FileStore(opening: record, pool: poolID)
    #expect(gnomonError { _ = try FileStore(opening: record, pool: poolID) }?.code == .conflict)
    #expect(gnomonError { try FileStore.create(record, pool: poolID, force: true) }?.code == .conflict)
    withExtendedLifetime(store) {}
  }

  // MARK: - Making a store

  @Test func anEmptyOrZeroFileIsTaken() throws {
    for size in [0, 3 << 20, 8 << 20] {
      let path = folder.path + "/existing\(size)"
      try FileDescriptor.open(path, O_RDWR | O_CREAT).writeBytes([UInt8](repeating: 0, count: size), at: 0)
      try FileStore.create(record(1, at: path), pool: poolID)
      _ = try FileStore(opening: record(1, at: path), pool: poolID)
    }
  }

  @Test(
    arguments: [
      (0, Array("XFSB".utf8), "XFS"), (1080, [0x53, 0xef], "ext4"), (510, [0x55, 0xaa], "partition"),
      (65600, Array("_BHRfS_M".utf8), "btrfs"), (700_000, [1], "700000"),
      ((20 << 20) - 9, [1], "\((20 << 20) - 9)"),
    ] as [(Int, [UInt8], String)])
  func foreignDataIsRefusedWithoutForce(offset: Int, bytes: [UInt8], word: String) throws {
    let file = try FileDescriptor.open(path, O_RDWR | O_CREAT)
    try file.truncate(to: 20 << 20)
    try file.writeBytes(bytes, at: UInt64(offset))
    let before = fingerprint(path)
    let error = gnomonError { try FileStore.create(record(1, at: path), pool: poolID) }
    #expect(error?.code == .conflict)
    #expect(error?.cause?.contains(word) == true, "\(String(describing: error))")
    #expect(fingerprint(path) == before)
    try FileStore.create(record(1, at: path), pool: poolID, force: true)
    _ = try FileStore(opening: record(1, at: path), pool: poolID)
    let data = try content(path, 8 << 20, at: 1 << 20)
    #expect(data.allSatisfy { $0 == 0 })
  }

  @Test func anotherStoreIsRefusedWithoutForce() throws {
    try FileStore.create(record(1, at: path), pool: poolID)
    let error = gnomonError { try FileStore.create(record(2, at: path), pool: UUID128(high: 5, low: 5)) }
    #expect(error?.code == .conflict)
    #expect(error?.cause?.contains("\(poolID)") == true)
    _ = try FileStore(opening: record(1, at: path), pool: poolID)
  }

  @Test func impossiblePlacesAreRefused() throws {
    #expect(
      gnomonError { try FileStore.create(record(1, at: path, size: 1 << 20), pool: poolID) }?.code == .invalid
    )
    #expect(gnomonError { try FileStore.create(record(1, at: folder.path), pool: poolID) }?.code == .invalid)
    let nowhere = folder.path + "/none/store"
    #expect(gnomonError { try FileStore.create(record(1, at: nowhere), pool: poolID) }?.code == .notFound)
    #expect(unsafe mkfifo(path, 0o600) == 0)
    #expect(gnomonError { try FileStore.create(record(1, at: path), pool: poolID) }?.code == .invalid)
  }

  @Test(.enabled(if: getuid() == 0, "mounting a small tmpfs needs root"))
  func aFailedCreationLeavesNoFile() throws {
    try #require(run("mount", "-t", "tmpfs", "-o", "size=4k", "gnomon-test", folder.path))
    defer { run("umount", "-l", folder.path) }
    let error = gnomonError { try FileStore.create(record(1, at: path), pool: poolID) }
    #expect(error?.code == .full)
    #expect(unsafe access(path, F_OK) != 0)
  }

  // MARK: - Opening a store

  private func openError(_ record: StoreRecord, pool: UUID128 = poolID) throws -> GnomonError? {
    let before = fingerprint(record.path)
    let error = gnomonError { _ = try FileStore(opening: record, pool: pool) }
    #expect(fingerprint(record.path) == before)
    #expect(error == nil || error?.remedy != nil)
    return error
  }

  @Test func aStoreInUseIsWaitedFor() throws {
    let record = record(1, at: path)
    try FileStore.create(record, pool: poolID)
    let other = try FileDescriptor.open(path, O_RDWR)
    #expect(try other.tryLock())
    let error = gnomonError { _ = try FileStore(opening: record, pool: poolID, waitMilliseconds: 50) }
    #expect(error?.code == .conflict)
    #expect(error?.message.contains("in use") == true)
    let copy = other.raw
    let owner = try NativeThread(name: "owner") {
      usleep(200_000)
      _ = flock(copy, LOCK_UN)
    }
    let store = try FileStore(opening: record, pool: poolID, waitMilliseconds: 60_000)
    owner.join()
    #expect(try !other.tryLock())
    store.unlock()
    #expect(try other.tryLock())
  }

  @Test func aMissingFileIsNamed() throws {
    let error = try openError(record(1, at: path))
    #expect(error?.code == .notFound)
    #expect(error?.message == "the file of store s1 is missing")
  }

  @Test func aTruncatedFileIsRefused() throws {
    try FileStore.create(record(1, at: path), pool: poolID)
    try FileDescriptor.open(path, O_RDWR).truncate(to: (8 << 20) - 1)
    let error = try openError(record(1, at: path))
    #expect(error?.code == .corrupt)
    #expect(error?.message == "the file of store s1 is too short")
  }

  @Test func aStoreOfAnotherPoolIsRefused() throws {
    try FileStore.create(record(1, at: path), pool: poolID)
    let error = try openError(record(1, at: path), pool: UUID128(high: 3, low: 4))
    #expect(error?.code == .conflict)
    #expect(error?.message.contains("belongs to another pool") == true)
  }

  @Test func swappedStoresAreRefused() throws {
    try FileStore.create(record(1, at: path), pool: poolID)
    let error = try openError(record(2, at: path))
    #expect(error?.code == .conflict)
    #expect(error?.cause?.contains("store s1") == true)
  }

  @Test func aFileWithoutALabelIsRefused() throws {
    try FileDescriptor.open(path, O_RDWR | O_CREAT).truncate(to: 8 << 20)
    let error = try openError(record(1, at: path))
    #expect(error?.code == .corrupt)
    #expect(error?.message.contains("no Gnomon label") == true)
  }

  @Test func oneDamagedLabelIsSurvivedTwoAreNot() throws {
    let record = record(1, at: path)
    try FileStore.create(record, pool: poolID)
    #expect(try FileStore.inspect(record, pool: poolID) == 0)
    try overwrite(path, [0xff], at: 50)
    #expect(try openError(record) == nil)
    #expect(try FileStore.inspect(record, pool: poolID) == 1)
    try overwrite(path, [0xff], at: 65536 + 50)
    #expect(try openError(record)?.message == "both labels of store s1 are damaged")
    try overwrite(path, [0xff], at: 0)
    #expect(try openError(record)?.code == .corrupt)
  }

  @Test func aNewerLabelIsRefused() throws {
    try FileStore.create(record(1, at: path), pool: poolID)
    for offset in StoreLabel.offsets {
      var block = try content(path, 4096, at: offset)
      block[8] = 2
      for index in 12..<16 { block[index] = 0 }
      let checksum = unsafe block.withUnsafeBytes { unsafe CRC32C.checksum(of: $0) }
      for index in 0..<4 { block[12 + index] = UInt8(truncatingIfNeeded: checksum >> UInt32(8 * index)) }
      try overwrite(path, block, at: offset)
    }
    let error = try openError(record(1, at: path))
    #expect(error?.code == .invalid)
    #expect(error?.cause?.contains("version 2") == true)
  }

  @Test func theLabelKeepsEveryField() throws {
    var record = record(200, at: "/x", size: 1 << 45)
    record.name = String(repeating: "ü", count: 64)
    let label = StoreLabel(of: record, pool: poolID)
    let decoded = unsafe try label.encoded().withUnsafeBytes { unsafe try StoreLabel(decoding: $0) }
    #expect(decoded == label)
    #expect(decoded.name == record.name && decoded.id.rawValue == 200 && decoded.sizeBytes == 1 << 45)
    #expect(label.encoded().prefix(8).elementsEqual("GNOMONST".utf8))
    #expect(Array(label.encoded()[16..<32]).prefix(8).elementsEqual([0, 0, 0, 0, 0, 0, 0x11, 0x11]))
  }
}

struct MemoryStoreTests {
  @Test func itHoldsNoLiveCopies() throws {
    let store = try MemoryStore(record(1, at: "", size: (1 << 20) + 7, kind: .memory))
    #expect(!store.mayHoldLiveCopies)
    #expect(store.capacityBytes == 1 << 20)
    var bytes = [UInt8](repeating: 5, count: 64 << 10)
    unsafe bytes.withUnsafeBytes { unsafe store.write($0, at: 64 << 10) }
    unsafe bytes.withUnsafeMutableBytes { unsafe store.read(into: $0, at: 64 << 10) }
    #expect(Set(bytes) == [5])
    try store.discard(offset: 64 << 10, length: 64 << 10)
    unsafe bytes.withUnsafeMutableBytes { unsafe store.read(into: $0, at: 64 << 10) }
    #expect(Set(bytes) == [0])
    #expect(gnomonError { _ = try MemoryStore(record(1, at: "", size: 1, kind: .memory)) }?.code == .invalid)
  }
}
