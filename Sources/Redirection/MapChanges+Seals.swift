public import ExtentMap
import Platform
public import Primitives
import Synchronization

/// Seals (invariant 10): the checksums of extents at rest.
///
/// An extent that nobody writes to is *watched*, which closes it: a writer that comes nevertheless opens it
/// again, and that is all. One that has stayed closed is read, and *sealed* with the checksum of what it
/// holds. The first write to a sealed extent waits until the catalog has forgotten the seal, as the first
/// write to copies at rest waits for the activity log; those that follow cost nothing. So a seal that the
/// catalog has is always one of what the copies hold.
extension MapChanges {
  /// What a writer finds that has come to a closed extent.
  enum Opening {
    /// It is open: he goes on.
    case open
    /// The catalog forgets the seal with the next flush.
    case pending
    /// Too many changes wait; nothing has changed.
    case full
  }

  /// How an attempt to seal an extent has ended.
  public enum Sealing: Sendable {
    /// It is sealed, once the next flush has told the catalog.
    case done
    /// It has been written to, moved or unmapped since it was read.
    case void
    /// Too many changes wait for the catalog.
    case full
  }

  /// Extents that are opened ahead of a stream of writes at most.
  static let opensAheadMax: UInt64 = 32

  /// Closes an extent to see whether anybody writes to it. Its seal's room has been made.
  ///
  /// - Returns: whether it is watched now.
  public func watch(_ extent: UInt64, of view: ExtentMapView) -> Bool {
    state.withLock { _ in
      var seal = view.seal(extent)
      guard view.entry(extent).isMapped, seal.isOpen, seal.pending == 0 else { return false }
      seal.watch()
      view.setSeal(extent, seal)
      view.setClosed(extent, true)
      return true
    }
  }

  /// Seals an extent with the checksum of what has been read from its live copy since it was watched.
  ///
  /// Of an extent with shadows that may differ nothing is sealed: if a store fails, it has to be possible to
  /// tell which of its copies is durable.
  ///
  /// - Parameter watched: what `ExtentMapView.seal(_:)` was before it was read.
  public func seal(
    _ extent: UInt64, of view: ExtentMapView, checksum: UInt32, since watched: SealEntry
  ) -> Sealing {
    state.withLock { state in
      var seal = view.seal(extent)
      guard extent < view.marks.extentCount, view.entry(extent).isMapped,
        seal.isWatched && seal.isUntouched(since: watched) || Canary.sealsWhatHasChanged.isOut
      else { return .void }
      if let line = view.shadowLine(extent), line.isActive || line.isActivating { return .void }
      if state.isFull(limit) { return .full }
      seal.seal(checksum)
      view.setSeal(extent, seal)
      state.pending.append(extent, of: view, .seal, seal.persistent)
      Failpoint.extentSealed.pass()
      return .done
    }
  }

  /// A write has come to a closed extent.
  ///
  /// A stream of writes would wait at each extent that it comes to. So as many extents behind this one are
  /// opened with it as are open before it.
  func open(_ extent: UInt64, of view: ExtentMapView) -> Opening {
    state.withLock { state in
      let opening = state.open(extent, of: view, limit)
      guard opening == .pending else { return opening }
      if let line = view.shadows(of: extent, view.entry(extent)) {
        beginActivity(extent, of: view, line, &state)
      }
      let end = min(extent + 1 + openExtents(before: extent, of: view), view.marks.extentCount)
      for next in extent + 1..<max(end, extent + 1) where state.open(next, of: view, limit) == .full { break }
      return .pending
    }
  }

  /// How many extents in front of one are being written to, or about to be.
  private func openExtents(before extent: UInt64, of view: ExtentMapView) -> UInt64 {
    var count: UInt64 = 0
    while count < min(Self.opensAheadMax, extent) {
      let before = extent - count - 1
      let entry = view.entry(before)
      guard entry.isMapped, !entry.isClosed || view.seal(before).isUnsealing else { break }
      count += 1
    }
    return count
  }

  /// An extent is about to be changed by other means than a request: the next flush has the catalog forget
  /// its seal. Nobody seals it meanwhile.
  public func unseal(_ extent: UInt64, of view: ExtentMapView) {
    state.withLock { _ = $0.open(extent, of: view, .max) }
  }

  /// Copies of a sealed extent do not hold what was sealed: they lack everything from now on. If the live
  /// copy is among them, a shadow that is good takes its place.
  ///
  /// - Parameters:
  ///   - stores: where the bad copies lie.
  ///   - heir: the store of the shadow that is to be the live copy; nil if the live copy is good.
  ///   - sealed: the seal that they were compared with.
  /// - Returns: false if the extent has been written to or moved since; nothing has changed.
  public func condemn(
    _ stores: [StoreID], heir: StoreID?, _ extent: UInt64, of view: ExtentMapView, since sealed: SealEntry
  ) -> Bool {
    state.withLock { state in
      let entry = view.entry(extent)
      guard entry.isMapped, let line = view.shadows(of: extent, entry),
        view.seal(extent).isUntouched(since: sealed)
      else { return false }
      if stores.contains(entry.store) {
        guard let heir, !stores.contains(heir), let number = line.number(in: heir), line.isSynced(number),
          !self.stores.isVolatile(heir)
        else { return false }
        state.promote(number, line, extent, of: view, oldLacks: view.allParts)
      }
      state.miss(view.allParts, line, extent, of: view) { stores.contains($0.store) }
      // From here on the live copy may be the only one that is whole.
      self.stores.markDirty(view.entry(extent).store, by: view.marks)
      return true
    }
  }
}

extension MapChanges.State {
  fileprivate mutating func open(
    _ extent: UInt64, of view: ExtentMapView, _ limit: Int
  ) -> MapChanges.Opening {
    var seal = view.seal(extent)
    if seal.isUnsealing { return .pending }
    if seal.isSealed && !Canary.keepsSealAcrossWrites.isOut {
      if isFull(limit) { return .full }
      seal.unseal()
      view.setSeal(extent, seal)
      pending.append(extent, of: view, .seal, 0)
      Failpoint.extentUnsealed.pass()
      if !Canary.writesBeforeUnsealing.isOut { return .pending }
    }
    if !seal.isOpen {
      seal.breakOpen()
      view.setSeal(extent, seal)
    }
    view.setClosed(extent, false)
    return .open
  }

  /// An extent is unmapped: what it held is forgotten with it.
  mutating func dropSeal(_ extent: UInt64, of view: ExtentMapView) {
    var seal = view.seal(extent)
    guard !seal.isOpen else { return }
    if seal.isSealed {
      seal.notePending()
      pending.append(extent, of: view, .seal, 0)
    }
    seal.breakOpen()
    view.setSeal(extent, seal)
    view.setClosed(extent, false)
  }

  /// The catalog has a change of a seal.
  func sealCommitted(_ extent: UInt64, of view: ExtentMapView) {
    var seal = view.seal(extent)
    let isOpen = seal.committed()
    view.setSeal(extent, seal)
    if isOpen { view.setClosed(extent, false) }
  }
}
