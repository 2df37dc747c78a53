import Glibc
public import Platform
public import Primitives

/// The exclusive right to work on a pool: an advisory lock on `DIR/lock`, which holds the owner's process
/// number as text.
///
/// The kernel drops the lock when the owner dies, however it dies; the file itself stays.
public final class PoolLock: Sendable {
  private let descriptor: FileDescriptor

  private static let log = Log("pool")

  /// Locks the pool in `directory` until `unlock()` or until this object goes away. Waits a moment for
  /// an owner that is about to end.
  ///
  /// - Throws: `conflict`, naming the owner, if another process (or another object of this one) has it;
  ///   `notFound` if the folder does not exist; `system` if the file can not be made.
  public init(
    directory: String, waitMilliseconds: UInt64 = FileDescriptor.lockWaitMilliseconds
  ) throws(GnomonError) {
    let path = directory + "/lock"
    do {
      descriptor = try FileDescriptor.open(path, O_RDWR | O_CREAT, mode: 0o644)
      let owner = Self.owner(in: descriptor)
      let isLocked = try descriptor.lock(waitMilliseconds: waitMilliseconds) {
        Self.log.info(
          "the pool is in use; waiting for it", ["pool": directory, "process": owner.map { "\($0)" } ?? "?"])
      }
      guard isLocked else { throw Self.conflict(directory, Self.owner(in: descriptor)) }
      try descriptor.truncate(to: 0)
      try descriptor.writeBytes(Array("\(getpid())\n".utf8), at: 0)
    } catch let error as GnomonError {
      throw error
    } catch let error as SystemError where error.errno == ENOENT {
      throw GnomonError(
        .notFound, "there is no pool in \(directory)", cause: error.description,
        remedy: "make one with `gnomon pool create`")
    } catch {
      throw GnomonError(.system, "the pool in \(directory) can not be locked", cause: "\(error)")
    }
  }

  /// Lets others have the pool from here on; nothing but dropping this object may follow.
  public func unlock() {
    descriptor.unlock()
  }

  private static func owner(in descriptor: borrowing FileDescriptor) -> Int32? {
    let bytes = (try? descriptor.readBytes(16, at: 0)) ?? []
    return Int32(String(decoding: bytes.prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self))
  }

  private static func conflict(_ directory: String, _ owner: Int32?) -> GnomonError {
    let who = owner.map { "process \($0)" } ?? "another process"
    return GnomonError(
      .conflict, "the pool in \(directory) is in use by \(who)",
      remedy: "stop it first, or talk to it with the other `gnomon` commands")
  }
}
