import Platform
import Primitives
import Redirection
import Ring
import Stores

/// How a reactor reaches a store: what it looks up for each directive.
enum StoreRoute: UInt8 {
  /// By its own ring.
  case file
  /// By copying.
  case memory
  /// Over a connection of its own.
  case remote
  /// Through the reactor that owns the connection.
  case peer
  /// Nowhere.
  case absent

  /// ENODEV: what everything ends with that is wanted of an absent store.
  fileprivate static let absentErrno: Int32 = 19
}

/// From directives to the stores that they are for. Which kind of store that is, is decided here alone.
extension Reactor {
  /// Makes directives for a store go where `access` leads, or nowhere if that is nil; then calls `done`.
  func setRoute(
    to store: StoreID, _ access: StoreAccess?, _ done: @escaping @Sendable () -> Void
  ) throws(SystemError) {
    let index = Int(store.rawValue)
    if access == nil { handle.meters.end(store) } else { handle.meters.begin(store) }
    switch access {
    case .file(let descriptor, _):
      try ring.setFile(index, to: descriptor)
      unsafe routes[index] = .file
    case .memory(let memory):
      copies.add(memory, as: store)
      unsafe routes[index] = .memory
    case .remote(let remote):
      let isOwner = owner(of: store).number == handle.number
      if isOwner { try openRemote(remote) }
      unsafe routes[index] = isOwner ? .remote : .peer
    case .absent: unsafe routes[index] = .absent
    case nil:
      if unsafe routes[index] == .file { try ring.setFile(index, to: -1) }
      copies.remove(store)
      return closeRemote(store, done)
    }
    done()
  }

  func carryOutOnStore(_ directive: Directive) {
    switch unsafe routes[Int(directive.store)] {
    case .file: carryOutOnFile(directive)
    case .memory: copies.append(directive)
    case .remote: submitRemote(directive, for: .redirector(token: directive.token))
    case .peer:
      let store = StoreID(rawValue: directive.store)
      let order = RemoteOrder(directive: directive, reactor: UInt8(handle.number))
      owner(of: store).post(.remote(store, .order(order)))
    case .absent:
      // Nothing was written, so there is nothing that is not durable.
      let result = directive.kind == .synchronize ? 0 : -StoreRoute.absentErrno
      refusals.append((directive.token, result))
    }
  }

  /// Ends what was wanted of stores that are absent.
  func endRefusals() {
    let ended = refusals
    refusals.removeAll(keepingCapacity: true)
    for (token, result) in ended { redirector.complete(token, result) }
  }

  private func carryOutOnFile(_ directive: Directive) {
    let file = Int(directive.store)
    let token = Self.token(.storage, directive.token)
    switch directive.kind {
    case .read, .write: transfer(directive)
    case .synchronize: ring.synchronizeData(file: file, token: token)
    default:
      ring.allocate(
        file: file, mode: directive.kind.allocationMode, offset: directive.offset, count: directive.length,
        token: token)
    }
  }

  /// Makes the copies that a turn has room for.
  func makeCopies() {
    while let (token, result) = copies.makeNext() { redirector.complete(token, result) }
  }
}

extension Directive.Kind {
  /// The mode of fallocate(2) that does it.
  fileprivate var allocationMode: Int32 {
    switch self {
    case .zero: AllocationMode.zeroRange
    case .punch: AllocationMode.punchHole
    default: AllocationMode.reserve
    }
  }
}
