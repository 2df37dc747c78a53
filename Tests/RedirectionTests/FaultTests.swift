import NBDWire
import Primitives
import Simulation
import Testing

@testable import Redirection

private let extent = World.extentBytes
private let block = World.blockBytes

/// What fails is noted, counted, and told at a bounded rate.
@Suite struct FaultTests {
  private static let second: UInt64 = 1_000_000_000
  private static let stores = [StoreID(rawValue: 0), StoreID(rawValue: 1)]

  @Test func theFirstIsToldAtOnceAndTheRestAsASummary() {
    let ledger = FaultLedger()
    #expect(!ledger.hasNews && ledger.takeDue(at: 0).isEmpty)
    ledger.note(.read, store: Self.stores[0], volume: VolumeID(rawValue: 1), errno: 5)
    #expect(ledger.hasNews)
    let first = Fault(
      kind: .read, store: Self.stores[0], volume: VolumeID(rawValue: 1), errno: 5, cause: nil, count: 1)
    #expect(ledger.takeDue(at: Self.second) == [first] && !ledger.hasNews)
    for number in 0..<1000 as Range<UInt32> {
      ledger.note(.read, store: Self.stores[0], volume: VolumeID(rawValue: number), errno: 121, cause: "c")
    }
    #expect(ledger.takeDue(at: 10 * Self.second).isEmpty)
    // Another kind or store does not wait for it.
    ledger.note(.write, store: Self.stores[0], errno: 5)
    ledger.note(.read, store: Self.stores[1], errno: 5)
    #expect(ledger.takeDue(at: 10 * Self.second).map(\.kind) == [.read, .write])
    let summary = Fault(
      kind: .read, store: Self.stores[0], volume: VolumeID(rawValue: 999), errno: 121, cause: "c", count: 1000
    )
    #expect(ledger.takeDue(at: 11 * Self.second) == [summary])
    #expect(ledger.takeDue(at: 1000 * Self.second).isEmpty)
    ledger.note(.read, store: Self.stores[0], errno: 5)
    ledger.note(.read, store: Self.stores[0], errno: 5)
    #expect(ledger.takeDue(at: 12 * Self.second).isEmpty)
    #expect(ledger.takeDue(at: nil).map(\.count) == [2])
    #expect(ledger.count(.read, store: Self.stores[0]) == 1003 && ledger.count(.commit) == 0)
  }

  /// The kinds and errors noted since the last call.
  private static func told(_ world: World) -> [String] {
    world.shared.faults.takeDue(at: nil).map {
      "\($0.kind) \($0.store.map { "\($0.rawValue)" } ?? "-") \($0.volume.map { "\($0.rawValue)" } ?? "-") \($0.errno)"
    }
  }

  @Test func theDataPathNotesWhatFailsAndWhere() throws {
    let world = try World.small(stores: [1, 8])
    #expect(try world.perform(.write, 0, extent) == nil)
    #expect(try world.perform(.write, extent, extent) == nil)
    #expect(Self.told(world).isEmpty)
    world.faults.readError = 1
    #expect(try world.perform(.read, 0, block) == .io)
    #expect(Self.told(world) == ["read 0 1 5"])
    #expect(try world.perform(.write, extent + Model.cellBytes, Model.cellBytes) == .io)
    #expect(Self.told(world) == ["read 1 1 5"])
    world.faults = .none
    world.faults.writeError = 1
    #expect(try world.perform(.write, extent, block) == .io)
    #expect(Self.told(world) == ["write 1 1 5"])
    world.faults = .none
    world.faults.shortTransfer = 1
    #expect(try world.perform(.read, 0, block) == .io)
    #expect(world.shared.faults.takeDue(at: nil).map(\.cause) == ["0 bytes instead of 4096"])
    world.faults = .none
    world.faults.synchronizeError = 1
    #expect(try world.perform(.flush) == .io)
    #expect(Self.told(world) == ["synchronize 0 - 5", "synchronize 1 - 5"])
  }

  @Test func refusalsForWantOfRoomAreNoted() throws {
    let world = try World.small(stores: [1, 1])
    world.fullStores = [0]
    #expect(try world.perform(.write, 0, extent) == nil)
    #expect(Self.told(world) == ["prepare 0 1 28"])
    #expect(try world.perform(.write, extent, extent) == .noSpace)
    #expect(Self.told(world) == ["prepare 0 1 28", "place - 1 28"])
    // Zeros that are made another way are no fault.
    world.fullStores = []
    world.faults.allocationUnsupported = 1
    #expect(try world.perform(.write, extent, extent) == nil)
    #expect(Self.told(world).isEmpty)
  }
}
