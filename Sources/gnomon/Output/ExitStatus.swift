import Primitives

/// How the program ends; part of the interface to scripts.
enum ExitStatus: Int32, CaseIterable, Sendable {
  case ok = 0
  case failure = 1
  case usage = 2
  case noDaemon = 3
  case conflict = 4
  case corrupt = 5
  case notFound = 6
  case full = 7

  init(_ code: GnomonError.Code) {
    self =
      switch code {
      case .invalid: .usage
      case .notFound: .notFound
      case .conflict: .conflict
      case .full: .full
      case .corrupt: .corrupt
      case .system: .failure
      case .unavailable: .noDaemon
      }
  }

  var meaning: String {
    switch self {
    case .ok: "done"
    case .failure: "failed; the message says why"
    case .usage: "the command line or a value in it is wrong; nothing was done"
    case .noDaemon: "no daemon serves the pool, or it is stopping"
    case .conflict: "in the way: it exists already, is in use, or the pool is served"
    case .corrupt: "stored data or metadata is not what it must be; `check` found errors"
    case .notFound: "there is no pool, store or volume of this name"
    case .full: "no room is left"
    }
  }
}
