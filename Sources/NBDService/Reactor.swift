import Glibc
import NBDWire
import Platform
import Primitives
import Redirection
import Ring
import Synchronization

/// One thread that serves connections: it owns a ring, a redirector, and every connection that it adopted
/// for its whole life. Nothing here is shared; other threads post messages.
///
/// Each turn of the loop takes completions, lets the redirector work, queues what it asks for, answers
/// what is finished in one send per connection, and hands all of it to the kernel in one call.
@safe
final class Reactor {
  let handle: ReactorHandle
  let environment: ReactorEnvironment
  let limits: ServiceLimits
  var ring: Ring
  let redirector: Redirector
  let log = Log("nbd")

  /// All connections of this reactor; entries keep their place, memory of closed ones is used again.
  let connections: UnsafeMutablePointer<Connection>
  let connectionsCapacity: Int
  var connectionsMade = 0
  var freeConnections: [UInt32] = []
  /// Connections with replies to send at the end of the turn.
  var dirty: [UInt32] = []
  /// Connections that wait for memory or operations, oldest first.
  var stalled: [UInt32] = []
  var isResumingStalled = false

  /// Transfers on their way to the stores.
  var transfers = TransferQueues()

  /// How each store is reached, by its number.
  let routes: UnsafeMutablePointer<StoreRoute>
  /// Copies from and to memory stores that are not made yet.
  var copies = MemoryCopies()
  /// What was wanted of absent stores, and how it ends.
  var refusals: [(token: UInt64, result: Int32)] = []
  /// The remote stores that this reactor owns, by number, and which numbers those are.
  var remotes = [RemoteStore?](repeating: nil, count: StoreTable.capacity)
  var remoteIDs: [Int] = []
  /// Requests to remote stores may have come or ended.
  var hasRemoteWork = false
  /// When the last tick was, for deadlines that a second more or less does not matter to.
  var tickNanoseconds = MonotonicClock.nanoseconds()
  let remoteLog = Log("remote")

  private var busyPolling: BusyPolling
  private let completions: UnsafeMutableBufferPointer<Completion>
  private let eventCounter: UnsafeMutablePointer<UInt64>
  private let tick: UnsafeMutablePointer<TimeInterval>
  /// For deadlines of operations. It goes off at the next one, or after a millisecond, and is not set anew
  /// before that: a wait with a time limit of its own programs the processor's timer twice, which on virtual
  /// machines costs as much as a tenth of what a read does.
  private let alarm: UnsafeMutablePointer<TimeInterval>
  private var isAlarmSet = false
  /// No operation has less time than this (`StorePace.Patience`), so that none is noticed late that begins
  /// while the alarm is set.
  private static let alarmMost: UInt64 = 1_000_000
  /// Flushes that the control plane waits for.
  var controlFlushes: [UInt32: ControlFlush] = [:]
  /// Steps of moves that the control plane waits for.
  var controlMoves: [UInt32: ControlMove] = [:]
  var controlScans: [UInt32: ControlScan] = [:]
  /// Probes of stores that it waits for.
  var controlProbes: [UInt32: @Sendable () -> Void] = [:]
  var shutDownDone: (@Sendable () -> Void)?
  var isShuttingDown = false
  private var isStopping = false
  /// Listeners whose accept ended with an error and is tried again at the next tick.
  var pausedListeners: [Int32] = []

  /// Bytes of the buffer arena that are registered with the ring. Requests first fit into the low end, so
  /// this much serves all but the largest; the rest of the arena costs nothing until it is used.
  static let registeredBytes = 8 << 20

  init(handle: ReactorHandle, environment: ReactorEnvironment) throws(SystemError) {
    self.handle = handle
    self.environment = environment
    limits = environment.limits
    busyPolling = BusyPolling(maximum: UInt64(environment.tuning.busyPollMicroseconds) * 1000)
    ring = try Ring(submissions: 512, completions: 8192)
    redirector = try Redirector(
      environment.shared, number: handle.number, operationsMax: limits.operationsPerReactorMax,
      bufferBytes: limits.bytesPerReactorMax, meters: handle.meters)
    try ring.registerFileTable(count: StoreTable.capacity)
    connectionsCapacity = limits.connectionsMax
    unsafe connections = .allocate(capacity: connectionsCapacity)
    unsafe routes = .allocate(capacity: StoreTable.capacity)
    unsafe routes.initialize(repeating: .file, count: StoreTable.capacity)
    unsafe completions = .allocate(capacity: 512)
    unsafe eventCounter = .allocate(capacity: 1)
    unsafe tick = .allocate(capacity: 1)
    unsafe alarm = .allocate(capacity: 1)
    let memory = unsafe redirector.bufferMemory
    let registered = min(memory.count, Self.registeredBytes)
    if unsafe !ring.registerBuffer(memory.baseAddress!, count: registered) {
      log.warning("buffers are not registered with the ring: raise the locked-memory limit for more speed")
    }
    for (store, access) in environment.stores { try setRoute(to: store, access) {} }
  }

