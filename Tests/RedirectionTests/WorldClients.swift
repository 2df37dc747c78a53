import ExtentMap
import Glibc
import NBDWire
import Primitives
import TestSupport

@testable import Redirection

/// What clients ask for, and what they are told.
extension World {
  /// Begins a request; its outcome appears in `outcomes` once it has been answered.
  ///
  /// - Returns: its cookie.
  @discardableResult
  func start(_ request: ClientRequest, payloadLater: Bool = false) throws -> UInt64 {
    guard let cookie = try tryStart(request, payloadLater: payloadLater) else {
      throw BrokenPromise("no room for a request")
    }
    return cookie
  }

  /// Like `start`; nil if the redirector has no room.
  func tryStart(_ request: ClientRequest, payloadLater: Bool = false) throws -> UInt64? {
    let redirector = redirectors[request.redirector]
    let cookie = nextCookie
    let raw = Request(
      view: volumes[request.volume].map.view, offset: request.offset, length: request.length,
      flags: request.flags, cookie: cookie, owner: 0, volumeBytes: volumes[request.volume].sizeBytes)
    let oldest = pending.values.map(\.issue).min() ?? model.now
    let isBegun: Bool
    var entry = PendingRequest(request: request, issue: model.tick())
    switch request.kind {
    case .read: isBegun = redirector.read(raw)
    case .flush: isBegun = redirector.flush(raw)
    case .write:
      guard let operation = redirector.makeWrite(raw) else { return nil }
      isBegun = true
      if payloadLater {
        filling.append((request.redirector, operation, request))
      } else {
        entry.change = try fill(redirector, operation, request, oldest)
        redirector.startWrite(operation)
      }
    case .trim, .zero:
      isBegun = redirector.clear(request.kind, raw)
      if isBegun {
        entry.change = model.begin(
          request.volume, clearedCells(request), isZero: true, isDurable: request.flags.contains(.durable),
          oldest: oldest)
      }
    case .answer: preconditionFailure("not a request")
    }
    guard isBegun else { return nil }
    nextCookie += 1
    pending[cookie] = entry
    needsTurn[request.redirector] = true
    return cookie
  }

  /// A trim changes whole extents only; the last one may be partly beyond the end.
  private func clearedCells(_ request: ClientRequest) -> Range<Int> {
    guard request.kind == .trim else { return request.cells }
    let volume = volumes[request.volume]
    let mask = volume.extentBytes - 1
    let end = request.offset + request.length
    let from = (request.offset + mask) & ~mask
    let to = end == volume.sizeBytes ? end : end & ~mask
    return Int(min(from, end) / Model.cellBytes)..<Int(max(min(from, end), to) / Model.cellBytes)
  }

  private func fill(
    _ redirector: Redirector, _ operation: UInt32, _ request: ClientRequest, _ oldest: Int
  ) throws -> Int {
    let change = model.begin(
      request.volume, request.cells, isZero: false, isDurable: request.flags.contains(.durable),
      oldest: oldest)
    let payload = unsafe redirector.operation(operation).pointee.payload!
    let words = Int(Model.cellBytes) / 8
    for (number, cell) in request.cells.enumerated() {
      let place = unsafe payload + number * Int(Model.cellBytes)
      unsafe place.initializeMemory(
        as: UInt64.self, repeating: Model.value(operation: change, volume: request.volume, cell: cell),
        count: words)
    }
    return change
  }

  /// The payload of a write has come, or its client has gone.
  func arrive(_ number: Int, _ operation: UInt32, _ request: ClientRequest) throws {
    let redirector = redirectors[number]
    let cookie = unsafe redirector.operation(operation).pointee.cookie
    if generator.chance(8) {
      redirector.abandonWrite(operation)
      pending[cookie] = nil
      return
    }
    let oldest = pending.values.map(\.issue).min() ?? model.now
    pending[cookie]!.change = try fill(redirector, operation, request, oldest)
    redirector.startWrite(operation)
    needsTurn[number] = true
  }

