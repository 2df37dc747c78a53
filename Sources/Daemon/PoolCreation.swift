import Catalog
import Glibc
import HTTPService
import Platform
import Primitives
import Stores

/// Making a pool, and the records of what is in it.
enum PoolCreation {
  /// Makes the stores, then the catalog that names them. If anything fails, what was made is removed.
  static func create(
    _ directory: String, _ stores: [StoreRequest], _ volumes: [VolumeRequest]
  ) throws(GnomonError) -> PoolInfo {
    let pool = PoolRecord(uuid: newUUID(), createdSeconds: Int64(time(nil)))
    var storeRecords: [StoreRecord] = []
    for (index, request) in stores.enumerated() {
      storeRecords.append(record(request, id: StoreID(rawValue: UInt8(index))))
    }
    var volumeRecords: [VolumeRecord] = []
    for (index, request) in volumes.enumerated() {
      volumeRecords.append(
        try record(
          request, id: VolumeID(rawValue: UInt32(index + 1)),
          extentBytes: request.extentBytes ?? ExtentSize.standard))
    }
    guard unsafe access(directory + "/catalog.db", F_OK) != 0 else {
      throw GnomonError(
        .conflict, "there is a pool in \(directory) already", remedy: "choose another folder")
    }
    // Stores often lie in the pool's own folder.
    let isNewFolder = unsafe mkdir(directory, 0o755) == 0
    var made: [CreatedStore] = []
    do {
      for (store, request) in zip(storeRecords, stores) {
        made.append(try StoreFactory.create(store, pool: pool.uuid, force: request.force))
      }
      storeRecords = made.map(\.record)
      Failpoint.poolStoresMade.pass()
      try Catalog.create(at: directory, pool: pool, stores: storeRecords, volumes: volumeRecords)
    } catch {
      for store in made { store.undo() }
      if isNewFolder { unsafe rmdir(directory) }
      throw error
    }
    let capacity = storeRecords.reduce(UInt64(0)) { $0 + StoreFactory.capacityBytes(of: $1) }
    return PoolInfo(
      uuid: pool.uuid.description, directory: directory, storeCount: stores.count,
      volumeCount: volumes.count, sizeBytes: storeRecords.reduce(0) { $0 + $1.sizeBytes }, usedBytes: 0,
      freeBytes: capacity, provisionedBytes: volumeRecords.reduce(0) { $0 + $1.sizeBytes })
  }

  static func record(_ request: StoreRequest, id: StoreID) -> StoreRecord {
    StoreRecord(
      id: id, uuid: newUUID(), name: request.name, kind: request.kind, path: request.path,
      sizeBytes: request.sizeBytes, tier: request.tier, region: request.region, zone: request.zone,
      node: request.node, cost: request.cost, cache: request.cache)
  }

  /// - Throws: `invalid` if it would have too many extents.
  static func record(
    _ request: VolumeRequest, id: VolumeID, extentBytes: UInt64
  ) throws(GnomonError) -> VolumeRecord {
    try Validation.checkExtentCount(of: request.name, sizeBytes: request.sizeBytes, extentBytes: extentBytes)
    return VolumeRecord(
      id: id, uuid: newUUID(), name: request.name, sizeBytes: request.sizeBytes,
      extentBytes: extentBytes, readOnly: request.readOnly, redundancy: request.redundancy.applied(),
      tiers: request.tiers.applied())
  }

  static func newUUID() -> UUID128 {
    UUID128(randomHigh: .random(in: .min ... .max), randomLow: .random(in: .min ... .max))
  }
}
