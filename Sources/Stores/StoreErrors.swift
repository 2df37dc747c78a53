import Glibc
import Platform
import Primitives

/// What can be wrong with a store's file, in words.
enum StoreErrors {
  static func translate(_ error: any Error, _ record: StoreRecord, _ failure: String) -> GnomonError {
    switch error {
    case let error as GnomonError: return error
    case let error as SystemError where error.errno == ENOENT: return missing(record)
    case let error as SystemError where error.errno == EBUSY: return inUse(record)
    case let error as SystemError:
      let full = error.errno == ENOSPC || error.errno == EDQUOT
      return GnomonError(full ? .full : .system, failure, cause: error.description)
    default: return GnomonError(.system, failure, cause: "\(error)")
    }
  }

  /// What a store of this kind lies in.
  private static func noun(_ record: StoreRecord) -> String {
    record.kind == .nbd ? "export" : "file"
  }

  static func missing(_ record: StoreRecord) -> GnomonError {
    GnomonError(
      .notFound, "the file of store \(record.name) is missing", cause: "\(record.path) does not exist",
      remedy: "bring it back (is a disk not mounted?)")
  }

  static func inUse(_ record: StoreRecord) -> GnomonError {
    GnomonError(
      .conflict, "\(record.path) is in use", cause: "another process has it locked, or it is mounted",
      remedy: "end that use first")
  }

  static func truncated(_ record: StoreRecord, size: UInt64) -> GnomonError {
    GnomonError(
      .corrupt, "the \(noun(record)) of store \(record.name) is too short",
      cause: "\(record.path) has \(size) bytes, expected \(record.sizeBytes)",
      remedy: "restore it; what was cut off is lost if there is no other copy")
  }

  static func noLabel(_ record: StoreRecord) -> GnomonError {
    GnomonError(
      .corrupt, "\(record.path) carries no Gnomon label",
      cause: "something else was put in the place of store \(record.name), or its start was overwritten",
      remedy: "put the right \(noun(record)) there; it was not changed")
  }

  static func damagedLabel(_ record: StoreRecord) -> GnomonError {
    GnomonError(
      .corrupt, "both labels of store \(record.name) are damaged",
      cause: "the checksums in \(record.path) do not match",
      remedy: "restore the \(noun(record)) from a copy; it was not changed")
  }

  static func newerLabel(_ record: StoreRecord, _ version: UInt32) -> GnomonError {
    GnomonError(
      .invalid, "store \(record.name) was written by a newer Gnomon",
      cause: "its label has version \(version)",
      remedy: "use a newer gnomon; nothing was changed")
  }

  static func otherPool(_ record: StoreRecord, _ label: StoreLabel) -> GnomonError {
    GnomonError(
      .conflict, "\(record.path) belongs to another pool",
      cause: "it is store \(label.name) of pool \(label.pool)",
      remedy: "put the \(noun(record)) of store \(record.name) there; this one was not changed")
  }

  static func otherStore(_ record: StoreRecord, _ label: StoreLabel) -> GnomonError {
    GnomonError(
      .conflict, "\(record.path) is not store \(record.name)",
      cause: "it is store \(label.name) of the same pool (\(label.store))",
      remedy: "were two \(noun(record))s or disks swapped? Nothing was changed")
  }
}
