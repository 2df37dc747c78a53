import Catalog
import ExtentMap
import HTTPService
import NBDService
import Platform
import Primitives
import Redirection
import Stores

/// Volumes come, change and go.
extension PoolControl {
  func createVolume(_ request: VolumeRequest) async throws(GnomonError) -> VolumeInfo {
    try await exclusively { () throws(GnomonError) in try await createAlone(request) }
  }

  private func createAlone(_ request: VolumeRequest) async throws(GnomonError) -> VolumeInfo {
    guard pool.exports.volume(request.name) == nil else {
      throw GnomonError(
        .conflict, "there is a volume \(request.name) already", remedy: "choose another name")
    }
    _ = try Validation.check(request.tiers, of: request.name, among: poolTiers)
    let pool = pool
    let extentBytes = request.extentBytes ?? configuration.volumes.extentBytes
    let volume = try await pool.catalogThread.perform { () throws(GnomonError) -> Volume in
      let id = try pool.catalog.nextVolumeID()
      let record = try PoolCreation.record(request, id: id, extentBytes: extentBytes)
      let map = try PoolMaps.makeMap(record)
      try pool.catalog.add(volume: record)
      return Volume(record, map: map)
    }
    pool.exports.add(volume)
    return info(volume)
  }

  func resizeVolume(name: String, sizeBytes: UInt64, force: Bool) async throws(GnomonError) -> VolumeInfo {
    try await exclusively { () throws(GnomonError) in
      let volume = try existing(name)
      if sizeBytes < volume.sizeBytes {
        try await shrink(volume, to: sizeBytes, force: force)
      } else {
        try await grow(volume, to: sizeBytes)
      }
      return info(volume)
    }
  }

  private func grow(_ volume: Volume, to sizeBytes: UInt64) async throws(GnomonError) {
    try Validation.checkExtentCount(of: volume.name, sizeBytes: sizeBytes, extentBytes: volume.extentBytes)
    // What an earlier shrink cut off must be gone, in memory and in the catalog.
    try await awaitDropping(of: volume)
    let id = volume.id
    try await pool.inCatalogSteps { (catalog, pagesMax) throws(GnomonError) in
      try catalog.purge(pagesMax: pagesMax, of: id)
    }
    let oldCount = volume.map.extentCount
    do throws(SystemError) {
      try volume.map.grow(to: Self.extentCount(of: volume, sizeBytes: sizeBytes))
    } catch {
      throw GnomonError(.system, "no memory for a larger extent map", cause: error.description)
    }
    let pool = pool
    do throws(GnomonError) {
      try await pool.catalogThread.perform { () throws(GnomonError) in
        try pool.catalog.resize(volume: volume.id, sizeBytes: sizeBytes)
      }
    } catch {
      volume.map.shrink(to: oldCount)
      throw error
    }
    volume.sizeBytes = sizeBytes
  }

  /// Extents that were cut off are given up only as fast as their slots come back, which a request that hangs
  /// in a store can prevent for ever. Waits as long as there is progress.
  private func awaitDropping(of volume: Volume) async throws(GnomonError) {
    var (left, since) = (pool.droppingCount(of: volume), MonotonicClock.nanoseconds())
    while left > 0 {
      try? await Task.sleep(for: .milliseconds(5))
      let now = MonotonicClock.nanoseconds()
      let count = pool.droppingCount(of: volume)
      if count < left { since = now }
      left = count
      guard now - since < Self.droppingWaitMilliseconds * 1_000_000 else { break }
    }
    if left == 0 { return }
    let hanging = pool.stores.filter { store in
      pool.shared.stores.isLate(store.record.id) || pool.shared.stores.isAway(store.record.id)
    }
    let names = hanging.map(\.record.name).joined(separator: ", ")
    throw GnomonError(
      .unavailable, "volume \(volume.name) can not grow yet",
      cause: "an earlier shrink has left \(left) extents to give up, and their slots do not come back: "
        + (names.isEmpty ? "a request hangs in a store" : "requests hang in \(names)"),
      remedy: "see which store does not answer (gnomon health), and try again when it does")
  }

  /// How long no extent may be given up, in milliseconds.
  private static let droppingWaitMilliseconds: UInt64 = 5000

  /// Nobody may be attached: requests beyond the new end could be in flight otherwise.
  private func shrink(_ volume: Volume, to sizeBytes: UInt64, force: Bool) async throws(GnomonError) {
    try takeOffline(volume, "shrunk")
    defer { pool.exports.add(volume) }
    try await mover.exclude(volume)
    defer { mover.include(volume.id) }
    let count = Self.extentCount(of: volume, sizeBytes: sizeBytes)
    let tail = Tail(of: volume, sizeBytes: sizeBytes)
    guard force || (tail == nil && volume.map.isUnmapped(from: count)) else {
      throw GnomonError(
        .conflict, "volume \(volume.name) has data beyond \(ByteSize(rawValue: sizeBytes))",
        cause: "it has \(ByteSize(rawValue: volume.sizeBytes)), and what lies beyond the end would be lost",
        remedy: "repeat it with --force if that is wanted")
    }
    // What is cleared beyond the new end must not come back from a shadow; new ones are made later.
    if tail != nil {
      try await mover.dropShadows(of: volume, sizeBytes / volume.extentBytes)
      pool.shared.changes.unseal(sizeBytes / volume.extentBytes, of: volume.map.view)
    }
    let cut = count..<volume.map.extentCount
    try await forgettingActivity(of: volume, from: count) { () throws(GnomonError) in
      try await flush(volume)
      // Not where it lay before: a shadow may have taken over.
      try await cutOff(volume, Tail(of: volume, sizeBytes: sizeBytes), sizeBytes: sizeBytes, force: force)
    }
    volume.sizeBytes = sizeBytes
    volume.map.shrink(to: count)
    pool.purgeInBackground()
    pool.dropInBackground(cut, of: volume)
    await waitForReclaim()
  }

