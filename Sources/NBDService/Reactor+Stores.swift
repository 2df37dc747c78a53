import Platform
import Primitives
import Redirection
import Ring
import Stores

/// From directives to the stores that they are for. Which kind of store that is, is decided here alone.
extension Reactor {
  /// Makes directives for a store go where `access` leads; nil: nothing is sent there any more.
  func setRoute(to store: StoreID, _ access: StoreAccess?) throws(SystemError) {
    switch access {
    case .file(let descriptor, _): try ring.setFile(Int(store.rawValue), to: descriptor)
    case nil: try ring.setFile(Int(store.rawValue), to: -1)
    }
  }

  func carryOutOnStore(_ directive: Directive) {
    carryOutOnFile(directive)
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
