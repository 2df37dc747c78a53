import ExtentMap
import Glibc
import NBDWire
import Primitives
import Redirection

/// What must hold after a crash, and when a world has come to rest.
extension World {
  /// What every cell holds after a crash must be among what it may hold.
  func verifyRecovered() throws {
    if isRotten { return }
    let recovery = model.beginRecovery()
    for number in volumes.indices {
      try forEachStoredExtent(number) { first, values in
        for (place, value) in values.enumerated() {
          guard model.mayRecover(number, first + place, value) else {
            throw BrokenPromise("after a crash, " + model.describe(number, first + place, value))
          }
        }
        try checkBlocks(number, first, values)
        for (place, value) in values.enumerated() {
          model.recovered(number, first + place, value, by: recovery)
        }
      }
    }
    try verifyShadows()
    try verifySeals()
    if plan.cutsPowerInCatalog && generator.chance(4) { try verifyDamageIsNoticed() }
  }

  /// Calls `body` with the first cell of each extent and what its cells hold on their disk now.
  private func forEachStoredExtent(_ number: Int, _ body: (Int, [UInt64]) throws -> Void) throws {
    let volume = volumes[number]
    let buffer = UnsafeMutableRawPointer.allocate(byteCount: Int(volume.extentBytes), alignment: 4096)
    defer { unsafe buffer.deallocate() }
    for extent in 0..<volume.committed.count {
      let first = extent * volume.cellsPerExtent
      let count = min(volume.cellsPerExtent, volume.cellCount - first)
      let entry = volume.map.view.entry(UInt64(extent))
      guard entry.isMapped else {
        try body(first, Array(repeating: 0, count: count))
        continue
      }
      let store = stores[Int(entry.store.rawValue)]
      let offset = Int(store.dataOffset + entry.slot * volume.extentBytes)
      unsafe store.disk.read(offset, Int(volume.extentBytes), into: buffer)
      try body(first, (0..<count).map { unsafe try Self.value(at: buffer + $0 * Int(Model.cellBytes)) })
    }
  }

  /// What a cell in memory holds. The whole of it must be the same eight bytes over and over.
  static func value(at place: UnsafeRawPointer) throws -> UInt64 {
    let value = unsafe place.loadUnaligned(as: UInt64.self)
    guard unsafe memcmp(place, place + 8, Int(Model.cellBytes) - 8) == 0 else {
      throw BrokenPromise("a cell holds a mixture that begins with \(String(value, radix: 16))")
    }
    return value
  }

  // MARK: Rest

  /// Lets everything that is under way end. Throws if something never does.
  package func settle() throws {
    isSettling = true
    defer { isSettling = false }
    while try step() {}
    // What was not reached is asked again by the next tick.
    for _ in 0..<4 where pendingCount > 0 && shared.stores.isAnyBehind {
      after(1_100_000_000, "tick", 0) { [self] in
        life.reactors[0].redirector.flushInBackground()
        life.reactors[0].wake()
      }
      while try step() {}
    }
    guard pendingCount == 0 else {
      throw BrokenPromise("\(pendingCount) requests wait for nothing; \(waiting)")
    }
  }

  /// Ends everything, flushes, and checks that nothing is left over.
  package func verifyAtRest() throws {
    let usual = faults
    faults = .none
    defer { faults = usual }
    fileSystem.disk.accessesLeft = nil
    endOutages()
    try settle()
    for number in volumes.indices { try flushAndSettle(volume: number) }
    guard redirectors.allSatisfy(\.isAtRest), shared.parkedOperations == 0 else {
      throw BrokenPromise("a redirector is not idle at rest")
    }
    try verifySlots()
    try verifyShadows()
    try verifySeals()
    for number in volumes.indices {
      let issue = model.tick()
      try forEachStoredExtent(number) { first, values in
        for (place, value) in values.enumerated() {
          guard model.mayRead(number, first + place, value, issue: issue) else {
            throw BrokenPromise("at rest, " + model.describe(number, first + place, value))
          }
          trace.fold(value)
        }
      }
    }
  }

  func flushAndSettle(volume: Int) throws {
    let connection = connect(reactor: 0, volume: volume, .structured)
    let cookie = try send(ClientRequest(command: .flush, volume: volume), on: connection, instantly: true)
    try settle()
    guard let outcome = outcomes[cookie], outcome == nil || life.hasFailedStore else {
      throw BrokenPromise("the last flush has failed though nothing did")
    }
  }

  /// Every slot in use is referred to, and nothing waits to be freed.
  private func verifySlots() throws {
    var used = Array(repeating: UInt64(0), count: stores.count)
    for volume in volumes {
      for extent in 0..<UInt64(volume.committed.count) {
        let entry = volume.map.view.entry(extent)
        if entry.isGated || entry.writers > 0 {
          throw BrokenPromise("extent \(extent) is held at rest")
        }
        if entry.isMapped { used[Int(entry.store.rawValue)] += volume.extentBytes }
        if let line = volume.map.view.shadows(of: extent, entry) {
          for number in 0..<ShadowLine.shadowsMax where line.shadow(number).exists {
            used[Int(line.shadow(number).address.store.rawValue)] += volume.extentBytes
          }
        }
        if life.hasFailedStore { continue }
        if entry.isUncommitted && entry.isMapped { throw BrokenPromise("extent \(extent) is not committed") }
        if entry.address != volume.committed[Int(extent)] {
          throw BrokenPromise("the catalog has another place for extent \(extent)")
        }
      }
    }
    // A pool whose flushes fail for good can free nothing.
    if life.hasFailedStore { return }
    guard shared.changes.pendingCount == 0, shared.reclaimer.pendingCount == 0 else {
      throw BrokenPromise("slots wait to be freed at rest")
    }
    for number in stores.indices {
      let space = shared.placement.space(of: StoreID(rawValue: UInt8(number)))
      guard space.usedBytes == used[number] else {
        throw BrokenPromise("store \(number) has \(space.usedBytes) bytes in use, maps \(used[number])")
      }
    }
  }
}
