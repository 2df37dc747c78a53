import Glibc
import NBDWire
import Platform
import Primitives
import Redirection
import Ring
import Stores

/// Remote stores: where directives go, and how connections come and go. Every remote store is owned by one
/// reactor, which has the only connection; the others send their directives there.
extension Reactor {
  /// The reactor that owns a remote store.
  func owner(of store: StoreID) -> ReactorHandle {
    environment.reactors[Int(store.rawValue) % environment.reactors.count]
  }

  /// Begins to serve a remote store that this reactor owns.
  func openRemote(_ store: NBDStore) throws(SystemError) {
    let id = store.record.id
    let channel = RemoteInbox(id, handle)
    let remote = try RemoteStore(store, channel: channel, unflushedBytes: limits.remoteUnflushedBytes)
    remotes[Int(id.rawValue)] = remote
    remoteIDs.append(Int(id.rawValue))
    store.setChannel(channel)
    connect(remote)
  }

  /// Ends serving a remote store; nothing refers to it any more.
  func closeRemote(_ store: StoreID, _ done: @escaping @Sendable () -> Void) {
    guard let remote = remotes[Int(store.rawValue)] else { return done() }
    remote.store.setChannel(nil)
    remote.channel.close()
    remote.isLeaving = true
    remote.whenClosed = done
    leave(remote, "the store is removed")
  }

  private func leave(_ remote: RemoteStore, _ why: String) {
    remote.connector?.stop()
    remote.connector = nil
    guard remote.socket >= 0 else { return remoteClosed(remote) }
    // Whatever is still received or sent over one that was given up.
    if remote.isClosing { _ = shutdown(remote.socket, Int32(SHUT_RDWR)) }
    breakOff(remote, why)
  }

  /// Ends all connections: the reactor is about to end.
  func leaveRemotes() {
    for index in remoteIDs {
      guard let remote = remotes[index], !remote.isLeaving else { continue }
      remote.channel.close()
      remote.isLeaving = true
      leave(remote, "the daemon stops")
    }
  }

  /// Answers commands of the control plane that came too late for this reactor.
  func refuseLateCommands() {
    for message in handle.inbox.takeAll() {
      if case .remote(_, .command(_, _, _, let done)) = message { done(-RemoteErrno.shutdown) }
    }
  }

  /// Whether connections of remote stores still hold memory that the kernel may write to.
  var hasRemotesOpen: Bool { remoteIDs.contains { remotes[$0]?.socket ?? -1 >= 0 } }

  // MARK: Requests

  /// Takes a directive for a store that this reactor owns.
  func submitRemote(_ directive: Directive, for requester: RemoteRequest.Requester) {
    guard let remote = remotes[Int(directive.store)] else {
      // A probe that had begun before the store was removed.
      let end = RemoteMessage.done(token: directive.token, result: -RemoteErrno.io)
      return handle.post(.remote(StoreID(rawValue: directive.store), end))
    }
    let kind: RemoteRequest.Kind =
      switch directive.kind {
      case .read: .read
      case .write: .write
      case .zero, .reserve: .zero
      case .punch: .trim
      default: .flush
      }
    remote.session.accept(
      unsafe RemoteRequest(
        kind, for: requester, offset: directive.offset, length: directive.length, buffer: directive.buffer,
        isDurable: directive.durable, isPatient: directive.isPatient, deadline: remoteDeadline))
    if remote.refusal != nil { remote.session.refuseWaiting() }
    hasRemoteWork = true
  }

  /// When a request that begins now has waited for too long.
  var remoteDeadline: UInt64 {
    tickNanoseconds + UInt64(limits.remoteHoldSeconds) * 1_000_000_000
  }

  func take(_ message: RemoteMessage, for store: StoreID) {
    switch message {
    case .order(let order):
      guard remotes[Int(store.rawValue)] != nil else {
        // A flush that has begun before the store was removed: there is nothing in it.
        let end = RemoteMessage.done(token: order.directive.token, result: 0)
        return environment.reactors[Int(order.reactor)].post(.remote(store, end))
      }
      submitRemote(order.directive, for: .peer(reactor: order.reactor, token: order.directive.token))
    case .done(let token, let result): redirector.complete(token, result)
    case .command(let command, let offset, let length, let done):
      take(command, for: store, offset: offset, length: length, done)
    case .connected(let connector, let connection): connected(store, connector, connection)
    case .failed(let connector, let error):
      guard let remote = remotes[Int(store.rawValue)], remote.connector === connector else { return }
      connectionFailed(remote, error)
    }
  }

