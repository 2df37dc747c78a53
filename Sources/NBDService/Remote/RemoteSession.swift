import NBDWire
import Platform

/// What goes on between this daemon and a remote store, over all connections: requests, their answers, and
/// what becomes of them when a connection breaks. It does no I/O and reads no clock.
///
/// **A broken connection.** The server may be the same as before, or it may have died and lost what it had
/// acknowledged and not flushed; nothing in the protocol tells. So everything that could have been lost is
/// sent again before anything else (`UnflushedWrites`). Only when all of it is acknowledged the requests
/// that had no answer are sent again, in the order in which they came: reads, and writes, zeroing and trims
/// of fixed ranges, which leave the same however often they are carried out. Sending them again can not
/// undo a later write to the same range: a later one is sent after the earlier one was answered, or has no
/// order with it. A flush that had no answer comes behind what is sent again, so its answer means what it
/// always means. A connection that breaks is therefore never noticed by clients, as long as the server
/// comes back in time; if what was acknowledged can not be sent again, because the server refuses it, every
/// flush fails from then on.
///
/// **What the old connection still carries.** A change without an answer may lie in a socket's buffer, or
/// with a thread of the server, and be carried out after the connection is gone: over what was written since,
/// were nothing done about it. The protocol has no fence against that. An answer alone proves that a change
/// will not come later; the end of a connection does not (qemu-nbd ends one while its requests are under way,
/// and a proxy's word is not the server's). So:
///
/// - A connection that *we* give up, because an answer is overdue or the server says that it will end, is
///   neither closed nor replaced before the server has answered all changes (`OwedAnswers`). Nothing can
///   come late then, however long the server hangs; the store is away until it has answered.
/// - If the connection ends before, by whatever cause, the ranges of what had no answer are in doubt for
///   `quietNanoseconds`. What is sent again goes there at once, since it leaves the same; any other change
///   waits until then. That holds if the server carries out what it has received, or drops it, within that
///   time of the end. One that hangs at that very moment, and for longer, may still undo a later write, and
///   so may the server of a daemon that was killed and started again: its requests are not known any more.
///
/// All requests of the pool to one store go through one session. With several, a write sent again by one
/// could overwrite what another had written since.
@safe
final class RemoteSession {
  enum Phase {
    /// There is no connection: requests wait.
    case offline
    /// What may have been lost is sent again; requests wait.
    case resending
    case online
  }

  /// What a reply's head means.
  enum Reply: Equatable {
    /// So many bytes for the request's buffer follow.
    case payload(UInt32, bytes: Int)
    /// The request has ended.
    case ended
    /// The server is about to end: nothing more is to be had over this connection.
    case farewell
    /// It belongs to no request.
    case stray
  }

  private(set) var phase = Phase.offline
  /// Connections have been tried for since the last one, and could not be had.
  private(set) var isAway = false
  private(set) var slots: UnsafeMutablePointer<RemoteRequest>
  private var capacity = 64
  private var used = 0
  private var free = RemoteRequestList()
  private var waiting = RemoteRequestList()
  /// Changes of ranges in doubt, which came before whatever waits.
  private var held = RemoteRequestList()
  private var doubtful = DoubtfulRanges()
  private var resends = RemoteRequestList()
  private var resendsLeft = 0
  private var ended = RemoteRequestList()
  private var cookies = RequestCookies()
  private var unflushed: UnflushedWrites
  private var sequence: UInt64 = 0
  private var isRelieving = false
  private var hasForceUnitAccess = false
  /// Requests that the server has.
  private(set) var inFlight = 0
  /// Acknowledged writes are lost for good: no flush may succeed any more.
  private(set) var hasLostWrites = false

  /// Requests that a server is given at once. More would only wait there.
  static let inFlightMax = 256
  /// How long after the end of a connection the server may carry out what came over it.
  static let quietNanoseconds: UInt64 = 2_000_000_000

  /// - Parameter unflushedBytes: memory for what has been written and not flushed; a multiple of 256 KiB.
  init(unflushedBytes: Int) throws(SystemError) {
    unflushed = try UnflushedWrites(bytes: unflushedBytes)
    unsafe slots = .allocate(capacity: capacity)
  }

  deinit {
    unsafe slots.deallocate()
  }

  /// Whether there is nothing to do, and nobody waits.
  var isIdle: Bool {
    inFlight == 0 && waiting.isEmpty && held.isEmpty && ended.isEmpty && resendsLeft == 0
  }

  // MARK: Requests come and go

  /// Takes a request.
  @discardableResult
  func accept(_ request: RemoteRequest) -> UInt32 {
    let index = take(request)
    unsafe slots[Int(index)].state = .waiting
    unsafe waiting.append(index, in: slots)
    if isAway && !request.isPatient { refuseImpatient() }
    return index
  }

