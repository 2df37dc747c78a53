import CURing
import Glibc
public import Platform

/// One io_uring instance, owned and used by one thread.
///
/// Every method that queues an operation takes a `token` that comes back with its completion. Buffers,
/// message headers and paths must stay valid until then.
@safe
public struct Ring: ~Copyable {
  private let ring: UnsafeMutablePointer<io_uring>
  /// Address range registered as fixed buffer 0; I/O inside it skips page pinning per request.
  private var fixedRange: Range<UInt> = 0..<0

  /// Sets up a ring. Must be called on the thread that will use it.
  ///
  /// - Parameters:
  ///   - submissions: entries of the submission queue, a power of two.
  ///   - completions: entries of the completion queue, at least as many as operations in flight.
  public init(submissions: Int, completions: Int) throws(SystemError) {
    unsafe ring = .allocate(capacity: 1)
    unsafe ring.initialize(to: io_uring())
    // Completions are handled only when we ask for them: no interrupts of user code, and batches.
    let preferred: [UInt32] = [
      IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
      IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG, 0,
    ]
    var result: Int32 = 0
    for flags in preferred {
      var parameters = io_uring_params()
      parameters.flags = flags | UInt32(IORING_SETUP_CQSIZE) | UInt32(IORING_SETUP_CLAMP)
      parameters.cq_entries = UInt32(completions)
      result = unsafe io_uring_queue_init_params(UInt32(submissions), ring, &parameters)
      if result != -EINVAL { break }
    }
    guard result == 0 else {
      unsafe ring.deallocate()
      throw SystemError("io_uring_setup", errno: -result)
    }
  }

  deinit {
    unsafe io_uring_queue_exit(ring)
    unsafe ring.deallocate()
  }

  // MARK: Registration

  /// Registers memory as the fixed buffer. Failure (a low locked-memory limit) only costs speed.
  ///
  /// - Returns: whether it worked.
  public mutating func registerBuffer(_ base: UnsafeMutableRawPointer, count: Int) -> Bool {
    var vector = unsafe iovec(iov_base: base, iov_len: count)
    guard unsafe io_uring_register_buffers(ring, &vector, 1) == 0 else { return false }
    unsafe fixedRange = UInt(bitPattern: base)..<UInt(bitPattern: base + count)
    return true
  }

  /// Reserves a table of `count` fixed files.
  public func registerFileTable(count: Int) throws(SystemError) {
    let result = unsafe io_uring_register_files_sparse(ring, UInt32(count))
    guard result == 0 else { throw SystemError("io_uring_register_files", errno: -result) }
  }

  /// Puts a descriptor into the fixed-file table, or with -1 takes the entry out.
  public func setFile(_ index: Int, to descriptor: Int32) throws(SystemError) {
    var number = descriptor
    let result = unsafe io_uring_register_files_update(ring, UInt32(index), &number, 1)
    guard result >= 0 else { throw SystemError("io_uring_register_files_update", errno: -result) }
  }

  // MARK: Storage operations, on fixed files

  /// Reads up to `count` bytes at `offset`; completes with their number, less only at the end of the file.
  public func read(
    file: Int, into buffer: UnsafeMutableRawPointer, count: Int, at offset: UInt64, token: UInt64
  ) {
    let sqe = unsafe entry()
    if unsafe isFixed(buffer, count) {
      unsafe io_uring_prep_read_fixed(sqe, Int32(file), buffer, UInt32(count), offset, 0)
    } else {
      unsafe io_uring_prep_read(sqe, Int32(file), buffer, UInt32(count), offset)
    }
    unsafe finish(sqe, token, flags: gnomon_sqe_fixed_file)
  }

  /// - Parameter durable: completes only when the data is durable (RWF_DSYNC).
  public func write(
    file: Int, from buffer: UnsafeMutableRawPointer, count: Int, at offset: UInt64, durable: Bool,
    token: UInt64
  ) {
    let sqe = unsafe entry()
    if unsafe isFixed(buffer, count) {
      unsafe io_uring_prep_write_fixed(sqe, Int32(file), buffer, UInt32(count), offset, 0)
    } else {
      unsafe io_uring_prep_write(sqe, Int32(file), buffer, UInt32(count), offset)
    }
    if durable { unsafe sqe.pointee.rw_flags = gnomon_write_durable }
    unsafe finish(sqe, token, flags: gnomon_sqe_fixed_file)
  }

