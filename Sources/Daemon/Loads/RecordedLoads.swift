import Measurement
import NBDService
import Primitives
import Redirection
import Stores

/// The histories of a pool's volumes and stores.
///
/// A volume has one from the first time on that a client opens it; no more than `volumesMax` have.
struct RecordedLoads {
  private struct VolumeLoad {
    var recorder: LoadRecorder
    var addresses: AddressHistory
    /// Requests that had ended at the last reading.
    var ended: UInt64 = 0
  }

  /// Volumes that are recorded.
  static let volumesMax = 1024

  private var volumes: [UUID128: VolumeLoad] = [:]
  private var stores: [UUID128: LoadRecorder] = [:]

  /// Forgets all volumes and stores but these.
  mutating func keep(_ present: Set<UUID128>) {
    volumes = volumes.filter { present.contains($0.key) }
    stores = stores.filter { present.contains($0.key) }
  }

  /// Forgets a volume or store.
  mutating func forget(_ uuid: UUID128) {
    volumes[uuid] = nil
    stores[uuid] = nil
  }

  /// Takes a reading of a volume's meters.
  mutating func record(_ volume: Volume, _ reactors: [ReactorHandle], at second: Int, seconds: Double) {
    let parts = reactors.compactMap { $0.volumeMeters.ended(of: volume.id) }
    let ended = parts.reduce(0, &+)
    let shift = AddressMeter.bucketShift(volumeBytes: volume.sizeBytes)
    if volumes[volume.uuid] == nil {
      guard !parts.isEmpty, volumes.count < Self.volumesMax else { return }
      volumes[volume.uuid] = VolumeLoad(
        recorder: LoadRecorder(), addresses: AddressHistory(bucketShift: shift))
    }
    let known = volumes[volume.uuid]?.addresses.bucketShift ?? shift
    guard ended != volumes[volume.uuid]?.ended || shift > known else {
      volumes[volume.uuid]?.recorder.record(nil, at: second, seconds: seconds)
      return
    }
    var counts = StoreCounts()
    var addresses = [UInt64](repeating: 0, count: AddressMeter.bucketCount)
    for reactor in reactors {
      reactor.volumeMeters.read(volume.id, into: &counts, &addresses, bucketShift: max(shift, known))
    }
    volumes[volume.uuid]?.ended = ended
    volumes[volume.uuid]?.recorder.record(counts, at: second, seconds: seconds)
    volumes[volume.uuid]?.addresses.record(addresses, at: second)
    volumes[volume.uuid]?.addresses.widen(to: shift)
  }

  /// Takes a reading of a store's meters.
  mutating func record(_ counts: StoreCounts, of store: UUID128, at second: Int, seconds: Double) {
    stores[store, default: LoadRecorder()].record(counts, at: second, seconds: seconds)
  }

  /// The load of a volume or store; nil if nothing is known.
  func history(of uuid: UUID128) -> LoadHistory? {
    (volumes[uuid]?.recorder ?? stores[uuid])?.historySoFar
  }

  /// Where in a volume requests were served; nil if nothing is known.
  func addresses(of volume: UUID128) -> AddressHistory? { volumes[volume]?.addresses }
}

extension RecordedLoads {
  /// Writes all down: the number of volumes, then of each its UUID, load and addresses; likewise the stores.
  func write(to bytes: inout ByteWriter) {
    bytes.append(UInt32(volumes.count))
    for (uuid, load) in volumes {
      Self.write(uuid, to: &bytes)
      load.recorder.historySoFar.write(to: &bytes)
      load.addresses.write(to: &bytes)
    }
    bytes.append(UInt32(stores.count))
    for (uuid, recorder) in stores {
      Self.write(uuid, to: &bytes)
      recorder.historySoFar.write(to: &bytes)
    }
  }

  /// Reads what was written; nil if it makes no sense.
  init?(from bytes: inout ByteReader, nowSeconds: Int) {
    guard let volumeCount = bytes.take(UInt32.self) else { return nil }
    for _ in 0..<volumeCount {
      guard let uuid = Self.uuid(from: &bytes),
        let history = LoadHistory(from: &bytes, nowSeconds: nowSeconds),
        let addresses = AddressHistory(from: &bytes, nowSeconds: nowSeconds)
      else { return nil }
      volumes[uuid] = VolumeLoad(recorder: LoadRecorder(history), addresses: addresses)
    }
    guard let storeCount = bytes.take(UInt32.self) else { return nil }
    for _ in 0..<storeCount {
      guard let uuid = Self.uuid(from: &bytes),
        let history = LoadHistory(from: &bytes, nowSeconds: nowSeconds)
      else { return nil }
      stores[uuid] = LoadRecorder(history)
    }
  }

  private static func write(_ uuid: UUID128, to bytes: inout ByteWriter) {
    bytes.append(uuid.high)
    bytes.append(uuid.low)
  }

  private static func uuid(from bytes: inout ByteReader) -> UUID128? {
    guard let high = bytes.take(UInt64.self), let low = bytes.take(UInt64.self) else { return nil }
    return UUID128(high: high, low: low)
  }
}
