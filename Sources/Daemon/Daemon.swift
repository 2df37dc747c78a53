import Catalog
import Glibc
import HTTPService
import NBDService
import Platform
import Primitives
import Redirection
import Stores

/// The composition root: starts what a served pool is made of, bottom up, and stops it top down.
final class Daemon {
  private let configuration: Configuration
  private let pool: Pool
  private let listeners: Listeners
  private let reactors: [ReactorHandle]
  private var server: HTTPServer?
  private let log = Log("daemon")

  /// Seconds that requests in flight get to end after a signal.
  private static let shutdownSeconds: UInt64 = 30

  init(_ options: ServeOptions) throws(GnomonError) {
    configuration = options.configuration
    Log.level = configuration.log.level
    let count = configuration.reactorCount(cores: Int(sysconf(Int32(_SC_NPROCESSORS_ONLN))))
    pool = try Pool(
      opening: options.directory, redirectorCount: count, readOnlyNames: configuration.readOnly)
    listeners = try Listeners(configuration)
    do throws(SystemError) {
      var handles: [ReactorHandle] = []
      for number in 0..<count { handles.append(try ReactorHandle(number: number)) }
      reactors = handles
      pool.reactors = handles
      let environment = ReactorEnvironment(
        shared: pool.shared, exports: pool.exports, limits: ServiceLimits(configuration.limits),
        background: pool, reactors: handles,
        stores: Dictionary(uniqueKeysWithValues: pool.stores.map { ($0.record.id, $0.descriptor.raw) }),
        listeners: listeners.descriptors)
      for handle in handles { try handle.start(environment) }
    } catch {
      listeners.close()
      throw GnomonError(
        .system, "the reactors can not be started", cause: error.description,
        remedy: "io_uring needs Linux 6.0 or newer, and must not be disabled (kernel.io_uring_disabled)")
    }
    let control = PoolControl(
      pool, configuration: configuration, listeners: listeners.endpoints.map(\.description))
    do throws(GnomonError) {
      server = try HTTPServer(listening: configuration.api.listen, control: control)
    } catch {
      listeners.close()
      throw error
    }
  }

  /// Serves until SIGTERM or SIGINT. The signals are blocked in all threads.
  func run(_ signals: SignalSet) -> Int32 {
    announce()
    ServiceManager.notify("READY=1")
    let signal = signals.wait()
    log.info("shutting down", ["signal": signal])
    ServiceManager.notify("STOPPING=1")
    // A second signal ends the process at once: as safe as a crash, which loses nothing that was flushed.
    _ = try? NativeThread(name: "gnomon-signal") {
      _ = signals.wait()
      _exit(1)
    }
    return shutDown() ? 0 : 1
  }

  private func announce() {
    let volumes = pool.exports.volumes
    log.info(
      "serving",
      [
        "pool": pool.directory, "volumes": volumes.count, "stores": pool.stores.count,
        "reactors": reactors.count, "version": Version.current,
      ])
    for endpoint in listeners.endpoints {
      log.info("listening", ["uri": volumes.count == 1 ? endpoint.uri() : endpoint.uri()])
    }
  }

  /// - Returns: whether everything was flushed.
  private func shutDown() -> Bool {
    server?.stop()
    listeners.close()
    let reactors = reactors
    let isDrained = waiting("requests in flight did not end in time") { done in
      let left = Countdown(reactors.count, done)
      for reactor in reactors { reactor.post(.shutDown { left.tick() }) }
    }
    let failure = Outcome()
    let isFlushed = waiting("the last flush did not end in time") { done in
      reactors[0].post(
        .flush {
          failure.set($0.map { "\($0)" })
          done()
        })
    }
    if let cause = failure.value { log.error("the last flush has failed", ["cause": cause]) }
    // A reactor that hangs in a request can not be stopped; the process ends anyway.
    guard isDrained && isFlushed else { return false }
    for reactor in reactors { reactor.post(.stop) }
    for reactor in reactors { reactor.join() }
    pool.close()
    log.info("stopped")
    return failure.value == nil
  }

  private func waiting(_ complaint: String, _ start: (@escaping @Sendable () -> Void) -> Void) -> Bool {
    guard let signal = try? Signal() else { return false }
    start { signal.raise() }
    let isDone = signal.wait(seconds: Self.shutdownSeconds)
    if !isDone { log.error(complaint) }
    return isDone
  }
}

extension ServiceLimits {
  init(_ limits: Configuration.Limits) {
    self.init()
    connectionsMax = limits.connections
    handshakeSeconds = limits.handshakeSeconds
    requestsPerConnectionMax = limits.requestsPerConnection
    operationsPerReactorMax = limits.requestsPerReactor
    bytesPerConnectionMax = Int(limits.bytesPerConnection)
    // The arena is cut in pages of 64 × 4 KiB.
    bytesPerReactorMax = (Int(limits.bytesPerReactor) + 0x3ffff) & ~0x3ffff
  }
}
