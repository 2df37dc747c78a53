import ExtentMap
import HTTPService
import Primitives
import Redirection
import Stores

/// Where the data lies, and why.
extension PoolControl {
  /// Extents that one answer looks at: a few milliseconds.
  private static let extentsPerAnswer: UInt64 = 1 << 20

  func extents(volume name: String, _ extents: ExtentSet) async throws(GnomonError) -> ExtentList {
    let volume = try existing(name)
    let teller = PlaceTeller(pool, volume.tiers, reasons: mover.reasons(of: volume.id))
    var list = ExtentList(volume: name, extentBytes: volume.extentBytes, runs: [])
    list.extentCount = volume.map.extentCount
    var looks = Self.extentsPerAnswer
    for range in try extents.ranges(of: volume.map.extentCount) {
      for extent in range {
        let run = teller.run(volume.map.view, extent)
        let isLike = list.runs.last.map { $0.last + 1 == extent && $0.isLike(run) } ?? false
        if looks == 0 || (!isLike && list.runs.count == ExtentList.runsMax) {
          list.next = extent
          return list
        }
        looks -= 1
        if isLike { list.runs[list.runs.count - 1].last = extent } else { list.runs.append(run) }
      }
    }
    return list
  }
}

/// Puts into words where an extent's copies lie.
private struct PlaceTeller {
  private let rules: TierRules
  private let reasons: [UInt64: String]
  private var names: [StoreID: String] = [:]
  private var tiers: [StoreID: Int] = [:]

  init(_ pool: Pool, _ rules: TierRules, reasons: [UInt64: String]) {
    self.rules = rules
    self.reasons = reasons
    for store in pool.stores {
      names[store.record.id] = store.record.name
      tiers[store.record.id] = store.record.tier
    }
  }

  /// A run of one extent.
  func run(_ view: ExtentMapView, _ extent: UInt64) -> ExtentRun {
    let entry = view.entry(extent)
    var run = ExtentRun(first: extent, last: extent)
    guard entry.isMapped else { return run }
    run.live = name(of: entry.store)
    run.tier = tiers[entry.store]
    run.why = why(extent, entry.store)
    guard let line = view.shadows(of: extent, entry) else { return run }
    for number in 0..<ShadowLine.shadowsMax where line.shadow(number).exists {
      let shadow = line.shadow(number)
      let state: ShadowState = shadow.isFilling ? .filling : line.isSynced(number) ? .synced : .stale
      run.shadows.append(ShadowInfo(store: name(of: shadow.address.store), state: state))
    }
    run.shadows.sort { $0.store < $1.store }
    return run
  }

  private func name(of store: StoreID) -> String { names[store] ?? "\(store.rawValue)" }

  /// Moves are remembered for a while, first placements are not: they follow from the tiers and the rules.
  private func why(_ extent: UInt64, _ live: StoreID) -> String {
    if let reason = reasons[extent] { return reason }
    if tiers.count == 1 { return "the only store" }
    let tier = tiers[live] ?? 0
    if rules.never.contains(tier) { return "no store of another tier took it, or placed before the rule" }
    if let pin = rules.pin {
      let word = Tier.name(pin)
      return tier == pin ? "pinned to \(word)" : "\(word) did not take it, or placed before the rule"
    }
    return tier == tiers.values.filter { !rules.never.contains($0) }.min()
      ? "placed by tier" : "no faster store had room, or moved long ago"
  }
}

extension ExtentRun {
  /// Whether an extent behind it can join it.
  fileprivate func isLike(_ other: ExtentRun) -> Bool {
    live == other.live && shadows == other.shadows && why == other.why
  }
}
