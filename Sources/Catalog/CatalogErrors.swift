import CSQLite
import Glibc
import Platform
import Primitives

extension Catalog {
  static let checkRemedy = "run `gnomon check`, and restore the catalog from a backup; nothing was changed"

  static func damaged(_ message: String, cause: String? = nil) -> GnomonError {
    GnomonError(.corrupt, message, cause: cause, remedy: checkRemedy)
  }

  static func missing(_ directory: String) -> GnomonError {
    GnomonError(
      .notFound, "there is no pool in \(directory)", cause: "\(path(in: directory)) does not exist",
      remedy: "make one with `gnomon pool create`")
  }

  /// Turns an error of an inner layer into one that people can read.
  static func translate(_ error: any Error, _ failure: String) -> GnomonError {
    switch error {
    case let error as GnomonError: error
    case let error as DatabaseError: translate(error, failure)
    case let error as SystemError:
      GnomonError(
        error.errno == ENOSPC || error.errno == EDQUOT ? .full : .system, failure, cause: error.description)
    default: GnomonError(.system, failure, cause: "\(error)")
    }
  }

  private static func translate(_ error: DatabaseError, _ failure: String) -> GnomonError {
    let cause = "SQLite: \(error.text) (\(error.code))"
    return switch error.primaryCode {
    case SQLITE_FULL:
      GnomonError(
        .full, failure, cause: "no room is left on the catalog's disk",
        remedy: "free some space there; nothing was lost")
    case SQLITE_CORRUPT, SQLITE_NOTADB:
      GnomonError(.corrupt, failure, cause: cause, remedy: checkRemedy)
    case SQLITE_BUSY, SQLITE_LOCKED:
      GnomonError(
        .conflict, failure, cause: "another process has the catalog open",
        remedy: "stop it first, or talk to it with the other `gnomon` commands")
    case SQLITE_CONSTRAINT:
      GnomonError(.conflict, failure, cause: cause)
    default:
      GnomonError(.system, failure, cause: cause)
    }
  }
}
