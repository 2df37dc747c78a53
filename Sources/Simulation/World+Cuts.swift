import Catalog
import ExtentMap
import NBDWire
import Primitives
import Redirection
import Shadowing

/// Volumes are cut: all that lies beyond some extent is gone, while stores may still have writes to do there.
/// They are as large as before at once, because what lay there must not come back.
extension World {
  /// Cuts some volume at some time.
  func planCut() {
    after(latency(200_000, 20_000_000), "cut", 0) { [self] in
      if isSettling || requestsLeft == 0 { return }
      let volume = generator.below(volumes.count)
      let extents = volumes[volume].committed.count
      beginCut(volume, from: UInt64(1 + generator.below(extents - 1)))
    }
  }

  /// Keeps everybody away from the volume, and flushes it once it is left alone.
  private func beginCut(_ volume: Int, from first: UInt64) {
    excludedVolume = volume
    awaitCut("exclusion", until: { [self] in !isInUse(volume) }, of: []) { [self] in
      let forgotten = shared.changes.activity.forget(volumes[volume].record.id, from: first)
      let connection = connect(reactor: 0, volume: volume, .structured)
      let flush = try send(ClientRequest(command: .flush, volume: volume), on: connection, instantly: true)
      // Nobody is told: what is to be cut off may still be lost, as long as it is not.
      connection.pending[flush]?.isPromise = false
      awaitCut("last flush", until: { [self] in outcomes[flush] != nil && !isInUse(volume) }, of: forgotten) {
        [self] in
        if outcomes[flush] == .some(nil), !life.hasFailedStore {
          try cut(volume, from: first)
          endCut([])
        } else {
          endCut(forgotten)
        }
      }
    }
  }

  /// Goes on once a condition is met; gives up if that takes too long, as everything is to come to rest.
  private func awaitCut(
    _ label: StaticString, until isMet: @escaping () -> Bool, of forgotten: [ActivityLog.ActiveExtent],
    triesLeft: Int = 64, _ body: @escaping () throws -> Void
  ) {
    after(latency(50_000, 5_000_000), label, 0) { [self] in
      if isMet() {
        try body()
      } else if isSettling || triesLeft == 0 {
        endCut(forgotten)
      } else {
        awaitCut(label, until: isMet, of: forgotten, triesLeft: triesLeft - 1, body)
      }
    }
  }

  private func endCut(_ forgotten: [ActivityLog.ActiveExtent]) {
    shared.changes.remember(forgotten)
    excludedVolume = nil
    planCut()
  }

  private func isInUse(_ volume: Int) -> Bool {
    let id = volumes[volume].record.id
    return moves.contains { $0.move.volume == id } || scrubs.contains { $0.volume == volume }
      || connections.contains { $0.volume == volume && ($0.operations > 0 || !$0.pending.isEmpty) }
  }

  /// Cuts a volume that is flushed and that nobody uses, and grows it again.
  package func cut(_ number: Int, from first: UInt64) throws {
    let volume = volumes[number]
    let count = volume.record.extentCount
    let disk = fileSystem.disk
    let accessesLeft = disk.accessesLeft
    (disk.faults, disk.accessesLeft) = (.none, nil)
    defer { (disk.faults, disk.accessesLeft) = (faults, accessesLeft) }
    trace.say("cuts volume \(number) from extent \(first) on")
    try life.catalog?.resize(volume: volume.record.id, sizeBytes: first * volume.extentBytes, dropping: true)
    volume.map.shrink(to: first)
    let slots = slots(of: volume, from: first)
    let usedBefore = stores.indices.map { usedBytes(UInt8($0)) }
    var rest = first..<count
    while !rest.isEmpty {
      if shared.drop(&rest, of: volume.map, slotsMax: 2) { post(.grace, toAllBut: nil) }
    }
    for slot in slots where usedBytes(slot.store.rawValue) < usedBefore[Int(slot.store.rawValue)] {
      try verifyUnused(slot)
    }
    try life.catalog?.resize(volume: volume.record.id, sizeBytes: volume.sizeBytes)
    try volume.map.grow(to: count)
    volumes[number].forget(from: Int(first))
    model.cut(number, from: Int(first) * volume.cellsPerExtent)
    figures.cuts += 1
  }

  /// Where the copies of all extents from one on lie.
  private func slots(of volume: WorldVolume, from first: UInt64) -> [RetiredSlot] {
    let view = volume.map.view
    return (first..<volume.record.extentCount).flatMap { extent in
      let entry = view.entry(extent)
      let shadows = view.shadows(of: extent, entry).map { line in
        (0..<ShadowLine.shadowsMax).map { line.shadow($0).address }
      }
      return ([entry] + (shadows ?? [])).filter(\.isMapped).map {
        RetiredSlot(store: $0.store, slot: $0.slot, slotBytes: volume.extentBytes)
      }
    }
  }
}
