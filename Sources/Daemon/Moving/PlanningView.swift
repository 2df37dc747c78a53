import ExtentMap
import NBDService
import Platform
import Primitives
import Redirection
import Shadowing
import Stores

/// What plans see of the pool.
struct PlanningView: Sendable {
  let pool: Pool
  /// After so many seconds a store that is away is not counted on.
  let replaceAfterSeconds: Int

  var volumes: [Volume] { pool.exports.volumes.sorted { $0.id < $1.id } }

  /// All stores as a choice between them sees them.
  var stores: [StoreCandidate] {
    pool.stores.map { store in
      let record = store.record
      let space = pool.shared.placement.space(of: record.id)
      return StoreCandidate(
        id: record.id, name: record.name, tier: record.tier, region: record.region, zone: record.zone,
        node: record.node, cost: record.cost, freeBytes: space.freeBytes,
        capacityBytes: space.usedBytes + space.freeBytes, isVolatile: record.kind == .memory,
        hasFailed: pool.shared.stores.hasFailed(record.id), isDraining: pool.isDraining(record.id),
        fitness: fitness(of: store))
    }
  }

  private func fitness(of store: any Store) -> StoreFitness {
    let id = store.record.id
    guard pool.shared.stores.isAway(id) else { return pool.fitness(of: id) }
    guard case .remote(let remote) = store.access else { return .lost }
    return remote.status.ageNanoseconds / 1_000_000_000 >= UInt64(replaceAfterSeconds) ? .lost : .away
  }

  static func rules(for volume: Volume, _ stores: [StoreCandidate]) -> CopyRules {
    CopyRules(
      stores: stores, volumeName: volume.name, extentBytes: volume.extentBytes, wanted: volume.redundancy,
      tiers: volume.tiers)
  }
}

extension [StoreCandidate] {
  /// A move that is planned takes room before the next one is.
  mutating func plan(_ move: Move, bytes: UInt64) {
    guard [.migrate, .replicate, .replace].contains(move.kind),
      let index = firstIndex(where: { $0.id == move.target })
    else { return }
    self[index].freeBytes -= Swift.min(bytes, self[index].freeBytes)
  }
}

/// Goes over all extents of all volumes again and again, a piece at a time.
struct ExtentCursor {
  enum Stop {
    /// All have been looked at; the next call begins again.
    case end
    /// The body has enough.
    case enough
    /// As many as one call may.
    case bound
  }

  private var volume = VolumeID(rawValue: 0)
  private var extent: UInt64 = 0
  /// Extents that one call looks at: about a millisecond.
  private static let extentsPerCall = 1 << 17

  /// Calls `body` with mapped extents, until it says that it has enough.
  mutating func advance(_ volumes: [Volume], _ body: (Volume, UInt64, MapEntry) -> Bool) -> Stop {
    var looks = Self.extentsPerCall
    for current in volumes where current.id >= volume {
      if current.id > volume {
        volume = current.id
        extent = 0
      }
      let view = current.map.view
      while extent < current.map.extentCount {
        if looks == 0 { return .bound }
        looks -= 1
        let entry = view.entry(extent)
        extent += 1
        if entry.isMapped, !body(current, extent - 1, entry) { return .enough }
      }
      volume = VolumeID(rawValue: current.id.rawValue + 1)
      extent = 0
    }
    self = ExtentCursor()
    return .end
  }
}