  private func take(_ request: RemoteRequest) -> UInt32 {
    let index: UInt32
    if let free = unsafe free.popFirst(in: slots) {
      index = free
    } else {
      if used == capacity { grow() }
      index = UInt32(used)
      used += 1
    }
    unsafe (slots + Int(index)).initialize(to: request)
    sequence += 1
    unsafe slots[Int(index)].sequence = sequence
    return index
  }

  /// To the peak of what the pool has in flight, once.
  private func grow() {
    let larger = UnsafeMutablePointer<RemoteRequest>.allocate(capacity: capacity * 2)
    unsafe larger.moveInitialize(from: slots, count: capacity)
    unsafe slots.deallocate()
    unsafe slots = larger
    capacity *= 2
  }

  /// The next request whose requester is to be told; the caller releases it.
  func popEnded() -> UInt32? {
    unsafe ended.popFirst(in: slots)
  }

  /// Whether somebody is to be told.
  var hasEnded: Bool { !ended.isEmpty }

  func release(_ index: UInt32) {
    unsafe slots[Int(index)].state = .free
    unsafe free.append(index, in: slots)
  }

  private func end(_ index: UInt32, _ result: Int32) {
    let request = unsafe slots + Int(index)
    unsafe giveBack(request)
    switch unsafe request.pointee.requester {
    case .resend:
      if result < 0 { hasLostWrites = true }
      resendsLeft -= 1
      if resendsLeft == 0, phase == .resending {
        phase = .online
        if hasLostWrites { loseWrites() }
      }
      release(index)
    case .pressure:
      isRelieving = false
      release(index)
    case .redirector, .peer, .control, .claim:
      unsafe request.pointee.result = result
      unsafe request.pointee.state = .ended
      unsafe ended.append(index, in: slots)
    }
  }

  /// What was acknowledged may not be there, and nothing can be done about it. Nothing is kept from now on:
  /// what had been kept must not be sent again over what is written later.
  private func loseWrites() {
    hasLostWrites = true
    unflushed.drop(before: unflushed.end)
  }

  private func giveBack(_ request: UnsafeMutablePointer<RemoteRequest>) {
    guard unsafe request.pointee.isReserved else { return }
    unsafe request.pointee.isReserved = false
    unsafe unflushed.release(request.pointee.kept, bytes: Int(request.pointee.length))
    unsafe request.pointee.kept = nil
  }

  // MARK: Sending

  /// Takes the next request that the server should get; nil if there is none, or it has to wait.
  ///
  /// - Parameters:
  ///   - now: a time of `MonotonicClock`.
  ///   - deadline: by when a request that the session makes by itself must be answered.
  /// - Returns: the request and its cookie.
  func nextToSend(at now: UInt64, deadline: UInt64) -> (index: UInt32, cookie: UInt64)? {
    guard phase != .offline, inFlight < Self.inFlightMax else { return nil }
    if phase == .resending {
      guard let index = unsafe resends.popFirst(in: slots) else { return nil }
      return markSent(index, deadline)
    }
    if unflushed.isUnderPressure && !isRelieving && !hasLostWrites { relieve() }
    if doubtful.expire(at: now) { resumeHeld() }
    while !waiting.isEmpty {
      let request = unsafe slots + Int(waiting.first)
      if unsafe isInDoubt(request) {
        unsafe held.append(waiting.popFirst(in: slots)!, in: slots)
        continue
      }
      if unsafe request.pointee.kind == .flush && hasLostWrites {
        end(unsafe waiting.popFirst(in: slots)!, -RemoteErrno.io)
        continue
      }
      unsafe request.pointee.isSentDurable = request.pointee.isDurable && hasForceUnitAccess
      guard unsafe reserve(request) else { return nil }
      return markSent(unsafe waiting.popFirst(in: slots)!, deadline)
    }
    return nil
  }

  private func markSent(_ index: UInt32, _ deadline: UInt64) -> (index: UInt32, cookie: UInt64) {
    let cookie = cookies.issue(index)
    if unsafe slots[Int(index)].requester.isOfConnection { unsafe slots[Int(index)].deadline = deadline }
    unsafe slots[Int(index)].state = .inFlight
    unsafe slots[Int(index)].isBeingSent = true
    unsafe slots[Int(index)].cookie = cookie
    unsafe slots[Int(index)].mark = unflushed.end
    inFlight += 1
    return (index, cookie)
  }

  /// Whether an older change could be carried out after this one.
  private func isInDoubt(_ request: UnsafeMutablePointer<RemoteRequest>) -> Bool {
    guard !doubtful.isEmpty, unsafe request.pointee.changes, unsafe !request.pointee.isRepeated else {
      return false
    }
    return unsafe doubtful.overlap(request.pointee.range)
  }

