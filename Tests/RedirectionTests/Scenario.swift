import NBDWire
import Primitives
import TestSupport

@testable import Redirection

/// Small worlds in which a test decides what happens when.
extension World {
  static let extentBytes: UInt64 = 64 << 10
  static let blockBytes: UInt64 = 4096

  /// One volume of `extents` extents over stores that hold so many each, in tiers 0, 1, ….
  static func small(extents: Int = 4, stores slots: [Int] = [8], redirectors: Int = 1) throws -> World {
    try World(
      seed: 1,
      stores: slots.enumerated().map {
        WorldStore(capacityBytes: UInt64($0.element) * extentBytes, tier: $0.offset)
      },
      volumes: [(extentBytes, extentBytes * UInt64(extents))], redirectors: redirectors)
  }

  @discardableResult
  func begin(
    _ kind: OperationKind, _ offset: UInt64 = 0, _ length: UInt64 = 0, on redirector: Int = 0,
    _ flags: OperationFlags = []
  ) throws -> UInt64 {
    try start(
      ClientRequest(
        kind: kind, volume: 0, redirector: redirector, offset: offset, length: length, flags: flags))
  }

  /// Does everything that can be done while jobs are held.
  func exhaust() throws {
    while try step() {}
  }

  /// Begins a request, does all that it needs, and returns how it ended.
  func perform(
    _ kind: OperationKind, _ offset: UInt64 = 0, _ length: UInt64 = 0, on redirector: Int = 0,
    _ flags: OperationFlags = []
  ) throws -> NBDErrno? {
    let cookie = try begin(kind, offset, length, on: redirector, flags)
    try settle()
    guard let outcome = outcomes[cookie] else { throw BrokenPromise("no answer") }
    return outcome
  }

  func hold(_ kinds: Directive.Kind...) {
    holds = { kinds.contains($0.directive.kind) }
  }

  func letGo() {
    holds = { _ in false }
  }

  func isAnswered(_ cookie: UInt64) -> Bool { outcomes[cookie] != nil }

  func count(_ kind: Directive.Kind) -> Int {
    jobs.count { $0.directive.kind == kind }
  }

  func usedBytes(_ store: UInt8 = 0) -> UInt64 {
    shared.placement.space(of: StoreID(rawValue: store)).usedBytes
  }

  var waitingForSpace: Int { redirectors.reduce(0) { $0 + $1.waitingForSpace.count } }
}
