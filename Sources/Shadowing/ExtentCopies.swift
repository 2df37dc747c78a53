public import ExtentMap
public import Primitives

/// Where the copies of one extent lie, as a plain value to decide upon.
public struct ExtentCopies: Sendable, Equatable {
  /// A copy that is not the live one.
  public struct Shadow: Sendable, Equatable {
    /// Where it lies.
    public var store: StoreID
    /// Whether it is equal to the live copy, and nobody is filling it.
    public var isSynced: Bool

    /// Takes both as they are.
    public init(_ store: StoreID, isSynced: Bool) {
      self.store = store
      self.isSynced = isSynced
    }
  }

  /// Whose extent it is.
  public var volume: VolumeID
  /// Its index in the volume.
  public var extent: UInt64
  /// The live copy's store.
  public var live: StoreID
  /// At most `ShadowLine.shadowsMax`.
  public var shadows: [Shadow]

  /// Takes all as they are.
  public init(volume: VolumeID, extent: UInt64, live: StoreID, shadows: [Shadow] = []) {
    self.volume = volume
    self.extent = extent
    self.live = live
    self.shadows = shadows
  }

  /// What the map says now; nil of an extent that is not mapped.
  public init?(_ view: ExtentMapView, _ extent: UInt64) {
    let entry = view.entry(extent)
    guard entry.isMapped else { return nil }
    self.init(volume: view.volume, extent: extent, live: entry.store)
    guard let line = view.shadows(of: extent, entry) else { return }
    for number in 0..<ShadowLine.shadowsMax where line.shadow(number).exists {
      shadows.append(Shadow(line.shadow(number).address.store, isSynced: line.isSynced(number)))
    }
  }

  /// The stores of all copies, the live one first.
  public var stores: [StoreID] { [live] + shadows.map(\.store) }

  /// The stores of the copies that are up to date, the live one first.
  public var goodStores: [StoreID] { [live] + shadows.filter(\.isSynced).map(\.store) }

  /// The shadow in a store.
  public func shadow(in store: StoreID) -> Shadow? { shadows.first { $0.store == store } }
}

/// Where an extent's copies lie and whether they are equal, in one word: what is decided on one extent of a
/// volume holds for all with the same word. There may be millions of them.
public struct CopySignature: Hashable, Sendable {
  private var word: UInt64

  /// What the map says now, of an extent that is mapped.
  public init(_ view: ExtentMapView, _ extent: UInt64, _ entry: MapEntry) {
    word = UInt64(entry.store.rawValue)
    guard let line = view.shadows(of: extent, entry) else { return }
    for number in 0..<ShadowLine.shadowsMax where line.shadow(number).exists {
      let state: UInt64 = line.isSynced(number) ? 3 : 1
      word |= (UInt64(line.shadow(number).address.store.rawValue) << 2 | state) << UInt64(8 + 10 * number)
    }
  }
}

extension Move {
  /// Whether there is still something to do: between plan and deed, copies may have moved already.
  public func applies(to copies: ExtentCopies) -> Bool {
    switch kind {
    case .migrate: isSourceLive ? copies.live == source : copies.shadow(in: source!) != nil
    case .replicate: !copies.goodStores.contains(target)
    case .resync, .promote, .drop: copies.shadow(in: target) != nil
    case .replace: copies.shadow(in: source!) != nil
    }
  }
}