  /// When some of what is held may be sent, if there is a connection and anything is.
  var resumption: UInt64? { phase == .online && !held.isEmpty ? doubtful.firstEnd : nil }

  /// What was held waits again, before everything else.
  private func resumeHeld() {
    unsafe waiting.prepend(held, in: slots)
    held = RemoteRequestList()
  }

  /// Has the server flush, ahead of what waits.
  private func relieve() {
    isRelieving = true
    let index = unsafe take(RemoteRequest(.flush, for: .pressure, offset: 0, length: 0, deadline: .max))
    unsafe slots[Int(index)].state = .waiting
    unsafe waiting.prepend(index, in: slots)
  }

  /// Sees to it that what the request changes can be sent again.
  private func reserve(_ request: UnsafeMutablePointer<RemoteRequest>) -> Bool {
    if hasLostWrites { return true }
    switch unsafe request.pointee.kind {
    case .read, .flush: return true
    case .write:
      // Durable by itself; but if something older is sent again, this must follow it.
      if unsafe request.pointee.isSentDurable && unflushed.isEmpty { return true }
      guard let kept = unsafe unflushed.reserve(bytes: Int(request.pointee.length)) else { return false }
      unsafe request.pointee.kept = kept
    case .zero, .trim:
      guard unflushed.reserve() else { return false }
    }
    unsafe request.pointee.isReserved = true
    return true
  }

  /// The message that a request was part of has left.
  func sent(_ index: UInt32) {
    unsafe slots[Int(index)].isBeingSent = false
    if unsafe slots[Int(index)].state == .answered { conclude(index, unsafe slots[Int(index)].result) }
  }

  // MARK: Receiving

  /// Takes the head of a reply.
  func received(_ reply: SimpleReply) -> Reply {
    guard let index = cookies.redeem(reply.cookie) else { return .stray }
    let request = unsafe slots + Int(index)
    unsafe request.pointee.cookie = nil
    let result = reply.error == 0 ? 0 : -NBDErrno.systemNumber(of: reply.error)
    if result == -RemoteErrno.shutdown {
      // Not carried out: it is sent again, over the next connection.
      _ = cookies.issue(index)
      return .farewell
    }
    if unsafe request.pointee.kind == .read && result == 0 {
      return .payload(index, bytes: unsafe Int(request.pointee.length))
    }
    answered(index, result)
    return .ended
  }

  /// All of a read's data has arrived.
  func payloadReceived(_ index: UInt32) {
    answered(index, unsafe Int32(slots[Int(index)].length))
  }

  private func answered(_ index: UInt32, _ result: Int32) {
    inFlight -= 1
    let request = unsafe slots + Int(index)
    if result >= 0 {
      unsafe keep(request)
      if unsafe request.pointee.kind == .flush { unsafe unflushed.drop(before: request.pointee.mark) }
    } else if unsafe request.pointee.kind == .flush {
      // Whoever asked for it: the server's system may have forgotten by now what it could not write.
      loseWrites()
    }
    if unsafe request.pointee.isBeingSent {
      unsafe request.pointee.result = result
      unsafe request.pointee.state = .answered
    } else {
      conclude(index, result)
    }
  }

  /// A request was answered, and its memory is not needed for sending any more.
  private func conclude(_ index: UInt32, _ result: Int32) {
    let request = unsafe slots + Int(index)
    let isWrite = unsafe request.pointee.kind == .write || request.pointee.wasWrite
    guard result >= 0, isWrite else { return end(index, result) }
    if unsafe request.pointee.isDurable && !request.pointee.isSentDurable && !request.pointee.wasWrite {
      // The server does not know FUA. Should the connection break now, the write is among the unflushed.
      unsafe request.pointee.kind = .flush
      unsafe request.pointee.wasWrite = true
      unsafe request.pointee.state = .waiting
      unsafe waiting.prepend(index, in: slots)
    } else {
      end(index, unsafe Int32(request.pointee.length))
    }
  }

  /// Remembers what was acknowledged.
  private func keep(_ request: UnsafeMutablePointer<RemoteRequest>) {
    guard unsafe request.pointee.isReserved else { return }
    if hasLostWrites { return unsafe giveBack(request) }
    unsafe request.pointee.isReserved = false
    let (offset, length) = unsafe (request.pointee.offset, request.pointee.length)
    switch unsafe request.pointee.kind {
    case .zero: unflushed.appendZero(offset: offset, length: length)
    case .trim: unflushed.appendTrim(offset: offset, length: length)
    case .write:
      let kept = unsafe request.pointee.kept!
      unsafe kept.copyMemory(from: request.pointee.buffer!, byteCount: Int(length))
      unsafe unflushed.appendWrite(offset: offset, length: length, data: kept)
      unsafe request.pointee.kept = nil
    case .read, .flush: break
    }
  }