  deinit {
    for index in 0..<connectionsMade {
      let connection = unsafe connections + index
      unsafe connection.pointee.input.deallocate()
      unsafe connection.pointee.output.deallocate()
      unsafe connection.pointee.outgoing.deallocate()
      unsafe connection.pointee.incoming.deallocate()
      unsafe connection.deinitialize(count: 1)
    }
    unsafe connections.deallocate()
    unsafe routes.deallocate()
    unsafe completions.deallocate()
    unsafe eventCounter.deallocate()
    unsafe tick.deallocate()
    unsafe alarm.deallocate()
  }

  /// Serves until a `stop` message.
  func run() {
    redirector.now = MonotonicClock.nanoseconds()
    armEvent()
    armTick()
    if handle.number == 0 {
      for listener in environment.listeners {
        ring.acceptMany(socket: listener, token: Self.token(.accept, UInt64(listener)))
      }
    }
    while !isStopping || hasRemotesOpen {
      settle()
      do throws(SystemError) {
        try submit()
      } catch {
        log.error("the ring has failed", ["cause": error])
        abort()
      }
      let count = unsafe ring.takeCompletions(into: completions)
      redirector.now = MonotonicClock.nanoseconds()
      for index in 0..<count { unsafe handle(completions[index]) }
      endTransferTurn()
      redirector.checkDeadlines()
      copies.endTurn()
      if environment.shared.faults.hasNews { reportFaults() }
    }
    refuseLateCommands()
  }

  /// Has people told of what failed, if it is time.
  func reportFaults() {
    let due = environment.shared.faults.takeDue(at: MonotonicClock.nanoseconds())
    if !due.isEmpty { environment.background.report(due) }
  }

  /// Hands everything to the kernel and waits until there is something to do.
  private func submit() throws(SystemError) {
    guard !redirector.isRetryDue, !hasRemoteWork, copies.isEmpty else {
      return try ring.submit(waiting: false)
    }
    if let deadline = nextDeadline {
      guard isAlarmSet || setAlarm(deadline) else { return try ring.submit(waiting: false) }
      return try ring.submit(waiting: true)
    }
    guard busyPolling.maximum > 0, redirector.operationsInUse <= 1 else {
      return try ring.submit(waiting: true)
    }
    let start = MonotonicClock.nanoseconds()
    if try !poll(from: start) {
      try ring.submit(waiting: true)
    }
    busyPolling.waited(MonotonicClock.nanoseconds() - start)
  }

  /// When something is to be done although nothing has happened; nil if nothing is.
  private var nextDeadline: UInt64? {
    // What could not be sent although it was time waits for something else, which will tell.
    guard !remoteIDs.isEmpty, let resumption = nextResumption, resumption > redirector.now else {
      return redirector.nextDeadline
    }
    return min(redirector.nextDeadline ?? .max, resumption)
  }

  private func poll(from start: UInt64) throws(SystemError) -> Bool {
    guard busyPolling.window > 0 else { return false }
    return try ring.submit(pollingUntil: start + busyPolling.window)
  }

  // MARK: Completions

  enum TokenKind: UInt8 {
    case storage, transfer, receive, send, accept, event, tick, alarm, remoteReceive, remoteSend, cancel
  }

  static func token(_ kind: TokenKind, _ value: UInt64) -> UInt64 {
    UInt64(kind.rawValue) << 56 | value
  }

  func token(_ kind: TokenKind, for index: UInt32) -> UInt64 {
    unsafe Self.token(kind, UInt64(connections[Int(index)].generation) << 32 | UInt64(index))
  }

  private func handle(_ completion: Completion) {
    let value = completion.token & Token.mask
    switch TokenKind(rawValue: UInt8(completion.token >> 56)) {
    case .storage: redirector.complete(value, completion.result)
    case .transfer:
      transfers.ended(Token.store(value).rawValue)
      redirector.complete(value, completion.result)
    case .receive: received(UInt32(truncatingIfNeeded: value), completion.result)
    case .send: sent(UInt32(truncatingIfNeeded: value), completion.result)
    case .remoteReceive: remoteReceived(value, completion.result)
    case .remoteSend: remoteSent(value, completion.result)
    case .accept: accepted(Int32(truncatingIfNeeded: value), completion)
    case .event:
      armEvent()
      for message in handle.inbox.takeAll() { take(message) }
    case .tick:
      armTick()
      tickNanoseconds = MonotonicClock.nanoseconds()
      ticked()
    case .alarm: isAlarmSet = false
    // What was cancelled tells by itself.
    case .cancel: break
    case nil: preconditionFailure("a completion that nothing was queued for")
    }
  }

