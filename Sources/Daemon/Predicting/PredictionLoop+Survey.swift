import ExtentMap
import Primitives
import Redirection
import Shadowing
import Synchronization

/// What prediction looks at now and then: stores, volumes, and how much it may take.
extension PredictionLoop {
  /// What the extents of one volume may take of the memory for all: an eighth.
  private static let volumeShare = 8
  /// Bytes of a record, see `FastLoop`.
  private static let recordBytes = 54
  /// Fewer records are not worth having.
  private static let recordsMin = 1 << 10

  func survey() {
    candidates = view.stores
    let tiers = FastStores(candidates)
    isTiered = tiers.tier != nil
    let fast = settings.enabled ? tiers : FastStores([])
    if fast != self.fast {
      self.fast = fast
      leaveTier()
      shareBytes = 0
    }
    meetVolumes()
    leaveVolumes()
    allow()
    keepWithinAllowance()
    let again = retries
    retries = []
    for key in again { retry(key) }
  }

  /// How much shadows may take.
  private func allow() {
    let extentBytes = known.values.map(\.extentBytes).max() ?? 0
    let allowance = ShadowAllowance(share: Double(settings.fastTierShare) / 100)
    let stores = candidates.filter { fast.contains($0.id) }
    headroomBytes = [:]
    for store in stores {
      headroomBytes[store.id] = allowance.headroomBytes(in: store, extentBytes: extentBytes)
    }
    shareBytes = allowance.shareBytes(in: stores)
    let ownBytes = volumes.values.reduce(0) { $0 + $1.ownBytes }
    allowedBytes = allowance.bytes(in: stores, ownBytes: ownBytes, extentBytes: extentBytes)
  }

  /// The stores that shadows belong in are others now.
  private func leaveTier() {
    for prediction in volumes.values {
      for (extent, shadow) in prediction.own where !fast.contains(shadow.store) {
        prediction.loop.forget(extent)
        giveUp(extent, prediction, .otherTier)
      }
    }
  }

  /// Volumes may have come to want no copies on the fast tier.
  private func leaveVolumes() {
    for prediction in volumes.values where !prediction.own.isEmpty && !fast.serve(prediction.volume) {
      for extent in prediction.own.keys {
        prediction.loop.forget(extent)
        giveUp(extent, prediction, .forbidden)
      }
    }
  }

  private func retry(_ key: ExtentKey) {
    let extent = UInt32(truncatingIfNeeded: key.extent)
    guard let prediction = volumes[key.volume], prediction[extent]?.state == .leaving else { return }
    prediction[extent]?.state = .synced
    giveUp(extent, prediction, .displaced)
  }

  // MARK: Volumes

  private func meetVolumes() {
    book?.meet(view.volumes)
    // What is not on offer for a while, because it is being shrunk, stays known.
    for (id, volume) in known where volume.isDeleted {
      book?.forget(id)
      known[id] = nil
      volumes[id] = nil
      volumesWithout.remove(id)
    }
    for volume in view.volumes {
      if let prediction = volumes[volume.id] { follow(volume, prediction) }
      if known[volume.id] == nil {
        known[volume.id] = volume
        if fast.tier != nil { adoptShadows(of: volume) }
      }
    }
  }

  /// The volume may have been grown or shrunk.
  private func follow(_ volume: Volume, _ prediction: VolumePrediction) {
    let count = UInt32(clamping: volume.map.extentCount)
    if count < prediction.loop.extentCount {
      for extent in prediction.own.keys where extent >= count {
        prediction.loop.forget(extent)
        giveUp(extent, prediction, .stale)
      }
    }
    prediction.loop.extentCount = count
  }

  /// Shadows on the fast tier that the volume does not want were made by prediction when the pool was served
  /// last: nobody else makes any there that he does not ask for, and who asked then is not remembered. So it
  /// is done when the volume is met, and not again: what is there later may have been asked for.
  private func adoptShadows(of volume: Volume) {
    let mapView = volume.map.view
    let rules = PlanningView.rules(for: volume, candidates)
    if shareBytes == 0 { allow() }
    for extent in 0..<min(volume.map.extentCount, UInt64(UInt32.max)) {
      let entry = mapView.entry(extent)
      guard entry.isShadowed, entry.isMapped, !fast.contains(entry.store),
        let copies = ExtentCopies(mapView, extent),
        let store = rules.spareShadow(copies, in: fast.stores), let prediction = prediction(of: volume),
        prediction[UInt32(extent)] == nil
      else { continue }
      counts.adopted += 1
      prediction[UInt32(extent)] = OwnShadow(state: .synced, store: store, sinceMicroseconds: 0)
      if let displaced = prediction.loop.place(UInt32(extent), at: 0) {
        giveUp(displaced, prediction, .displaced)
      }
    }
  }

  /// What is known of a volume, from now on if it was nothing; nil if there is no memory for it.
  func prediction(of volume: Volume) -> VolumePrediction? {
    if let prediction = volumes[volume.id] { return prediction }
    guard !volumesWithout.contains(volume.id), fast.tier != nil else { return nil }
    let used = volumes.values.reduce(0) { $0 + $1.bytes }
    let records = min(
      Int(settings.memoryBytes) / Self.volumeShare / Self.recordBytes, Int(clamping: volume.map.extentCount))
    let capacity = Int(clamping: shareBytes / volume.extentBytes)
    let prediction = VolumePrediction(
      volume, capacity: capacity, recordsMax: max(records, Self.recordsMin))
    guard volumes.isEmpty || used + prediction.bytes <= Int(settings.memoryBytes) else {
      volumesWithout.insert(volume.id)
      return nil
    }
    volumes[volume.id] = prediction
    return prediction
  }
}