  // MARK: Connections

  /// There is a connection, to a server that has proved to have the store.
  ///
  /// - Parameter hasForceUnitAccess: whether it knows FUA.
  func connected(hasForceUnitAccess: Bool) {
    precondition(phase == .offline)
    isAway = false
    self.hasForceUnitAccess = hasForceUnitAccess
    let pieces = unflushed.pieces()
    resendsLeft = pieces.count
    phase = resendsLeft == 0 ? .online : .resending
    for piece in pieces {
      let index = unsafe take(
        RemoteRequest(
          piece.data == nil ? .zero : .write, for: .resend, offset: piece.offset, length: piece.length,
          buffer: piece.data, deadline: .max))
      unsafe slots[Int(index)].state = .waiting
      unsafe resends.append(index, in: slots)
    }
  }

  /// The connection is not used any more, and the kernel has let go of all memory. What had no answer waits
  /// again, before everything else; what made sense with this connection only has ended.
  ///
  /// - Parameter payloadLeft: bytes that are still to come of a read whose data has begun to arrive.
  /// - Returns: what the server owes. Unless it answers all of that, `doubt` must follow.
  func disconnected(payloadLeft: Int = 0) -> OwedAnswers {
    phase = .offline
    inFlight = 0
    resumeHeld()
    var owed = OwedAnswers(payloadLeft: payloadLeft)
    while let index = unsafe resends.popFirst(in: slots) { release(index) }
    var unanswered: [UInt32] = []
    for index in 0..<UInt32(used) {
      let request = unsafe slots + Int(index)
      switch unsafe request.pointee.state {
      case .answered: sent(index)
      case .inFlight:
        if let cookie = unsafe request.pointee.cookie { unsafe owed.add(request.pointee, cookie: cookie) }
        cookies.withdraw(index)
        unsafe request.pointee.cookie = nil
        unsafe request.pointee.isRepeated = true
        unsafe request.pointee.isBeingSent = false
        unsafe giveBack(request)
        if unsafe request.pointee.requester.isOfConnection {
          unsafe forget(index, request.pointee.requester)
        } else {
          unanswered.append(index)
        }
      case .free, .waiting, .ended: break
      }
    }
    resendsLeft = 0
    for index in unanswered.sorted(by: { unsafe slots[Int($0)].sequence > slots[Int($1)].sequence }) {
      unsafe slots[Int(index)].state = .waiting
      unsafe waiting.prepend(index, in: slots)
    }
    return owed
  }

  /// The connection has ended, and what the server owed over it has not been answered.
  ///
  /// - Parameter now: when it ended, a time of `MonotonicClock`.
  func doubt(_ owed: OwedAnswers, at now: UInt64) {
    doubtful.add(owed.ranges, until: now + Self.quietNanoseconds)
  }

  private func forget(_ index: UInt32, _ requester: RemoteRequest.Requester) {
    if case .pressure = requester { isRelieving = false }
    if case .claim = requester {
      end(index, -RemoteErrno.notConnected)
    } else {
      release(index)
    }
  }

  // MARK: Time

  /// Ends what has waited for too long.
  ///
  /// - Returns: whether the server owes an answer for too long: then the connection should be given up.
  func expire(at now: UInt64) -> Bool {
    endWaiting(-RemoteErrno.timedOut) { $0.deadline <= now }
    guard inFlight > 0 else { return false }
    for index in 0..<used {
      if unsafe slots[index].state == .inFlight && slots[index].deadline <= now { return true }
    }
    return false
  }

  /// Gives memory back to the system that is not needed now.
  func trimMemory() {
    unflushed.trimMemory()
  }

  /// No connection can be had now: ends what is not to wait for one.
  func connectionFailed() {
    isAway = true
    refuseImpatient()
  }

  private func refuseImpatient() {
    endWaiting(-RemoteErrno.notConnected) { !$0.isPatient }
  }

  /// Ends everything that waits: nothing is to be had from this server.
  func refuseWaiting() {
    endWaiting(-RemoteErrno.notConnected) { _ in true }
  }

  private func endWaiting(_ result: Int32, where isDue: (borrowing RemoteRequest) -> Bool) {
    resumeHeld()
    var kept = RemoteRequestList()
    while let index = unsafe waiting.popFirst(in: slots) {
      if unsafe isDue(slots[Int(index)]) {
        end(index, result)
      } else {
        unsafe kept.append(index, in: slots)
      }
    }
    waiting = kept
  }
}

/// Linux error numbers that requests to remote stores end with.
enum RemoteErrno {
  static let io: Int32 = 5
  static let notConnected: Int32 = 107
  static let shutdown: Int32 = 108
  static let timedOut: Int32 = 110
}