  private func armEvent() {
    unsafe ring.read(event: handle.inbox.event, into: eventCounter, token: Self.token(.event, 0))
  }

  private func armTick() {
    unsafe tick.initialize(to: TimeInterval(milliseconds: isShuttingDown ? 50 : 1000))
    unsafe ring.timeout(tick, token: Self.token(.tick, 0))
  }

  /// - Returns: false if the deadline is past.
  private func setAlarm(_ deadline: UInt64) -> Bool {
    let now = MonotonicClock.nanoseconds()
    guard deadline > now else { return false }
    unsafe alarm.initialize(to: TimeInterval(nanoseconds: Int64(min(deadline - now, Self.alarmMost))))
    unsafe ring.timeout(alarm, token: Self.token(.alarm, 0))
    isAlarmSet = true
    return true
  }

  // MARK: One turn

  /// Works until everything waits for the kernel, another thread, or a client.
  private func settle() {
    var isSettled = false
    while !isSettled {
      redirector.retryParked()
      carryOutDirectives()
      if hasRemoteWork { endRemoteRequests() }
      if !copies.isEmpty { makeCopies() }
      if !refusals.isEmpty { endRefusals() }
      collectFinished()
      let isRoom = redirector.hasReleased && !stalled.isEmpty
      redirector.hasReleased = false
      if isRoom { resumeStalled() }
      isSettled = redirector.directives.count == 0 && !isRoom
    }
    submitTransfers()
    if !remoteIDs.isEmpty { sendRemoteRequests() }
    flushReplies()
    startCachedTransfers()
    // Replies of refused requests may have ended without I/O; what they need is queued now.
    carryOutDirectives()
  }

  private func carryOutDirectives() {
    let count = redirector.directives.count
    guard count > 0 else { return }
    for position in 0..<count { carryOut(redirector.directives[position]) }
    redirector.directives.removeAll()
  }

  private func carryOut(_ directive: Directive) {
    switch directive.kind {
    case .read, .write, .zero, .punch, .reserve, .synchronize: carryOutOnStore(directive)
    case .commit:
      let inbox = handle.inbox
      let waiting = directive.token
      environment.background.commitMapChanges { inbox.post(.committed(token: waiting, result: $0)) }
    case .wakePeers: tellPeers(.retryParked)
    case .grace:
      tellPeers(.grace)
      handle.inbox.post(.grace)
    case .reclaim: environment.background.reclaimSlots()
    case .deliver:
      let reactor = environment.reactors[Int(directive.store)]
      reactor.inbox.post(.deliver(token: directive.token, errno: UInt32(directive.length)))
    }
  }

  private func tellPeers(_ message: ReactorMessage) {
    for reactor in environment.reactors where reactor.number != handle.number {
      reactor.inbox.post(message)
    }
  }

  // MARK: Messages

  private func take(_ message: ReactorMessage) {
    switch message {
    case .adopt(let socket, let peer): adopt(socket, peer: peer)
    case .setStore(let store, let access, let done):
      do throws(SystemError) {
        try setRoute(to: store, access, done)
      } catch {
        log.error("a store cannot be reached by this reactor", ["store": store.rawValue, "cause": error])
        done()
      }
    case .remote(let store, let message): take(message, for: store)
    case .retryParked: redirector.retryLater()
    case .committed(let token, let result): redirector.complete(token, result)
    case .deliver(let token, let errno):
      Failpoint.flushDelivered.pass()
      redirector.deliver(token, errno: errno)
    case .grace: redirector.beginGrace()
    case .flush(let volume, let done): flushForControl(volume, done)
    case .move(let step, let volume, let extent, let target, let stride, let done):
      move(step, volume, extent, target, stride, done)
    case .scan(let scan, let volume, let extent, let done): self.scan(scan, volume, extent, done)
    case .probe(let store, let done): probe(store, done)
    case .endActivity(let done):
      redirector.sweepActivity(all: true)
      done()
    case .shutDown(let done):
      isShuttingDown = true
      shutDownDone = done
      beginShutdown()
    case .stop:
      isStopping = true
      leaveRemotes()
    }
  }
}
