import ExtentMap
import Primitives
import Redirection
import Shadowing

/// The stores of the fast tier: the lowest tier that there is, if there is another one.
struct FastStores: Equatable {
  /// nil if all stores are of one tier: then nothing is to be done.
  let tier: Int?
  let stores: [StoreID]
  private let isFast: [Bool]

  init(_ candidates: [StoreCandidate]) {
    let lasting = candidates.filter { !$0.isVolatile }
    let lowest = lasting.map(\.tier).min()
    let isAlone = lasting.allSatisfy { $0.tier == lowest }
    tier = isAlone ? nil : lowest
    stores = isAlone ? [] : lasting.filter { $0.tier == lowest }.map(\.id)
    var isFast = [Bool](repeating: false, count: StoreTable.capacity)
    for store in stores { isFast[Int(store.rawValue)] = true }
    self.isFast = isFast
  }

  /// Whether a volume may have copies there.
  func serve(_ volume: Volume) -> Bool {
    guard let tier else { return false }
    return !volume.tiers.never.contains(tier)
  }

  func contains(_ store: StoreID) -> Bool { isFast[Int(store.rawValue)] }

  /// Whether no copy of an extent lies on the fast tier.
  func lack(_ extent: UInt64, of view: ExtentMapView) -> Bool {
    let entry = view.entry(extent)
    guard entry.isMapped, !contains(entry.store) else { return false }
    guard let line = view.shadows(of: extent, entry) else { return true }
    for number in 0..<ShadowLine.shadowsMax where line.shadow(number).exists {
      if contains(line.shadow(number).address.store) { return false }
    }
    return true
  }
}
