import Catalog
import ExtentMap
import Primitives
import Redirection
import Stores

/// Everything of a pool that a power cut takes: what a process has in its memory.
final class Life {
  let shared: SharedState
  let catalog: Catalog?
  fileprivate(set) var reactors: [SimulatedReactor] = []
  let catalogThread: Worker
  let reclaimThread: Worker
  /// Whether some store has failed to synchronize.
  var hasFailedStore = false
  /// The last to go: the catalog closes its files first.
  private let fileSystem: SimulatedFileSystem

  init(_ world: World, _ shared: SharedState, _ catalog: Catalog) {
    fileSystem = world.fileSystem
    self.shared = shared
    self.catalog = catalog
    catalogThread = Worker(world, "catalog")
    reclaimThread = Worker(world, "reclaim")
  }
}

extension World {
  /// Opens the pool as the daemon does, with the daemon's own code where it is not about files: catalog,
  /// check, maps, free slots. Power may go meanwhile, again and again.
  func recover() throws -> Life {
    fileSystem.disk.faults = .none
    for attempt in 0... {
      if plan.cutsPowerInCatalog && attempt < 3 && generator.chance(4) {
        fileSystem.disk.accessesLeft = generator.below(40)
      }
      do {
        let life = try open()
        if !fileSystem.disk.isOff {
          fileSystem.disk.accessesLeft = nil
          return life
        }
      } catch {
        guard fileSystem.disk.isOff else { throw error }
      }
      figures.crashes += 1
      trace.say("power cut while opening")
      restorePower()
    }
    preconditionFailure("it opens at last")
  }

  private func open() throws -> Life {
    var options = CatalogOptions()
    options.fileSystem = fileSystem.name
    options.logFramesToFold = plan.logFramesToFold
    let catalog: Catalog
    let maps: PoolMaps
    do throws(GnomonError) {
      catalog = try Catalog(opening: Self.directory, options: options)
      let report = try PoolCheck.run(on: catalog)
      guard report.isSound else {
        throw GnomonError(.corrupt, "the check finds \(report.problems[0].message)")
      }
      maps = try PoolMaps(loading: catalog)
    } catch {
      throw BrokenPromise("the pool does not open: \(error)")
    }
    let life = Life(
      self,
      SharedState(
        redirectorCount: plan.redirectors, changesMax: plan.waitingMax, slotsMax: plan.waitingMax), catalog)
    for (number, store) in stores.enumerated() {
      let record = store.record(number: number)
      life.shared.placement.add(
        record.id, at: StorePlace(record), holdsLiveCopies: !store.isVolatile,
        allocator: try maps.slots(of: record, capacityBytes: store.capacityBytes)
      )
      life.shared.stores.add(
        record.id, tier: store.tier, dataOffset: store.dataOffset, prepare: store.prepare,
        isVolatile: store.isVolatile, keepsUnflushed: store.isRemote,
        isAway: awayStores.contains(record.id.rawValue))
    }
    for (number, volume) in maps.volumes.enumerated() {
      volumes[number].take(volume.map)
      volume.map.view.marks.failsAtOnce = plan.failsAtOnce
      volume.map.view.marks.copies = plan.copies
      if number < plan.tierRules.count { volume.map.view.marks.tiers = plan.tierRules[number] }
      life.shared.changes.activity.insert(volume.activeExtents, of: volume.map.view)
    }
    for volume in volumes { life.shared.changes.dropVolatileShadows(of: volume.map) }
    life.reactors = try (0..<plan.redirectors).map { number in
      let redirector = try Redirector(
        life.shared, number: number, operationsMax: 1024, bufferBytes: plan.bufferBytes)
      return SimulatedReactor(self, number: number, redirector)
    }
    return life
  }
}
