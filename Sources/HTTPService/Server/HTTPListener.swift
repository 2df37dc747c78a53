import CMicroHTTPD
import Glibc
import Platform
import Primitives
import Synchronization

/// One listening socket with its polling thread and the requests that came in by it.
@safe
final class HTTPListener: @unchecked Sendable {
  let endpoint: HTTPEndpoint
  let control: any ControlPlane
  private let limits: HTTPLimits
  private let socket: Mutex<ListeningSocket?>
  /// The address of libmicrohttpd's daemon; 0 once it was stopped.
  private let daemon = Mutex<UInt>(0)
  private let state: Mutex<State>

  private struct State {
    var isStopping = false
    var connections: OpenConnections
    var exchanges: [ObjectIdentifier: Exchange] = [:]
  }

  init(
    _ endpoint: HTTPEndpoint, control: any ControlPlane, limits: HTTPLimits
  ) throws(GnomonError) {
    let socket = try ListeningSocket(endpoint)
    self.endpoint = socket.endpoint
    self.control = control
    self.limits = limits
    state = Mutex(State(connections: OpenConnections(limit: Int(limits.connections))))
    let descriptor = socket.descriptor.raw
    self.socket = Mutex(consume socket)
    try start(on: descriptor)
  }

  private func start(on socket: Int32) throws(GnomonError) {
    // The listener outlives the daemon: `stop` ends it before the listener can be freed.
    let context = unsafe Unmanaged.passUnretained(self).toOpaque()
    let flags =
      MHD_USE_INTERNAL_POLLING_THREAD.rawValue | MHD_USE_EPOLL.rawValue | MHD_ALLOW_SUSPEND_RESUME.rawValue
    var options: [any CVarArg] = []
    func add(_ option: MHD_OPTION, _ values: any CVarArg...) {
      options.append(option.rawValue)
      options += values
    }
    add(.LISTEN_SOCKET, socket)
    // One more than there may be: the library accepts nobody beyond its limit, and somebody must come for
    // another to give way.
    add(.CONNECTION_LIMIT, limits.connections + 1)
    add(.CONNECTION_TIMEOUT, limits.idleSeconds)
    add(.CONNECTION_MEMORY_LIMIT, HTTPLimits.connectionBytes)
    // Functions go by address: a variable argument can not be one.
    add(.NOTIFY_COMPLETED, unsafe unsafeBitCast(requestCompleted, to: Int.self), Int(bitPattern: context))
    add(
      .NOTIFY_CONNECTION, unsafe unsafeBitCast(connectionNotified, to: Int.self), Int(bitPattern: context))
    add(.UNESCAPE_CALLBACK, unsafe unsafeBitCast(keepEscapes, to: Int.self), 0)
    add(.END)
    let started = unsafe withVaList(options) { list in
      unsafe MHD_start_daemon_va(flags, 0, nil, nil, accessHandler, context, list)
    }
    guard let started = unsafe started else {
      throw GnomonError(
        .system, "the control API can not start on \(endpoint)",
        cause: SystemError.text(of: SystemError("").errno))
    }
    daemon.withLock { $0 = UInt(bitPattern: started) }
  }

  /// See `HTTPServer.stop`.
  func stop() {
    let address = daemon.withLock { value in
      defer { value = 0 }
      return value
    }
    guard let handle = unsafe OpaquePointer(bitPattern: address) else { return }
    state.withLock { $0.isStopping = true }
    _ = unsafe MHD_quiesce_daemon(handle)
    socket.withLock { $0 = nil }
    waitForExchanges(milliseconds: limits.stopMilliseconds)
    // What is still at work is answered for it; its own answer comes too late and is dropped. Stopping
    // with suspended connections is forbidden.
    for exchange in state.withLock({ Array($0.exchanges.values) }) {
      exchange.finish(APIHandler.stoppingResponse)
    }
    waitForExchanges(milliseconds: 500)
    unsafe MHD_stop_daemon(handle)
  }

  private func waitForExchanges(milliseconds: Int) {
    var left = milliseconds
    while left > 0, state.withLock({ !$0.exchanges.isEmpty }) {
      _ = usleep(5_000)
      left -= 5
    }
  }

  /// Registers a connection.
  func opened(_ connection: UInt, socket: Int32) {
    state.withLock { $0.connections.opened(connection, socket: socket) }
  }

  /// Forgets a connection.
  func closed(_ connection: UInt) {
    state.withLock { $0.connections.closed(connection) }
  }

  /// Registers a request whose headers are here; false if the server is stopping.
  func begin(_ exchange: Exchange) -> Bool {
    state.withLock { state in
      state.exchanges[ObjectIdentifier(exchange)] = exchange
      return !state.isStopping
    }
  }

  /// Forgets a request that was answered or whose client is gone.
  func end(_ exchange: Exchange) {
    state.withLock { state in
      state.exchanges[ObjectIdentifier(exchange)] = nil
      state.connections.ended(exchange.connectionID)
    }
  }

  /// Answers a complete request, later.
  func answer(_ exchange: Exchange) {
    let request = exchange.request
    state.withLock { $0.connections.began(exchange.connectionID) }
    exchange.suspend()
    Task { [control] in
      exchange.finish(await APIHandler(control: control).answer(request))
    }
  }
}
