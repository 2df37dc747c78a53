import ExtentMap
import NBDWire
import Primitives
import Redirection

/// BLOCK_STATUS, answered from the extent map without I/O.
extension Reactor {
  /// Extents that one reply looks at; the client asks again for the rest. As many requests as a connection
  /// may have in flight are answered in one turn: together they must not hold up others.
  private static let extentsPerReply: UInt64 = 1 << 14
  /// Bytes of the descriptors of one context.
  private static let bytesPerContext = 16 << 10
  /// The status, in `x-gnomon:tier` and `x-gnomon:store`, of an extent that lies nowhere.
  static let unmappedStatus = UInt32.max

  func answerStatus(_ index: UInt32, _ header: RequestHeader, _ request: Request) -> Bool {
    let connection = unsafe connections + Int(index)
    let cold = unsafe connection.pointee.cold!
    let size = Self.bytesPerContext * cold.contexts.count
    guard let operation = redirector.makeAnswer(request, error: nil, bufferBytes: size) else { return false }
    let op = unsafe redirector.operation(operation)
    let buffer = unsafe op.pointee.buffer!
    var used = 0
    for (number, context) in cold.contexts.enumerated() {
      var builder = unsafe BlockStatusBuilder(
        format: connection.pointee.format, into: buffer + used, capacityBytes: Self.bytesPerContext,
        request: header, contextID: context.id)
      unsafe describe(StatusKind(of: context), header, connection.pointee.view, &builder)
      used += builder.finish(done: number == cold.contexts.count - 1)
    }
    unsafe op.pointee.length = UInt64(used)
    reply(index, operation)
    return true
  }

  private func describe(
    _ kind: StatusKind, _ header: RequestHeader, _ view: ExtentMapView, _ builder: inout BlockStatusBuilder
  ) {
    let shift = UInt64(view.extentShift)
    var offset = header.offset
    let end = header.offset + header.length
    let last = min((end - 1) >> shift, (offset >> shift) + Self.extentsPerReply - 1)
    for extent in (offset >> shift)...last {
      let extentEnd = min((extent + 1) << shift, end)
      let status = status(kind, view.entry(extent))
      guard builder.append(length: extentEnd - offset, status: status) else { return }
      offset = extentEnd
    }
  }

  private func status(_ kind: StatusKind, _ entry: MapEntry) -> UInt32 {
    switch kind {
    case .tier:
      return entry.isMapped
        ? UInt32(clamping: environment.shared.stores.tier(of: entry.store)) : Self.unmappedStatus
    case .store:
      return entry.isMapped ? UInt32(entry.store.rawValue) : Self.unmappedStatus
    case .allocation:
      return entry.isMapped ? 0 : AllocationStatus([.hole, .zero]).rawValue
    }
  }
}

/// What a metadata context tells about an extent.
private enum StatusKind {
  case allocation, tier, store

  init(of context: NegotiatedContext) {
    switch context.name {
    case "x-gnomon:tier": self = .tier
    case "x-gnomon:store": self = .store
    default: self = .allocation
    }
  }
}
