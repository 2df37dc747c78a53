package import NBDWire
import Primitives
package import Redirection

/// Small worlds in which a test decides what happens when.
extension World {
  package static let extentBytes: UInt64 = 64 << 10
  package static let blockBytes: UInt64 = 4096

  /// One volume of `extents` extents over stores that hold so many each, in tiers 0, 1, ….
  package static func small(extents: Int = 4, stores slots: [Int] = [8], redirectors: Int = 1) throws -> World
  {
    try World(
      stores: slots.enumerated().map {
        WorldStore(capacityBytes: UInt64($0.element) * extentBytes, tier: $0.offset)
      },
      volumes: [(extentBytes, extentBytes * UInt64(extents))], redirectors: redirectors)
  }

  /// A world without faults and without clients of its own.
  package convenience init(
    seed: UInt64 = 1, stores: [WorldStore], volumes: [(extentBytes: UInt64, sizeBytes: UInt64)],
    redirectors: Int = 1, bufferBytes: Int = 4 << 20, waitingMax: Int = MapChanges.waitingMax
  ) throws {
    var plan = WorldPlan()
    plan.stores = stores
    plan.volumes = volumes
    plan.redirectors = redirectors
    plan.bufferBytes = bufferBytes
    plan.waitingMax = waitingMax
    try self.init(seed: seed, plan)
  }

  /// Sends a request of a volume to a reactor, which takes it up at once, on a connection of its own.
  ///
  /// - Returns: its cookie.
  @discardableResult
  package func begin(
    _ volume: Int, _ command: Command, _ offset: UInt64 = 0, _ length: UInt64 = 0, on reactor: Int = 0,
    _ flags: CommandFlags = []
  ) throws -> UInt64 {
    let request = ClientRequest(
      command: command, volume: volume, offset: offset, length: length, flags: flags)
    let connection = connect(reactor: reactor, volume: volume, .structured)
    return try send(request, on: connection, instantly: true)
  }

  /// Sends a request of the first volume.
  @discardableResult
  package func begin(
    _ command: Command, _ offset: UInt64 = 0, _ length: UInt64 = 0, on reactor: Int = 0,
    _ flags: CommandFlags = []
  ) throws -> UInt64 {
    try begin(0, command, offset, length, on: reactor, flags)
  }

  /// One turn of a reactor, now.
  package func turn(_ reactor: Int) throws {
    try life.reactors[reactor].turn()
  }

  /// Has a reactor take a turn soon: a test has used its redirector.
  package func wake(_ reactor: Int) {
    life.reactors[reactor].wake()
  }

  /// Does everything that can be done while jobs are held.
  package func exhaust() throws {
    while try step() {}
  }

  /// Begins a request of a volume, does all that it needs, and returns how it ended.
  package func perform(
    _ volume: Int, _ command: Command, _ offset: UInt64 = 0, _ length: UInt64 = 0, on reactor: Int = 0,
    _ flags: CommandFlags = []
  ) throws -> NBDErrno? {
    let cookie = try begin(volume, command, offset, length, on: reactor, flags)
    try settle()
    guard let outcome = outcomes[cookie] else { throw BrokenPromise("no answer") }
    return outcome
  }

  /// Begins a request of the first volume, and so on.
  package func perform(
    _ command: Command, _ offset: UInt64 = 0, _ length: UInt64 = 0, on reactor: Int = 0,
    _ flags: CommandFlags = []
  ) throws -> NBDErrno? {
    try perform(0, command, offset, length, on: reactor, flags)
  }

  /// Keeps jobs of these kinds from being executed, and from ending.
  package func hold(_ kinds: Directive.Kind...) {
    holds = { kinds.contains($0.directive.kind) }
  }

  package func letGo() {
    holds = { _ in false }
  }

  package func isAnswered(_ cookie: UInt64) -> Bool { outcomes[cookie] != nil }

  /// Jobs of a kind that have not ended.
  package func count(_ kind: Directive.Kind) -> Int {
    jobs.count { $0.directive.kind == kind }
  }

  /// Bytes of slots in use.
  package func usedBytes(_ store: UInt8 = 0) -> UInt64 {
    shared.placement.space(of: StoreID(rawValue: store)).usedBytes
  }
}
