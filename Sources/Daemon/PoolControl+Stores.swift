import Catalog
import ExtentMap
import HTTPService
import NBDService
import Platform
import Primitives
import Redirection
import Stores
import Synchronization

/// Stores come and go.
extension PoolControl {
  func addStore(_ request: StoreRequest) async throws(GnomonError) -> StoreInfo {
    try await exclusively { () throws(GnomonError) in try await addAlone(request) }
  }

  private func addAlone(_ request: StoreRequest) async throws(GnomonError) -> StoreInfo {
    guard !pool.stores.contains(where: { $0.record.name == request.name }) else {
      throw GnomonError(
        .conflict, "there is a store \(request.name) already", remedy: "choose another name")
    }
    let pool = pool
    let id = try await pool.catalogThread.perform { () throws(GnomonError) in
      try pool.catalog.nextStoreID()
    }
    let wanted = PoolCreation.record(request, id: id)
    let made = try await pool.controlThread.perform { () throws(GnomonError) in
      try StoreFactory.create(wanted, pool: pool.record.uuid, force: request.force)
    }
    let store: any Store
    do throws(GnomonError) {
      store = try await pool.controlThread.perform { () throws(GnomonError) in
        try StoreFactory.open(made.record, pool: pool.record.uuid, session: pool.session)
      }
      // Into the catalog only now that the label is durable; a crash between the two leaves an unused store.
      try await pool.catalogThread.perform { () throws(GnomonError) in
        try pool.catalog.add(store: made.record)
      }
    } catch {
      made.undo()
      throw error
    }
    pool.setStore(id, store)
    // First: a flush synchronizes every store that the data path knows of.
    await tellReactors(id, access: store.access)
    pool.introduce(store)
    place(store)
    return info(store)
  }

  /// Lets new extents be placed on a store that has none; shadows only, if it may hold no live copies.
  private func place(_ store: any Store) {
    pool.shared.placement.add(
      store.record.id, at: StorePlace(store.record), holdsLiveCopies: store.mayHoldLiveCopies,
      allocator: SlotAllocator(capacityBytes: store.capacityBytes))
    pool.shared.placement.setExcluded(store.record.id, pool.isDraining(store.record.id))
  }

  /// Every reactor must know the way before the first flush or extent reaches the store.
  private func tellReactors(_ store: StoreID, access: StoreAccess?) async {
    for reactor in pool.reactors {
      await withCheckedContinuation { continuation in
        reactor.post(.setStore(store, access, done: { continuation.resume() }))
      }
    }
  }

  func removeStore(name: String) async throws(GnomonError) {
    try await exclusively { () throws(GnomonError) in try await removeAlone(name) }
  }

  private func removeAlone(_ name: String) async throws(GnomonError) {
    let store = try existingStore(name)
    guard pool.stores.contains(where: { $0 !== store && $0.mayHoldLiveCopies }) else {
      throw GnomonError(
        .conflict, "\(name) is the only store of the pool that lasts", remedy: "add another one first")
    }
    let pool = pool
    let id = store.record.id
    guard !pool.shared.stores.hasFailed(id) else {
      throw GnomonError(
        .conflict, "store \(name) has failed", cause: "volumes miss what it lost",
        remedy: "start the daemon again first")
    }
    if let job = mover.drain(of: id), pool.shared.placement.space(of: id).usedBytes > 0 {
      throw GnomonError(
        .conflict, "store \(name) is still being drained", cause: job.progress.complaint,
        remedy: "wait for it: `gnomon store drain \(name) --wait`")
    }
    // What a trim or a deletion has freed is on its way back: let it arrive.
    try await flush()
    await waitForReclaim { pool.shared.placement.space(of: id).usedBytes == 0 }
    let used = pool.shared.placement.remove(id)
    guard used == 0 else {
      throw GnomonError(
        .conflict, "store \(name) is not empty", cause: "\(ByteSize(rawValue: used)) lie on it",
        remedy: "move it elsewhere: `gnomon store drain \(name) --wait`")
    }
    do throws(GnomonError) {
      let removal = Mutex(await pool.catalogThread.perform { pool.catalog.beginRemoval(of: id) })
      try await pool.inCatalogSteps { (catalog, pagesMax) throws(GnomonError) in
        try removal.withLock { (state) throws(GnomonError) in
          try catalog.continueRemoval(&state, pagesMax: pagesMax)
        }
      }
    } catch {
      place(store)
      throw error
    }
    pool.shared.stores.remove(id)
    await tellReactors(id, access: nil)
    pool.setStore(id, nil)
    loads.forget(store)
    pool.setDraining(id, false)
    store.unlock()
  }
}