  private func take(
    _ command: RemoteCommand, for store: StoreID, offset: UInt64, length: UInt64,
    _ done: @escaping @Sendable (Int32) -> Void
  ) {
    guard let remote = remotes[Int(store.rawValue)], !remote.isLeaving else {
      return done(-RemoteErrno.shutdown)
    }
    let kind: RemoteRequest.Kind =
      switch command {
      case .discard: .trim
      case .zero: .zero
      case .synchronize: .flush
      }
    // Giving space back is no reason to wait: it would keep the slots of other stores waiting too.
    if kind == .trim && !remote.flags.contains(.sendTrim) { return done(0) }
    guard kind != .trim || remote.isConnected else { return done(-RemoteErrno.notConnected) }
    let index = remote.session.accept(
      unsafe RemoteRequest(kind, for: .control, offset: offset, length: length, deadline: remoteDeadline))
    remote.commands[index] = done
    if remote.refusal != nil { remote.session.refuseWaiting() }
    hasRemoteWork = true
  }

  /// Tells those whose requests have ended.
  func endRemoteRequests() {
    hasRemoteWork = false
    for index in remoteIDs {
      guard let remote = remotes[index] else { continue }
      while let request = remote.session.popEnded() { tellEnd(remote, request) }
    }
  }

  private func tellEnd(_ remote: RemoteStore, _ index: UInt32) {
    let (requester, result) = unsafe (
      remote.session.slots[Int(index)].requester, remote.session.slots[Int(index)].result
    )
    switch requester {
    case .redirector(let token): redirector.complete(token, result)
    case .peer(let reactor, let token):
      environment.reactors[Int(reactor)].post(
        .remote(remote.store.record.id, .done(token: token, result: result)))
    case .control: remote.commands.removeValue(forKey: index)?(result)
    case .claim: claimRead(remote, result)
    case .resend, .pressure: preconditionFailure("the session keeps these for itself")
    }
    remote.session.release(index)
  }

  // MARK: Connections

  private func connect(_ remote: RemoteStore) {
    guard !remote.isLeaving, !remote.isFenced else { return }
    do throws(SystemError) {
      remote.connector = try RemoteConnector.start(remote.store, remote.backoff, inbox: handle.inbox)
      _ = remote.backoff.next()
    } catch {
      // The next tick tries again.
      remoteLog.error("a remote store can not be connected to", ["cause": error])
    }
  }

  private func connected(
    _ store: StoreID, _ connector: RemoteConnector, _ connection: RemoteConnection
  ) {
    guard let remote = remotes[Int(store.rawValue)], remote.connector === connector else {
      close(connection.socket)
      return
    }
    let isFirst = remote.generation == 0 && !remote.session.isAway
    remote.connector = nil
    remote.refusal = nil
    remote.take(connection)
    remote.session.connected(hasForceUnitAccess: remote.flags.contains(.sendFUA))
    noteStatus(remote, .connected)
    // What was to be made durable meanwhile is made so now.
    environment.shared.stores.setAway(store, false)
    redirector.flushInBackground()
    if !isFirst {
      remoteLog.info("a remote store is connected again", fields(remote))
    }
    armRemoteReceive(remote)
    hasRemoteWork = true
  }

  private func connectionFailed(_ remote: RemoteStore, _ error: GnomonError) {
    let isNews = remote.store.status.lastError != error.description
    let isRefusal = error.code != .unavailable
    noteStatus(remote, isRefusal ? .refused : .reconnecting, error: error.description)
    environment.shared.stores.setAway(remote.store.record.id, true)
    remote.session.connectionFailed()
    hasRemoteWork = true
    if isNews {
      remoteLog.warning(
        isRefusal ? "a remote store must not be used" : "a remote store can not be reached",
        ["store": remote.store.record.name, "uri": remote.store.record.path, "cause": error])
    }
    guard isRefusal else {
      remote.refusal = nil
      return
    }
    remote.refusal = error
    remote.session.refuseWaiting()
  }

  /// The connection is of no use any more: it has ended, or what comes over it makes no sense. What had no
  /// answer is sent again over the next one.
  func breakOff(_ remote: RemoteStore, _ why: String) {
    guard remote.isConnected else { return }
    giveUp(remote, why)
    _ = shutdown(remote.socket, Int32(SHUT_RDWR))
    closeRemoteIfDone(remote)
  }

  /// Gives up a connection that may still be good for answers.
  func windUp(_ remote: RemoteStore, _ why: String) {
    guard remote.isConnected else { return }
    giveUp(remote, why)
    remote.isWoundUp = true
    let unused = Self.token(.cancel, 0)
    if remote.isSending { ring.cancel(remoteToken(.remoteSend, remote), token: unused) }
    if remote.isReceiving { ring.cancel(remoteToken(.remoteReceive, remote), token: unused) }
    closeRemoteIfDone(remote)
  }

  private func giveUp(_ remote: RemoteStore, _ why: String) {
    remote.isClosing = true
    guard !remote.isLeaving else { return }
    noteStatus(remote, remote.isFenced ? .refused : .reconnecting, error: why, isBreak: true)
    remoteLog.warning(
      "the connection of a remote store is broken",
      ["store": remote.store.record.name, "uri": remote.store.record.path, "cause": why])
  }