  private func cutOff(
    _ volume: Volume, _ tail: Tail?, sizeBytes: UInt64, force: Bool
  ) async throws(GnomonError) {
    let pool = pool
    if let tail {
      // First: growing again must not bring it back, even after a crash.
      try await pool.controlThread.perform { () throws(GnomonError) in try tail.clear(in: pool) }
      Failpoint.tailCleared.pass()
    }
    // Everything of the volume is in the journal by now; folded here, it is not folded in one go there.
    let row = await pool.catalogThread.perform { pool.catalog.lastJournalRow }
    try await pool.inCatalogSteps { (catalog, pagesMax) throws(GnomonError) in
      try catalog.checkpoint(through: row, pagesMax: pagesMax)
    }
    try await pool.catalogThread.perform { () throws(GnomonError) in
      try pool.catalog.resize(volume: volume.id, sizeBytes: sizeBytes, dropping: force)
    }
  }

  /// Runs what takes extents away from an excluded volume: that they are active is forgotten before its last
  /// flush, so that nobody tells the catalog about it afterwards. If it fails, they are as they were.
  private func forgettingActivity(
    of volume: Volume, from first: UInt64, _ body: () async throws(GnomonError) -> Void
  ) async throws(GnomonError) {
    let changes = pool.shared.changes
    let forgotten = changes.activity.forget(volume.id, from: first)
    do throws(GnomonError) {
      try await body()
    } catch {
      changes.remember(forgotten)
      throw error
    }
  }

  private static func extentCount(of volume: Volume, sizeBytes: UInt64) -> UInt64 {
    (sizeBytes + volume.extentBytes - 1) / volume.extentBytes
  }

  func deleteVolume(name: String) async throws(GnomonError) {
    try await exclusively { () throws(GnomonError) in try await deleteAlone(name) }
  }

  private func deleteAlone(_ name: String) async throws(GnomonError) {
    let volume = try existing(name)
    try takeOffline(volume, "deleted")
    defer { if !volume.isDeleted { pool.exports.add(volume) } }
    try await mover.exclude(volume)
    defer { mover.include(volume.id) }
    let pool = pool
    try await forgettingActivity(of: volume, from: 0) { () throws(GnomonError) in
      try await flush(volume)
      try await pool.catalogThread.perform { () throws(GnomonError) in
        try pool.catalog.delete(volume: volume.id)
      }
    }
    volume.markDeleted()
    loads.forget(volume)
    pool.purgeInBackground()
    pool.dropInBackground(0..<volume.map.extentCount, of: volume)
    // Whoever deletes to make room finds it, unless there is very much of it.
    await waitForReclaim()
  }

  func existing(_ name: String) throws(GnomonError) -> Volume {
    guard let volume = pool.exports.volume(name) else {
      throw GnomonError(.notFound, "there is no volume \(name)", remedy: "see `gnomon volume list`")
    }
    return volume
  }

  private func takeOffline(_ volume: Volume, _ what: String) throws(GnomonError) {
    let attachments = pool.exports.remove(volume.name)
    guard attachments == 0 else {
      throw GnomonError(
        .conflict, "volume \(volume.name) can not be \(what) while it is in use",
        cause: attachments == 1 ? "one client is attached" : "\(attachments) connections are attached",
        remedy: "detach the clients first")
    }
  }
}

/// What lies beyond a volume's new end in its last extent.
private struct Tail {
  private let name: String
  private let entry: MapEntry
  private let offset: UInt64
  private let length: UInt64

  /// Nil if the volume ends with an extent, or the last one is not mapped.
  init?(of volume: Volume, sizeBytes: UInt64) {
    let used = sizeBytes % volume.extentBytes
    entry = volume.map.view.entry(sizeBytes / volume.extentBytes)
    guard used > 0, entry.isMapped else { return nil }
    name = volume.name
    offset = entry.slot * volume.extentBytes + used
    length = volume.extentBytes - used
  }

  /// Makes it read as zeros, durably.
  func clear(in pool: Pool) throws(GnomonError) {
    guard let store = pool.store(entry.store) else { return }
    do throws(SystemError) {
      try store.zero(offset: store.dataOffset + offset, length: length)
      Failpoint.tailZeroed.pass()
      try store.synchronize()
    } catch {
      throw GnomonError(
        .system, "what lies beyond the new end of volume \(name) was not cleared", cause: error.description)
    }
  }
}
