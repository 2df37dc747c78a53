import Glibc
import HTTPService
import Platform
import Primitives
import Stores
import Synchronization
import TestSupport
import Testing

@testable import Daemon

/// The daemon as a whole, in this process.
@Suite struct DaemonTests {
  private let folder = TemporaryFolder()
  private var directory: String { folder.path + "/pool" }
  private var client: APIClient { APIClient(socket: Configuration.apiSocket(of: directory)) }

  private func makePool(stores: Int = 1, volumes: [String] = ["v"]) throws {
    _ = try PoolOperations().createPool(
      directory: directory,
      stores: (0..<stores).map {
        StoreRequest(name: "s\($0)", path: folder.path + "/s\($0)", sizeBytes: 64 << 20)
      },
      volumes: volumes.map { VolumeRequest(name: $0, sizeBytes: 32 << 20) })
  }

  private func start(_ change: (inout Configuration) -> Void = { _ in }) throws -> Daemon {
    var configuration = Configuration(directory: directory)
    configuration.reactors = 2
    change(&configuration)
    return try Daemon(ServeOptions(directory: directory, configuration: configuration))
  }

  /// The code of the error that `body` throws, if it is one for people.
  private func code(_ body: () throws -> Void) -> GnomonError.Code? {
    do {
      try body()
      return nil
    } catch {
      return (error as? GnomonError)?.code
    }
  }

  @Test func itStartsAgainAtOnce() async throws {
    try makePool(stores: 2)
    try await onThread {
      for _ in 0..<4 {
        let daemon = try start()
        #expect(try client.volumes().map(\.name) == ["v"])
        #expect(daemon.shutDown())
        #expect(unsafe access(directory + "/nbd.sock", F_OK) != 0)
        #expect(unsafe access(directory + "/api.sock", F_OK) != 0)
      }
      #expect(try PoolOperations().checkPool(directory: directory).problems == [])
    }
  }

  @Test func aFailedStartLeavesNothingBehind() async throws {
    try makePool()
    try await onThread {
      let path = folder.path + "/in-the-way"
      _ = try FileDescriptor.open(path, O_CREAT | O_RDWR)
      // In the way of the very last thing that is started, and of the listeners.
      let noServer = code { _ = try start { $0.api.listen.append(.unix(path: path)) } }
      #expect(noServer == .conflict)
      #expect(unsafe access(directory + "/nbd.sock", F_OK) != 0)
      #expect(unsafe access(directory + "/api.sock", F_OK) != 0)
      let noListener = code { _ = try start { $0.listen.append(.unix(path: path)) } }
      #expect(noListener == .conflict)
      #expect(unsafe access(directory + "/nbd.sock", F_OK) != 0)
      let noVolume = code { _ = try start { $0.readOnly = ["nobody"] } }
      #expect(noVolume == .notFound)
      let daemon = try start()
      #expect(daemon.shutDown())
    }
  }

  @Test func changesDoNotGetInEachOthersWay() async throws {
    try makePool(stores: 2)
    try await onThread {
      let daemon = try start()
      let created = Atomic<Int>(0)
      let done = Atomic<Int>(0)
      let (client, path) = (client, folder.path)
      let threads = try (0..<8).map { number in
        try NativeThread(name: "client-\(number)") {
          let same = code { _ = try client.createVolume(VolumeRequest(name: "same", sizeBytes: 8 << 20)) }
          if same == nil { created.add(1, ordering: .relaxed) }
          if (try? change(number, client, path)) != nil { done.add(1, ordering: .relaxed) }
        }
      }
      for thread in threads { thread.join() }
      #expect(created.load(ordering: .relaxed) == 1)
      #expect(done.load(ordering: .relaxed) == 8)
      #expect(try client.volumes().map(\.name) == ["same", "v"])
      #expect(try client.stores().map(\.name) == ["s0", "s1"])
      let nobody = code { try client.deleteVolume(name: "nobody") }
      #expect(nobody == .notFound)
      let taken = StoreRequest(name: "again", path: folder.path + "/s0", sizeBytes: 8 << 20)
      let isTaken = code { _ = try client.addStore(taken) }
      #expect(isTaken == .conflict)
      #expect(daemon.shutDown())
      #expect(try PoolOperations().checkPool(directory: directory).problems == [])
    }
  }

  /// Adds a volume and a store, changes them and removes them.
  private func change(_ number: Int, _ client: APIClient, _ path: String) throws {
    let (volume, store) = ("own\(number)", "t\(number)")
    _ = try client.createVolume(VolumeRequest(name: volume, sizeBytes: 8 << 20))
    _ = try client.addStore(StoreRequest(name: store, path: "\(path)/\(store)", sizeBytes: 8 << 20))
    _ = try client.resizeVolume(name: volume, VolumeChange(sizeBytes: 16 << 20))
    _ = try client.resizeVolume(name: volume, VolumeChange(sizeBytes: 4 << 20))
    try client.deleteVolume(name: volume)
    try client.removeStore(name: store)
  }

  @Test func aStoreFileIsFreeAfterItsRemoval() async throws {
    try makePool()
    try await onThread {
      let daemon = try start()
      for turn in 0..<3 {
        let path = folder.path + "/extra"
        _ = try client.addStore(StoreRequest(name: "x\(turn)", path: path, sizeBytes: 8 << 20))
        try client.removeStore(name: "x\(turn)")
        let file = try FileDescriptor.open(path, O_RDWR)
        #expect(try file.tryLock())
        _ = unsafe unlink(path)
      }
      let isLast = code { try client.removeStore(name: "s0") }
      #expect(isLast == .conflict)
      #expect(daemon.shutDown())
    }
  }

  @Test func aDamagedPoolIsNotSound() throws {
    try makePool()
    try FileDescriptor.open(folder.path + "/s0", O_RDWR).writeBytes([0xff], at: 50)
    let odd = try PoolOperations().checkPool(directory: directory)
    #expect(odd.isSound && odd.problems.map(\.severity) == [.warning])
    try FileDescriptor.open(folder.path + "/s0", O_RDWR).truncate(to: 0)
    #expect(try !PoolOperations().checkPool(directory: directory).isSound)
    let none = code { _ = try PoolOperations().checkPool(directory: folder.path) }
    #expect(none == .notFound)
  }
}
