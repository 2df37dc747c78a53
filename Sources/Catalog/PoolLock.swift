import Glibc
public import Platform
public import Primitives

/// The exclusive right to work on a pool: an advisory lock on `DIR/lock`, which holds as text the owner's
/// process number and when that process began.
///
/// The kernel drops the lock when the owner dies, however it dies; the file itself stays.
public final class PoolLock: Sendable {
  private let descriptor: FileDescriptor

  private static let log = Log("pool")

  /// How long an owner that runs is given to end, in milliseconds: it may have been killed this moment.
  private static let runningOwnerWaitMilliseconds: UInt64 = 200

  /// Locks the pool in `directory` until `unlock()` or until this object goes away.
  ///
  /// - Parameter waitMilliseconds: how long to wait for the lock of a process that has ended, as the kernel
  ///   may let go of it later. One that runs is not waited for.
  /// - Throws: `conflict`, naming the owner, if another process (or another object of this one) has it;
  ///   `notFound` if the folder does not exist; `system` if the file can not be made.
  public init(
    directory: String, waitMilliseconds: UInt64 = FileDescriptor.lockWaitMilliseconds
  ) throws(GnomonError) {
    let path = directory + "/lock"
    do {
      descriptor = try FileDescriptor.open(path, O_RDWR | O_CREAT, mode: 0o644)
      try Self.lock(descriptor, directory, waitMilliseconds)
      let owner = ProcessIdentity.current
      try descriptor.truncate(to: 0)
      try descriptor.writeBytes(Array("\(owner.number) \(owner.startTicks)\n".utf8), at: 0)
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

  private static func lock(
    _ descriptor: borrowing FileDescriptor, _ directory: String, _ waitMilliseconds: UInt64
  ) throws {
    let briefly = min(waitMilliseconds, runningOwnerWaitMilliseconds)
    if try descriptor.lock(waitMilliseconds: briefly, whenHeld: {}) { return }
    if let owner = owner(in: descriptor), owner.isRunning { throw conflict(directory, owner) }
    let isLocked = try descriptor.lock(waitMilliseconds: waitMilliseconds - briefly) {
      log.info(
        "the pool was in use; waiting for its lock",
        ["pool": directory, "process": owner(in: descriptor).map { "\($0.number)" } ?? "?"])
    }
    guard isLocked else { throw conflict(directory, owner(in: descriptor)) }
  }

  private static func owner(in descriptor: borrowing FileDescriptor) -> ProcessIdentity? {
    let bytes = (try? descriptor.readBytes(64, at: 0)) ?? []
    let words = String(decoding: bytes.prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self).split(
      separator: " ")
    guard words.count == 2, let number = Int32(words[0]), let ticks = UInt64(words[1]) else { return nil }
    return ProcessIdentity(number: number, startTicks: ticks)
  }

  private static func conflict(_ directory: String, _ owner: ProcessIdentity?) -> GnomonError {
    let who = owner.map { "process \($0.number)" } ?? "another process"
    return GnomonError(
      .conflict, "the pool in \(directory) is in use by \(who)",
      remedy: "stop it first, or talk to it with the other `gnomon` commands")
  }
}