  /// fallocate(2).
  public func allocate(file: Int, mode: Int32, offset: UInt64, count: UInt64, token: UInt64) {
    let sqe = unsafe entry()
    unsafe io_uring_prep_fallocate(sqe, Int32(file), mode, off_t(offset), off_t(count))
    unsafe finish(sqe, token, flags: gnomon_sqe_fixed_file)
  }

  /// fdatasync(2).
  public func synchronizeData(file: Int, token: UInt64) {
    let sqe = unsafe entry()
    unsafe io_uring_prep_fsync(sqe, Int32(file), UInt32(IORING_FSYNC_DATASYNC))
    unsafe finish(sqe, token, flags: gnomon_sqe_fixed_file)
  }

  // MARK: Socket operations, on plain descriptors

  /// Accepts connections until an error or a completion without the `more` flag.
  public func acceptMany(socket: Int32, token: UInt64) {
    let sqe = unsafe entry()
    unsafe io_uring_prep_multishot_accept(sqe, socket, nil, nil, Int32(SOCK_CLOEXEC.rawValue))
    unsafe finish(sqe, token, flags: 0)
  }

  /// Receives up to `count` bytes; completes with their number, 0 if the peer sends no more.
  public func receive(socket: Int32, into buffer: UnsafeMutableRawPointer, count: Int, token: UInt64) {
    let sqe = unsafe entry()
    unsafe io_uring_prep_recv(sqe, socket, buffer, count, 0)
    unsafe finish(sqe, token, flags: 0)
  }

  /// Likewise, into the pieces of `message`, filled one after the other.
  public func receive(socket: Int32, message: Message, token: UInt64) {
    let sqe = unsafe entry()
    unsafe io_uring_prep_recvmsg(sqe, socket, message.header, 0)
    unsafe finish(sqe, token, flags: 0)
  }

  /// Sends; may complete with fewer bytes than `count`. A broken connection is an error, not a signal.
  public func send(socket: Int32, from buffer: UnsafeRawPointer, count: Int, token: UInt64) {
    let sqe = unsafe entry()
    unsafe io_uring_prep_send(sqe, socket, buffer, count, Int32(gnomon_send_flags))
    unsafe finish(sqe, token, flags: 0)
  }

  /// Likewise, from the pieces of `message`.
  public func send(socket: Int32, message: Message, token: UInt64) {
    let sqe = unsafe entry()
    unsafe io_uring_prep_sendmsg(sqe, socket, message.header, UInt32(gnomon_send_flags))
    unsafe finish(sqe, token, flags: 0)
  }

  /// Has the operation that was queued with `operation` end soon: with -ECANCELED, or with what it has come
  /// to. This completes by itself too.
  public func cancel(_ operation: UInt64, token: UInt64) {
    let sqe = unsafe entry()
    unsafe io_uring_prep_cancel64(sqe, operation, 0)
    unsafe finish(sqe, token, flags: 0)
  }

  // MARK: Waking and waiting

  /// Reads an eventfd: completes when somebody signals it.
  public func read(event: borrowing EventFD, into counter: UnsafeMutablePointer<UInt64>, token: UInt64) {
    let sqe = unsafe entry()
    unsafe io_uring_prep_read(sqe, event.descriptor.raw, counter, 8, 0)
    unsafe finish(sqe, token, flags: 0)
  }

  /// Completes (with -ETIME) after `interval`, which must stay valid until the next submission.
  public func timeout(_ interval: UnsafeMutablePointer<TimeInterval>, token: UInt64) {
    let sqe = unsafe entry()
    unsafe interval.withMemoryRebound(to: __kernel_timespec.self, capacity: 1) {
      unsafe io_uring_prep_timeout(sqe, $0, 0, 0)
    }
    unsafe finish(sqe, token, flags: 0)
  }

