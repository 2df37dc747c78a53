import ExtentMap
import NBDService
import Stores
import Platform
import Primitives
import Redirection
import Shadowing
import Synchronization

/// Seals and scrubs single extents: has reactors read their copies, and spends from the budget. In between
/// clients have their turn.
final class ScrubHands: Sendable {
  let pool: Pool
  private let mover: Mover
  private let budget: Mutex<MovementBudget>

  /// How long until a step is tried again that found no room.
  private static let pauseMilliseconds = 20

  init(_ pool: Pool, _ mover: Mover, bytesPerSecond: UInt64) {
    self.pool = pool
    self.mover = mover
    budget = Mutex(MovementBudget(bytesPerSecond: bytesPerSecond))
  }

  // MARK: Sealing

  /// Seals an extent that is watched, if nobody writes to it meanwhile. Otherwise it stays as it is, and is
  /// looked at again by the next pass.
  ///
  /// - Returns: false if there is no room for the change now.
  func seal(_ extent: UInt64, of volume: Volume, shouldStop: @Sendable () -> Bool) async -> Bool {
    let view = volume.map.view
    let key = ExtentKey(volume.id, extent)
    guard mover.claim(key) else { return true }
    defer { mover.release(key) }
    let watched = view.seal(extent)
    let entry = view.entry(extent)
    guard watched.isWatched, entry.isMapped, !pool.shared.stores.hasFailed(entry.store) else { return true }
    var scan = Scan(store: entry.store, since: watched)
    while scan.offset < volume.extentBytes {
      if shouldStop() || mover.isExcluded(volume.id) { return true }
      switch await read(scan, volume, extent).0 {
      case .read(let next): scan = next
      case .busy: try? await Task.sleep(for: .milliseconds(Self.pauseMilliseconds))
      // A copy that can not be read has been noted as a fault of its store.
      case .void, .unreadable, .unreachable: return true
      }
    }
    if case .full = pool.shared.changes.seal(extent, of: view, checksum: scan.sum, since: watched) {
      return false
    }
    return true
  }

  // MARK: Scrubbing

  /// What has come of one extent.
  struct Result {
    var bytes: UInt64 = 0
    var copies = 0
    /// Nothing can be said of it: it has been written to meanwhile.
    var isVoid = false
    var findings: [ScrubFinding] = []
  }

  /// Compares the copies of a sealed extent with its seal, and heals those that are bad.
  ///
  /// - Parameter store: the store whose copy is looked at; nil: all.
  /// - Returns: nil if it is not sealed, or somebody is moving it.
  func scrub(
    _ extent: UInt64, of volume: Volume, in store: StoreID?, shouldStop: @Sendable () -> Bool
  ) async -> Result? {
    let key = ExtentKey(volume.id, extent)
    guard mover.claim(key) else { return nil }
    defer { mover.release(key) }
    let view = volume.map.view
    let sealed = view.seal(extent)
    guard sealed.isSealed, let copies = ExtentCopies(view, extent) else { return nil }
    let places = places(of: extent, view)
    let pool = pool
    var course = ScrubCourse(copies, in: store, extentBytes: volume.extentBytes, sealed: sealed) { id in
      pool.shared.stores.isVolatile(id)
    }
    var result = Result()
    while let step = course.next {
      if shouldStop() || mover.isExcluded(volume.id) { course.cancel() }
      switch step {
      case .scan(let scan):
        let (outcome, bytes) = await read(scan, volume, extent)
        result.bytes += bytes
        course.scanned(outcome)
        if case .busy = outcome { try? await Task.sleep(for: .milliseconds(Self.pauseMilliseconds)) }
      case .condemn(let stores, let heir):
        course.condemned(pool.shared.changes.condemn(stores, heir: heir, extent, of: view, since: sealed))
      case .move(let move):
        course.moved(await mover.hands.carryOut(move, of: volume, shouldStop: shouldStop).end)
      }
    }
    result.copies = course.copiesRead
    result.isVoid = course.isVoid
    result.findings = course.findings.map { finding($0, volume, extent, place: places[$0.store] ?? 0) }
    return result
  }

  private func finding(
    _ finding: ScrubCourse.Finding, _ volume: Volume, _ extent: UInt64, place: UInt64
  ) -> ScrubFinding {
    let cause = finding.errno.map { SystemError.text(of: $0) }
    return ScrubFinding(
      volume: volume.name, extent: extent, store: pool.store(finding.store)?.record.name ?? "", place: place,
      problem: finding.errno == nil ? .differs : .unreadable, outcome: finding.isHealed ? .healed : .unhealed,
      reason: [cause, finding.reason].compactMap(\.self).joined(separator: "; "))
  }

  /// First bytes of the copies in their stores, by store.
  private func places(of extent: UInt64, _ view: ExtentMapView) -> [StoreID: UInt64] {
    let entry = view.entry(extent)
    var addresses = [entry.address]
    if let line = view.shadows(of: extent, entry) {
      for number in 0..<ShadowLine.shadowsMax where line.shadow(number).exists {
        addresses.append(line.shadow(number).address)
      }
    }
    var places: [StoreID: UInt64] = [:]
    for address in addresses {
      guard let store = pool.store(address.store) else { continue }
      places[address.store] = store.dataOffset + address.slot << UInt64(view.extentShift)
    }
    return places
  }

  // MARK: Reading

  private func read(_ scan: Scan, _ volume: Volume, _ extent: UInt64) async -> (ScanOutcome, UInt64) {
    let reactors = pool.reactors
    let (outcome, bytes) = await withCheckedContinuation { continuation in
      reactors[Int(extent % UInt64(reactors.count))].post(
        .scan(scan, volume, extent: extent) { continuation.resume(returning: ($0, $1)) })
    }
    if bytes > 0 {
      let wait = budget.withLock { $0.spend(bytes, at: MonotonicClock.nanoseconds()) }
      if wait > 0 { try? await Task.sleep(for: .nanoseconds(wait)) }
    }
    return (outcome, bytes)
  }
}
