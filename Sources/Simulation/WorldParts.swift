import Catalog
package import ExtentMap
import Primitives
package import Redirection
import Stores

/// One store of a world.
package struct WorldStore {
  package let disk: SimulatedStore
  package let tier: Int
  package let prepare: PrepareMethod
  /// Bytes before the first slot, and bytes for slots.
  package let dataOffset: UInt64
  package let capacityBytes: UInt64
  /// What it holds is gone with the process.
  package let isVolatile: Bool
  /// It lies behind a server that may go away and return.
  package let isRemote: Bool

  package init(
    capacityBytes: UInt64, tier: Int = 0, prepare: PrepareMethod = .zeroRange, dataOffset: UInt64 = 4096,
    isVolatile: Bool = false, isRemote: Bool = false
  ) {
    disk = SimulatedStore(count: Int(dataOffset + capacityBytes))
    self.tier = tier
    self.prepare = prepare
    self.dataOffset = dataOffset
    self.capacityBytes = capacityBytes
    self.isVolatile = isVolatile
    self.isRemote = isRemote
  }

  /// The store as the catalog describes it: a file with room for labels, which no simulated store has.
  func record(number: Int) -> StoreRecord {
    StoreRecord(
      id: StoreID(rawValue: UInt8(number)), uuid: UUID128(high: 1, low: UInt64(number)), name: "s\(number)",
      path: "/s\(number)", sizeBytes: StoreLayout.dataOffset + capacityBytes, tier: tier)
  }
}

/// One volume of a world.
package struct WorldVolume {
  let record: VolumeRecord
  /// What the catalog has of its map, as far as it has said so.
  package internal(set) var committed: [MapEntry]
  /// And of the shadows, by number.
  var committedShadows: [[MapEntry]]
  /// The map in this life.
  package internal(set) var map: ExtentMap

  init(number: Int, extentBytes: UInt64, sizeBytes: UInt64) throws {
    record = VolumeRecord(
      id: VolumeID(rawValue: UInt32(number + 1)), uuid: UUID128(high: 2, low: UInt64(number)),
      name: "v\(number)", sizeBytes: sizeBytes, extentBytes: extentBytes)
    committed = Array(repeating: .unmapped, count: Int(record.extentCount))
    committedShadows = Array(repeating: committed, count: ShadowLine.shadowsMax)
    map = try PoolMaps.makeMap(record)
  }

  var extentBytes: UInt64 { record.extentBytes }
  var sizeBytes: UInt64 { record.sizeBytes }
  var cellCount: Int { Int(sizeBytes / Model.cellBytes) }
  var cellsPerExtent: Int { Int(extentBytes / Model.cellBytes) }

  mutating func take(_ loaded: ExtentMap) {
    map = loaded
    committed = (0..<record.extentCount).map { loaded.view.entry($0).address }
    committedShadows = Array(
      repeating: Array(repeating: .unmapped, count: committed.count), count: ShadowLine.shadowsMax)
    loaded.forEachShadow { committedShadows[$1][Int($0)] = $2 }
  }

  /// The catalog has forgotten all extents from one on.
  mutating func forget(from first: Int) {
    for extent in first..<committed.count {
      committed[extent] = .unmapped
      for number in committedShadows.indices { committedShadows[number][extent] = .unmapped }
    }
  }

  /// The catalog has a change.
  mutating func commit(_ delta: MapDelta) {
    switch delta.plane {
    case .live: committed[Int(delta.extent)] = delta.entry
    case .shadow1, .shadow2, .shadow3:
      committedShadows[Int(delta.plane.rawValue) - 1][Int(delta.extent)] = delta.entry
    default: break
    }
  }

  /// Whether the catalog refers to a slot.
  func refers(to slot: MapEntry) -> Bool {
    committed.contains(slot) || committedShadows.contains { $0.contains(slot) }
  }
}

/// A directive under way.
package final class Job {
  /// Whose it is.
  package let redirector: Int
  package let directive: Directive
  /// Whether only its end is to be told.
  package internal(set) var isExecuted = false
  var result: Int32 = 0
  /// When it began.
  var began: UInt64 = 0
  /// The server it waited for has got it.
  var isSent = false
  /// It has failed without being executed.
  var failure: Int32?
  /// Of a synchronization: what had been written when it began.
  var point: UInt64 = 0
  /// Of a commit: what it writes.
  var deltas: [MapDelta] = []
  /// Of a reclaim: what it frees.
  var slots: [RetiredSlot] = []

  init(redirector: Int, directive: Directive) {
    self.redirector = redirector
    self.directive = directive
  }

  var isStorage: Bool {
    switch directive.kind {
    case .read, .write, .zero, .punch, .reserve: true
    default: false
    }
  }

  /// Whether a store carries it out.
  var isOfStore: Bool { isStorage || directive.kind == .synchronize }

  /// Bytes of the store that it touches.
  var range: Range<UInt64> { directive.offset..<directive.offset + directive.length }
}

/// What one reactor is told by others.
enum WorldMessage {
  case retryParked
  case grace
  case deliver(token: UInt64, errno: UInt32)
}

/// A thread that does one thing after the other, in virtual time.
final class Worker {
  private unowned let world: World
  private let label: StaticString
  private var waiting: [() throws -> Void] = []

  init(_ world: World, _ label: StaticString) {
    self.world = world
    self.label = label
  }

  func async(_ body: @escaping () throws -> Void) {
    waiting.append(body)
    if waiting.count == 1 { scheduleNext() }
  }

  private func scheduleNext() {
    world.after(world.latency(1_000, 500_000), label, UInt64(waiting.count)) { [unowned self] in
      try waiting[0]()
      waiting.removeFirst()
      if !waiting.isEmpty { scheduleNext() }
    }
  }
}
