public import ExtentMap
public import NBDWire
import Primitives

/// BLOCK_STATUS, answered from the extent map without I/O.
public struct BlockStatus {
  /// Metadata contexts that can be answered.
  public static let contexts = [
    AllocationStatus.contextName, "x-gnomon:tier", "x-gnomon:store", "x-gnomon:shadow", "x-gnomon:heat",
  ]
  /// Bytes of the descriptors of one context.
  public static let bytesPerContext = 16 << 10
  /// The status, in `x-gnomon:tier` and `x-gnomon:store`, of an extent that lies nowhere.
  static let unmappedStatus = UInt32.max
  /// The status in `x-gnomon:heat` while nobody looks at how volatile the volume's extents are.
  static let unknownHeatStatus = UInt32.max
  /// Extents that one reply looks at; the client asks again for the rest. As many requests as a connection
  /// may have in flight are answered in one turn: together they must not hold up others.
  private static let extentsPerReply: UInt64 = 1 << 14

  private let stores: StoreTable
  private let view: ExtentMapView
  private let heat: HeatScores?

  /// Tells about the volume whose map this is, and how volatile its extents are; nil: nobody knows.
  public init(of view: ExtentMapView, stores: StoreTable, heat: HeatScores?) {
    self.stores = stores
    self.view = view
    self.heat = heat
  }

  /// Writes the whole reply to an accepted request, one chunk a context.
  ///
  /// - Parameter bytes: room for `bytesPerContext` bytes for each context.
  /// - Returns: how many bytes were written.
  public func encode(
    _ header: RequestHeader, _ contexts: [NegotiatedContext], _ format: ReplyFormat,
    into bytes: UnsafeMutableRawPointer
  ) -> Int {
    var used = 0
    for (number, context) in contexts.enumerated() {
      var builder = unsafe BlockStatusBuilder(
        format: format, into: bytes + used, capacityBytes: Self.bytesPerContext, request: header,
        contextID: context.id)
      describe(StatusKind(of: context), header, &builder)
      used += builder.finish(done: number == contexts.count - 1)
    }
    return used
  }

  private func describe(_ kind: StatusKind, _ header: RequestHeader, _ builder: inout BlockStatusBuilder) {
    let shift = UInt64(view.extentShift)
    var offset = header.offset
    let end = header.offset + header.length
    let last = min((end - 1) >> shift, (offset >> shift) + Self.extentsPerReply - 1)
    for extent in (offset >> shift)...last {
      let extentEnd = min((extent + 1) << shift, end)
      let status = status(kind, view.entry(extent), extent)
      guard builder.append(length: extentEnd - offset, status: status) else { return }
      offset = extentEnd
    }
  }

  private func status(_ kind: StatusKind, _ entry: MapEntry, _ extent: UInt64) -> UInt32 {
    switch kind {
    case .tier:
      return entry.isMapped ? UInt32(clamping: stores.tier(of: entry.store)) : Self.unmappedStatus
    case .store:
      return entry.isMapped ? UInt32(entry.store.rawValue) : Self.unmappedStatus
    case .shadow:
      // Bits 0–7 are the number of synced shadows, bits 8–15 that of stale ones.
      guard let line = view.shadows(of: extent, entry) else { return 0 }
      let all = (0..<ShadowLine.shadowsMax).count { line.shadow($0).exists }
      let synced = (0..<ShadowLine.shadowsMax).count(where: line.isSynced)
      return UInt32(synced | (all - synced) << 8)
    case .heat:
      return heat.map { UInt32($0[extent]) } ?? Self.unknownHeatStatus
    case .allocation:
      return entry.isMapped ? 0 : AllocationStatus([.hole, .zero]).rawValue
    }
  }
}

/// What a metadata context tells about an extent.
private enum StatusKind {
  case allocation, tier, store, shadow, heat

  init(of context: NegotiatedContext) {
    switch context.name {
    case "x-gnomon:tier": self = .tier
    case "x-gnomon:store": self = .store
    case "x-gnomon:shadow": self = .shadow
    case "x-gnomon:heat": self = .heat
    default: self = .allocation
    }
  }
}
