import NBDService
import Platform
import Primitives
import Redirection

/// Tells people what failed in the data path, and what to do about it.
struct FaultLog {
  let log = Log("faults")

  /// Writes one line.
  func write(_ fault: Fault, store: String?, volume: String?) {
    let remedy = Self.remedy(fault)
    let isHarmless = fault.kind == .discard || fault.kind == .fold || fault.errno == ErrorNumber.noSpace
    // Each line says the same things in the same order; what is not known is "-".
    let fields: KeyValuePairs<String, any Sendable> = [
      "store": store ?? "-", "volume": volume ?? "-", "operation": "\(fault.kind)",
      "error": SystemError.text(of: fault.errno), "errno": fault.errno, "count": fault.count,
      "cause": fault.cause ?? "-", "remedy": remedy,
    ]
    if isHarmless { log.warning(Self.message(fault), fields) } else { log.error(Self.message(fault), fields) }
  }

  private static func message(_ fault: Fault) -> String {
    switch fault.kind {
    case .read: "a store can not be read"
    case .write: "a store can not be written"
    case .prepare: "a store does not take a new extent; the next one is tried"
    case .synchronize: "a store has failed: what was written to it and not flushed may be lost"
    case .reach: "a store was not reached in time to be flushed; what was written is kept and sent again"
    case .discard: "space was not given back"
    case .place: "no store takes a new extent; the client is told so"
    case .refuse: "too many map changes wait for the catalog; the client is told that there is no room"
    case .commit: "map changes were not committed; they stay pending"
    case .fold: "the catalog's journal was not folded; it stays"
    }
  }

  private static func remedy(_ fault: Fault) -> String {
    let isFull = fault.errno == ErrorNumber.noSpace
    return switch fault.kind {
    case .read, .write, .discard: "look at the disk (dmesg, smartctl) or at the store's server"
    case .prepare where isFull: "make room where the store's file lies, or add a store"
    case .prepare: "look at the disk (dmesg, smartctl) or at the store's server"
    case .place where isFull: "add a store, or trim or delete volumes"
    case .place: "see the faults of the stores"
    case .synchronize:
      "stop clients and daemon, look at the disk or server, start again; "
        + "see 'A store has failed' in operations.md"
    case .reach: "look at the store's server and the network"
    case .refuse, .commit, .fold:
      isFull ? "make room in the pool's folder" : "look at the disk that the pool's folder is on"
    }
  }
}