  /// Hands everything queued to the kernel.
  ///
  /// - Parameter waiting: waits for at least one completion; otherwise only takes what is ready.
  public func submit(waiting: Bool) throws(SystemError) {
    let result = unsafe waiting ? io_uring_submit_and_wait(ring, 1) : io_uring_submit_and_get_events(ring)
    guard result >= 0 || result == -EINTR || result == -EAGAIN || result == -EBUSY else {
      throw SystemError("io_uring_enter", errno: -result)
    }
  }

  /// Hands everything queued to the kernel, then looks for completions without giving up the processor until
  /// there is one or `deadline` has passed, a time of `MonotonicClock`.
  ///
  /// - Returns: whether there is a completion.
  public func submit(pollingUntil deadline: UInt64) throws(SystemError) -> Bool {
    try submit(waiting: false)
    repeat {
      // Completions wait for the thread to enter the kernel, and these flags say that some do.
      let flags = unsafe gnomon_sq_flags(ring)
      if flags & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW) != 0 { try submit(waiting: false) }
      if unsafe io_uring_cq_ready(ring) > 0 { return true }
      gnomon_relax()
    } while MonotonicClock.nanoseconds() < deadline
    return false
  }

  /// Hands everything queued to the kernel, without looking for completions. What it does not take now it
  /// takes with the next call.
  public func submitOnly() {
    _ = unsafe io_uring_submit(ring)
  }

  /// Copies up to `completions.count` completions out and frees their places in the queue.
  public func takeCompletions(into completions: UnsafeMutableBufferPointer<Completion>) -> Int {
    let start = unsafe ring.pointee.cq.khead.pointee
    let ready = unsafe Int(io_uring_cq_ready(ring))
    let count = min(ready, completions.count)
    let mask = unsafe ring.pointee.cq.ring_mask
    for index in 0..<count {
      let cqe = unsafe ring.pointee.cq.cqes + Int((start &+ UInt32(index)) & mask)
      unsafe completions[index] = Completion(
        token: cqe.pointee.user_data, result: cqe.pointee.res,
        more: cqe.pointee.flags & UInt32(IORING_CQE_F_MORE) != 0)
    }
    unsafe io_uring_cq_advance(ring, UInt32(count))
    return count
  }

  // MARK: Private

  private func isFixed(_ buffer: UnsafeMutableRawPointer, _ count: Int) -> Bool {
    let address = UInt(bitPattern: buffer)
    return address >= fixedRange.lowerBound && address + UInt(count) <= fixedRange.upperBound
  }

  private func entry() -> UnsafeMutablePointer<io_uring_sqe> {
    while true {
      if let sqe = unsafe io_uring_get_sqe(ring) { return unsafe sqe }
      _ = unsafe io_uring_submit(ring)
    }
  }

  private func finish(_ sqe: UnsafeMutablePointer<io_uring_sqe>, _ token: UInt64, flags: UInt8) {
    unsafe io_uring_sqe_set_data64(sqe, token)
    unsafe sqe.pointee.flags |= flags
  }
}

/// The result of one operation.
@frozen
public struct Completion: Sendable {
  /// What the operation was queued with.
  public var token: UInt64
  /// Bytes, a descriptor or 0; negative: errno.
  public var result: Int32
  /// Whether the operation goes on and will complete again.
  public var more: Bool
}

/// A span of time in the kernel's layout.
@frozen
public struct TimeInterval: Sendable {
  /// Whole seconds.
  public var seconds: Int64
  /// The rest, below 1,000,000,000.
  public var nanoseconds: Int64

  /// A span of that many milliseconds.
  public init(milliseconds: Int64) {
    self.init(nanoseconds: milliseconds * 1_000_000)
  }

  /// A span of that many nanoseconds.
  public init(nanoseconds span: Int64) {
    seconds = span / 1_000_000_000
    nanoseconds = span % 1_000_000_000
  }
}