  /// Goes on with a connection that is given up when the kernel has let go of it: it is closed, or kept for
  /// the answers that are owed.
  func closeRemoteIfDone(_ remote: RemoteStore) {
    guard remote.isClosing, !remote.isSending, !remote.isReceiving else { return }
    if remote.owed == nil { takeRequestsBack(remote) }
    if let owed = remote.owed, !owed.isSettled {
      if remote.isWoundUp && !remote.isLeaving { return receiveOwed(remote) }
      remote.session.doubt(owed, at: redirector.now)
    }
    close(remote.socket)
    remote.socket = -1
    remote.isClosing = false
    remote.owed = nil
    if remote.isLeaving { return remoteClosed(remote) }
    if MonotonicClock.nanoseconds() - remote.connectedNanoseconds >= RemoteStore.goodNanoseconds {
      remote.backoff.reset()
    }
    connect(remote)
  }

  /// The requests of a connection wait for the next one, or end.
  private func takeRequestsBack(_ remote: RemoteStore) {
    remote.beingSent.removeAll(keepingCapacity: true)
    let hasPayload = remote.payloadRequest != RemoteRequest.none
    remote.owed = remote.session.disconnected(
      payloadLeft: hasPayload ? remote.payloadTotal - remote.payloadDone : 0)
    remote.payloadRequest = RemoteRequest.none
    _ = remote.session.expire(at: tickNanoseconds)
    if remote.refusal != nil { remote.session.refuseWaiting() }
    hasRemoteWork = true
    guard remote.isWoundUp else { return }
    // A message that is not complete is never answered: the server is to see that nothing follows.
    if remote.isCutOff { _ = shutdown(remote.socket, Int32(SHUT_WR)) }
    takeOwed(remote, remote.inputStart..<remote.inputEnd)
  }

  private static let stillOwes = GnomonError(
    .unavailable, "the server still has requests of a connection that was given up",
    cause: "it has not answered them, so it may carry them out over what would be written now",
    remedy: "if it hangs for good, end it: the store is connected to again when the connection has ended")

  private func remoteClosed(_ remote: RemoteStore) {
    remote.session.refuseWaiting()
    endRemoteRequests()
    guard let done = remote.whenClosed else { return }
    let index = Int(remote.store.record.id.rawValue)
    remotes[index] = nil
    remoteIDs.removeAll { $0 == index }
    done()
  }

  // MARK: Time

  /// When changes that a broken connection holds up can be sent.
  var nextResumption: UInt64? { remoteIDs.lazy.compactMap { self.remotes[$0]?.session.resumption }.min() }

  /// Once a second: deadlines and the claim.
  func remotesTicked() {
    for index in remoteIDs {
      guard let remote = remotes[index] else { continue }
      if remote.session.expire(at: tickNanoseconds) {
        windUp(remote, "no answer for \(limits.remoteHoldSeconds) s")
      } else if remote.owed != nil {
        connectionFailed(remote, Self.stillOwes)
      }
      if remote.socket < 0 && remote.connector == nil { connect(remote) }
      if remote.session.isIdle { remote.session.trimMemory() }
      remote.ticksToClaimCheck -= 1
      if remote.ticksToClaimCheck <= 0 { checkClaim(remote) }
      hasRemoteWork = true
    }
  }

  private func checkClaim(_ remote: RemoteStore) {
    guard remote.isConnected, !remote.isCheckingClaim else { return }
    remote.ticksToClaimCheck = RemoteStore.claimCheckTicks
    remote.isCheckingClaim = true
    remote.session.accept(
      unsafe RemoteRequest(
        .read, for: .claim, offset: NBDStore.claimRange.offset, length: UInt64(NBDStore.claimRange.bytes),
        buffer: remote.claimBlock, deadline: remoteDeadline))
  }

  private func claimRead(_ remote: RemoteStore, _ result: Int32) {
    remote.isCheckingClaim = false
    guard result == NBDStore.claimRange.bytes else { return }
    let block = unsafe UnsafeRawBufferPointer(start: remote.claimBlock, count: NBDStore.claimRange.bytes)
    guard let refusal = unsafe remote.store.refusal(ofClaim: block) else { return }
    remoteLog.error(
      "a remote store must not be used any more", ["store": remote.store.record.name, "cause": refusal])
    remote.isFenced = true
    remote.refusal = refusal
    environment.shared.stores.setAway(remote.store.record.id, true)
    breakOff(remote, refusal.description)
  }

  private func noteStatus(
    _ remote: RemoteStore, _ state: RemoteStatus.State, error: String? = nil, isBreak: Bool = false
  ) {
    var status = remote.store.status
    if status.state != state {
      status.state = state
      status.sinceNanoseconds = MonotonicClock.nanoseconds()
    }
    if isBreak { status.breaks += 1 }
    if let error { status.lastError = error }
    remote.store.status = status
  }

  private func fields(_ remote: RemoteStore) -> KeyValuePairs<String, any Sendable> {
    ["store": remote.store.record.name, "uri": remote.store.record.path]
  }
}
