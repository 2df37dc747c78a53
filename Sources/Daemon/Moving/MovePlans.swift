import ExtentMap
import NBDService
import Primitives
import Redirection
import Shadowing
import Stores
import Synchronization

/// What plans see of the pool.
struct PlanningView: Sendable {
  let pool: Pool

  var volumes: [Volume] { pool.exports.volumes.sorted { $0.id < $1.id } }

  /// All stores as a choice between them sees them.
  var stores: [StoreCandidate] {
    pool.stores.map { store in
      let record = store.record
      let space = pool.shared.placement.space(of: record.id)
      let objection: String? =
        if pool.shared.stores.hasFailed(record.id) {
          "has failed"
        } else if pool.isDraining(record.id) {
          "is being drained"
        } else {
          nil
        }
      return StoreCandidate(
        id: record.id, name: record.name, tier: record.tier, region: record.region, zone: record.zone,
        node: record.node, cost: record.cost, freeBytes: space.freeBytes,
        capacityBytes: space.usedBytes + space.freeBytes, isVolatile: record.kind == .memory,
        objection: objection)
    }
  }
}

/// The same move for each mapped extent of a range.
final class RangePlan: MovePlan {
  private let state: Mutex<Range<UInt64>>
  private let volume: Volume
  private let make: @Sendable (UInt64, MapEntry, ShadowLine?) -> Move?
  private static let extentsPerCall: UInt64 = 256

  init(
    _ volume: Volume, _ extents: Range<UInt64>,
    _ make: @escaping @Sendable (UInt64, MapEntry, ShadowLine?) -> Move?
  ) {
    self.volume = volume
    self.make = make
    state = Mutex(extents)
  }

  func next() -> (moves: [Move]?, left: Int?, complaint: String?) {
    state.withLock { rest in
      let end = min(rest.upperBound, volume.map.extentCount)
      guard rest.lowerBound < end else { return (nil, 0, nil) }
      let some = rest.lowerBound..<min(end, rest.lowerBound + Self.extentsPerCall)
      rest = some.upperBound..<max(end, some.upperBound)
      let moves = some.compactMap { extent -> Move? in
        let entry = volume.map.view.entry(extent)
        return entry.isMapped ? make(extent, entry, volume.map.view.shadows(of: extent, entry)) : nil
      }
      return (moves, rest.count, nil)
    }
  }
}

/// Goes over all extents of all volumes again and again.
private struct ExtentCursor {
  var volume = VolumeID(rawValue: 0)
  var extent: UInt64 = 0
  /// Extents that one call looks at.
  static let extentsPerCall = 1 << 14

  /// Calls `body` with mapped extents, until it says that it has enough.
  ///
  /// - Returns: whether the end was reached; the next call begins again.
  mutating func advance(_ volumes: [Volume], _ body: (Volume, UInt64, MapEntry) -> Bool) -> Bool {
    var looks = Self.extentsPerCall
    for current in volumes where current.id >= volume {
      if current.id > volume {
        volume = current.id
        extent = 0
      }
      let view = current.map.view
      while extent < current.map.extentCount {
        if looks == 0 { return false }
        looks -= 1
        let entry = view.entry(extent)
        extent += 1
        if entry.isMapped, !body(current, extent - 1, entry) { return false }
      }
      volume = VolumeID(rawValue: current.id.rawValue + 1)
      extent = 0
    }
    self = ExtentCursor()
    return true
  }
}

/// Moves everything off a store: pass after pass, until nothing lies there.
final class DrainPlan: MovePlan {
  private struct State {
    var cursor = ExtentCursor()
    var foundInPass = 0
    var complaint: String?
  }

  private let view: PlanningView
  private let store: StoreID
  private let state = Mutex(State())
  private static let movesPerCall = 64

  init(_ view: PlanningView, draining store: StoreID) {
    self.view = view
    self.store = store
  }

  func next() -> (moves: [Move]?, left: Int?, complaint: String?) {
    let stores = view.stores
    let volumes = view.volumes
    return state.withLock { state in
      var moves: [Move] = []
      let isEnd = state.cursor.advance(volumes) { volume, extent, entry in
        let line = volume.map.view.shadows(of: extent, entry)
        guard entry.store == store || line?.number(in: store) != nil else { return true }
        state.foundInPass += 1
        switch move(volume, extent, entry, line, stores) {
        case .success(let move): moves.append(move)
        case .failure(let refusal):
          state.complaint = "extent \(extent) of \(volume.name) can not go: \(refusal)"
        }
        return moves.count < Self.movesPerCall
      }
      let complaint = state.complaint
      if isEnd {
        if state.foundInPass == 0 { return (nil, 0, nil) }
        state.foundInPass = 0
        state.complaint = nil
      }
      return (moves, nil, complaint)
    }
  }

