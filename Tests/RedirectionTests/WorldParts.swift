import ExtentMap
import Primitives
import Redirection
import TestSupport

/// What a world breaks.
struct BrokenPromise: Error, CustomStringConvertible {
  var description: String

  init(_ description: String) {
    self.description = description
  }
}

/// How unkind a world is. Every number is "once in so many times", 0 for never.
struct Weather {
  var readError = 0
  var writeError = 0
  var shortTransfer = 0
  var allocationFull = 0
  var allocationUnsupported = 0
  var synchronizeError = 0
  var commitError = 0

  /// Nothing fails, so that no client may see an error but "no space".
  var isClear: Bool {
    readError == 0 && writeError == 0 && shortTransfer == 0 && allocationFull == 0 && synchronizeError == 0
      && commitError == 0
  }

  static let clear = Weather()

  static func random(_ generator: inout SeededGenerator) -> Weather {
    var weather = Weather()
    weather.allocationUnsupported = generator.chance(3) ? 4 : 0
    if generator.chance(2) { return weather }
    if generator.chance(2) { weather.readError = 20 }
    if generator.chance(2) { weather.writeError = 20 }
    if generator.chance(3) { weather.shortTransfer = 20 }
    if generator.chance(2) { weather.allocationFull = 5 }
    if generator.chance(5) { weather.synchronizeError = 15 }
    if generator.chance(2) { weather.commitError = 4 }
    return weather
  }
}

/// One disk of a world.
struct WorldStore {
  let disk: SimulatedStore
  let tier: Int
  let prepare: PrepareMethod
  /// Bytes before the first slot, and bytes for slots.
  let dataOffset: UInt64
  let capacityBytes: UInt64

  init(capacityBytes: UInt64, tier: Int = 0, prepare: PrepareMethod = .zeroRange, dataOffset: UInt64 = 4096) {
    disk = SimulatedStore(count: Int(dataOffset + capacityBytes))
    self.tier = tier
    self.prepare = prepare
    self.dataOffset = dataOffset
    self.capacityBytes = capacityBytes
  }
}

/// One volume of a world, with what the catalog has of its map.
struct WorldVolume {
  let extentBytes: UInt64
  let sizeBytes: UInt64
  var committed: [MapEntry]
  var map: ExtentMap
  let id: VolumeID

  init(number: Int, extentBytes: UInt64, sizeBytes: UInt64) throws {
    self.extentBytes = extentBytes
    self.sizeBytes = sizeBytes
    id = VolumeID(rawValue: UInt32(number + 1))
    let count = (sizeBytes + extentBytes - 1) / extentBytes
    committed = Array(repeating: .unmapped, count: Int(count))
    map = try ExtentMap(volume: id, extentBytes: extentBytes, extentCount: count)
  }

  var cellCount: Int { Int(sizeBytes / Model.cellBytes) }

  /// The map as the catalog has it, for the next life.
  mutating func reload() throws {
    map = try ExtentMap(volume: id, extentBytes: extentBytes, extentCount: UInt64(committed.count))
    let entries = committed
    unsafe map.load { words in
      for index in entries.indices { unsafe words[index] = entries[index].rawValue }
    }
  }
}

/// A directive under way.
@safe
struct Job {
  var redirector: Int
  var directive: Directive
  var isExecuted = false
  var result: Int32 = 0
  /// Of a commit: what it writes.
  var deltas: [MapDelta] = []
  /// Of a reclaim: what it frees.
  var slots: [RetiredSlot] = []

  var isStorage: Bool {
    switch directive.kind {
    case .read, .write, .zero, .punch, .reserve: true
    default: false
    }
  }

  /// Bytes of the store that it touches.
  var range: Range<UInt64> { directive.offset..<directive.offset + directive.length }
}

/// What one redirector is told by others.
enum WorldMessage {
  case retryParked
  case grace
  case deliver(token: UInt64, errno: UInt32)
}

/// A request of a client.
struct ClientRequest {
  var kind: OperationKind
  var volume: Int
  var redirector: Int
  var offset: UInt64
  var length: UInt64
  var flags: OperationFlags = []

  var cells: Range<Int> {
    Int(offset / Model.cellBytes)..<Int((offset + length) / Model.cellBytes)
  }
}

/// A request that has not been answered yet.
struct PendingRequest {
  var request: ClientRequest
  var issue: Int
  /// Of a change: its number in the model.
  var change: Int?
  /// Bytes of a read that have been checked.
  var covered: UInt64 = 0
}
