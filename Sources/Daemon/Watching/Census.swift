import ExtentMap
import Health
import Primitives
import Redirection
import Shadowing

/// Counts what would be lost with each of some stores, and what they have missed.
///
/// It looks at every extent of every volume, a few milliseconds for a million: so it is taken only if there
/// is a store in trouble.
struct Census {
  private(set) var redundancy: [StoreID: StoreRedundancy]

  /// What one kind of extent says of one of the stores.
  private struct Finding {
    var store: StoreID
    var isOnly = false
    var isStale = false
  }

  /// - Parameters:
  ///   - stores: those that are counted for.
  ///   - isGood: whether a store's copies can be counted on: it lasts, has not failed and is not sat out.
  init(of stores: Set<StoreID>, in volumes: [Volume], where isGood: (StoreID) -> Bool) {
    redundancy = Dictionary(uniqueKeysWithValues: stores.map { ($0, StoreRedundancy(onlyCopies: 0)) })
    for volume in volumes { count(volume, isGood) }
  }

  private mutating func count(_ volume: Volume, _ isGood: (StoreID) -> Bool) {
    let view = volume.map.view
    // Most extents are alike.
    var known: [CopySignature: [Finding]] = [:]
    for extent in 0..<volume.map.extentCount {
      let entry = view.entry(extent)
      guard entry.isMapped else { continue }
      guard entry.isShadowed else {
        redundancy[entry.store]?.onlyCopies += 1
        continue
      }
      let signature = CopySignature(view, extent, entry)
      if known[signature] == nil, let copies = ExtentCopies(view, extent) {
        known[signature] = findings(copies, isGood)
      }
      for finding in known[signature] ?? [] {
        if finding.isOnly { redundancy[finding.store]?.onlyCopies += 1 }
        // Elsewhere it is nothing unusual that a shadow lacks something.
        if finding.isStale && volume.redundancy.protection == .sync {
          redundancy[finding.store]?.staleCopies += 1
        }
      }
    }
  }

  private func findings(_ copies: ExtentCopies, _ isGood: (StoreID) -> Bool) -> [Finding] {
    let good = copies.goodStores
    return copies.stores.compactMap { store in
      guard redundancy[store] != nil else { return nil }
      let hasIt = good.contains(store)
      let isOnly = hasIt && !good.contains { $0 != store && isGood($0) }
      return Finding(store: store, isOnly: isOnly, isStale: !hasIt)
    }
  }
}