  /// The oldest reply has been sent: what it says is checked, and the operation released.
  func releaseOldest() throws {
    let (number, index) = unreleased.removeFirst()
    let redirector = redirectors[number]
    if let onFinished {
      onFinished(redirector, index)
      redirector.release(index)
      return
    }
    let op = unsafe redirector.operation(index)
    let cookie = unsafe op.pointee.cookie
    guard var entry = pending[cookie] else { throw BrokenPromise("an answer to no request") }
    let error = unsafe op.pointee.error
    let flags = unsafe op.pointee.flags
    let isPiece = flags.contains(.piece)
    if entry.request.kind == .read && error == nil && !flags.contains(.answeredInPieces) {
      try checkRead(index, entry, redirector)
      unsafe entry.covered += op.pointee.length
      pending[cookie] = entry
    }
    redirector.release(index)
    if isPiece { return }
    pending[cookie] = nil
    finishedCount += 1
    outcomes[cookie] = .some(error)
    note(cookie, UInt64(error?.rawValue ?? 0))
    try checkOutcome(entry, error)
  }

  private func checkOutcome(_ entry: PendingRequest, _ error: NBDErrno?) throws {
    let request = entry.request
    if let change = entry.change { model.end(change, succeeded: error == nil) }
    if let error {
      let isAllowed =
        !weather.isClear || hasFailedStore || error == .noSpace
        || (error == .notSupported && request.flags.contains(.fastOnly))
      if !isAllowed { throw BrokenPromise("\(request.kind) failed with \(error) in clear weather") }
      return
    }
    if request.kind == .flush || request.flags.contains(.durable) { promiseCount += 1 }
    switch request.kind {
    case .flush: model.flushed(request.volume, issue: entry.issue)
    case .read:
      guard entry.covered == request.length else {
        throw BrokenPromise("a read of \(request.length) bytes returned \(entry.covered)")
      }
    default: break
    }
  }

  private func checkRead(_ index: UInt32, _ entry: PendingRequest, _ redirector: Redirector) throws {
    let op = unsafe redirector.operation(index)
    let isHole = unsafe op.pointee.flags.contains(.hole)
    let first = unsafe Int(op.pointee.offset / Model.cellBytes)
    for number in 0..<(unsafe Int(op.pointee.length / Model.cellBytes)) {
      var value: UInt64 = 0
      if !isHole {
        value = try unsafe Self.value(at: op.pointee.payload! + number * Int(Model.cellBytes))
      }
      guard model.mayRead(entry.request.volume, first + number, value, issue: entry.issue) else {
        throw BrokenPromise(
          "read at \(entry.issue): " + model.describe(entry.request.volume, first + number, value))
      }
    }
  }

  // MARK: Random requests

  /// A request as a careless client would make it.
  func randomRequest() -> ClientRequest {
    let volume = generator.below(volumes.count)
    let kinds: [OperationKind] = [.read, .read, .read, .write, .write, .write, .write, .trim, .zero, .flush]
    var request = ClientRequest(
      kind: kinds[generator.below(kinds.count)], volume: volume,
      redirector: generator.below(redirectors.count), offset: 0, length: 0)
    if generator.chance(5) && request.kind != .read && request.kind != .flush {
      request.flags.insert(.durable)
    }
    if request.kind == .flush { return request }
    (request.offset, request.length) = randomRange(volumes[volume], isClearing: request.kind == .trim)
    if request.kind == .read && generator.chance(2) { request.flags.insert(.chunked) }
    if request.kind == .zero {
      if generator.chance(2) { request.flags.insert(.keepAllocated) }
      if generator.chance(6) { request.flags.insert(.fastOnly) }
    }
    return request
  }

  private func randomRange(_ volume: WorldVolume, isClearing: Bool) -> (UInt64, UInt64) {
    let cells = volume.cellCount
    let perExtent = Int(volume.extentBytes / Model.cellBytes)
    var start = generator.below(cells)
    var count = 1 + generator.below(generator.chance(4) ? 2 * perExtent : 16)
    if isClearing || generator.chance(8) {
      start = start / perExtent * perExtent
      count = (1 + generator.below(3)) * perExtent
    } else if generator.chance(2) {
      start = start / Model.cellsPerBlock * Model.cellsPerBlock
      count = (count + 3) / Model.cellsPerBlock * Model.cellsPerBlock
    }
    count = min(count, cells - start)
    return (UInt64(start) * Model.cellBytes, UInt64(count) * Model.cellBytes)
  }
}