  private func move(
    _ volume: Volume, _ extent: UInt64, _ entry: MapEntry, _ line: ShadowLine?, _ stores: [StoreCandidate]
  ) -> Result<Move, TargetChoice.Refusal> {
    let isLive = entry.store == store
    let others = copies(entry, line).filter { $0 != store }
    // A copy elsewhere that may take over makes this quick.
    if isLive, let line {
      let heir = (0..<ShadowLine.shadowsMax).first { number in
        let place = line.shadow(number).address.store
        return line.isSynced(number)
          && stores.contains { $0.id == place && $0.objection == nil && !$0.isVolatile }
      }
      if let heir {
        return .success(
          Move(
            .promote, volume: volume.id, extent: extent, to: line.shadow(heir).address.store,
            reason: "its live copy's store is being drained"))
      }
    }
    let wanted = volume.redundancy
    if !isLive, others.count >= wanted.copies {
      return .success(
        Move(.drop, volume: volume.id, extent: extent, to: store, reason: "its store is being drained"))
    }
    let choice = TargetChoice(extentBytes: volume.extentBytes, domain: wanted.across, mayBeLive: true)
    return choice.best(among: stores, beside: others, replacing: store).map {
      Move(
        .migrate, volume: volume.id, extent: extent, to: $0, from: store, isSourceLive: isLive,
        reason: "its store is being drained")
    }
  }
}

/// The stores of all copies of an extent, the live one first.
func copies(_ entry: MapEntry, _ line: ShadowLine?) -> [StoreID] {
  guard let line else { return [entry.store] }
  return [entry.store]
    + (0..<ShadowLine.shadowsMax).filter { line.shadow($0).exists }.map { line.shadow($0).address.store }
}

/// Keeps as many copies as each volume wants, and makes equal again those that lack something. Never ends.
final class ProtectionPlan: MovePlan {
  private struct State {
    var cursor = ExtentCursor()
    var complaint: String?
  }

  private let view: PlanningView
  private let state = Mutex(State())
  private static let movesPerCall = 64

  init(_ view: PlanningView) {
    self.view = view
  }

  func next() -> (moves: [Move]?, left: Int?, complaint: String?) {
    let stores = view.stores
    let volumes = view.volumes
    return state.withLock { state in
      var moves: [Move] = []
      let isEnd = state.cursor.advance(volumes) { volume, extent, entry in
        let line = volume.map.view.shadows(of: extent, entry)
        if line == nil && volume.redundancy.copies == 1 { return true }
        switch move(volume, extent, entry, line, stores) {
        case .success(let move): if let move { moves.append(move) }
        case .failure(let refusal): state.complaint = "extent \(extent) of \(volume.name): \(refusal)"
        }
        return moves.count < Self.movesPerCall
      }
      defer { if isEnd { state.complaint = nil } }
      return (moves, nil, state.complaint)
    }
  }

  private func move(
    _ volume: Volume, _ extent: UInt64, _ entry: MapEntry, _ line: ShadowLine?, _ stores: [StoreCandidate]
  ) -> Result<Move?, TargetChoice.Refusal> {
    let wanted = volume.redundancy
    func isUsable(_ store: StoreID) -> Bool { stores.contains { $0.id == store && $0.objection == nil } }
    if let line {
      for number in 0..<ShadowLine.shadowsMax {
        let shadow = line.shadow(number)
        guard shadow.exists, !line.isSynced(number), isUsable(shadow.address.store),
          wanted.protection != .none
        else {
          continue
        }
        return .success(
          Move(
            .resync, volume: volume.id, extent: extent, to: shadow.address.store,
            reason: "its shadow lacks what was written meanwhile"))
      }
    }
    let good = copies(entry, line).filter(isUsable)
    guard good.count < wanted.copies else { return .success(nil) }
    let choice = TargetChoice(extentBytes: volume.extentBytes, domain: wanted.across)
    return choice.best(among: stores, beside: copies(entry, line)).map {
      Move(
        .replicate, volume: volume.id, extent: extent, to: $0,
        reason: "\(volume.name) wants \(wanted.copies) copies and has \(good.count)")
    }
  }
}
