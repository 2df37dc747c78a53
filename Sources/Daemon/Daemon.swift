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
  private let pool: Pool
  private let listeners: Listeners
  private let reactors: [ReactorHandle]
  private let mover: Mover
  private let scrubber: Scrubber
  private let watcher: HealthWatcher
  private let loads: LoadWatcher
  private let predictor: Predictor?
  private let tiering: Tiering?
  private let server: HTTPServer
  private let log = Log("daemon")

  /// Seconds that requests in flight get to end after a signal.
  private static let shutdownSeconds: UInt64 = 30
  /// Descriptors that clients leave for stores, the catalog, the control API and the daemon's own threads.
  private static let descriptorsReserved = StoreTable.capacity + 128
  /// Lines that say how a volume is reached; with more volumes, `gnomon volume show` tells it.
  private static let announcedMax = 32

  /// Starts everything. If a part can not be started, those before it are stopped and leave nothing behind.
  init(_ options: ServeOptions) throws(GnomonError) {
    let configuration = options.configuration
    Log.level = configuration.log.level
    let count = configuration.reactorCount(cores: Int(sysconf(Int32(_SC_NPROCESSORS_ONLN))))
    pool = try Pool(
      opening: options.directory, redirectorCount: count, readOnlyNames: configuration.readOnly,
      absentNames: options.absentStores)
    do throws(GnomonError) {
      listeners = try Listeners(configuration)
    } catch {
      pool.close()
      throw error
    }
    do throws(GnomonError) {
      reactors = try Self.startReactors(count, pool, configuration, listeners)
    } catch {
      listeners.close()
      pool.close()
      throw error
    }
    let (predicts, tiers) = (configuration.prediction.enabled, configuration.tiering.enabled)
    let plan = PredictionPlan()
    mover = Mover(pool, configuration.moves, prediction: predicts ? plan : nil)
    scrubber = Scrubber(pool, mover, configuration.scrub)
    loads = LoadWatcher(pool)
    do throws(GnomonError) {
      watcher = try HealthWatcher(pool, mover, configuration.health)
      tiering = tiers ? try Tiering(pool, mover, configuration.tiering) : nil
      predictor =
        predicts || tiers
        ? try Predictor(pool, mover, plan, configuration.prediction, tiering?.book) : nil
      let control = PoolControl(
        pool, mover, scrubber, watcher, loads, predicts ? predictor : nil, tiering,
        configuration: configuration,
        listeners: listeners.endpoints.map(\.description))
      server = try HTTPServer(listening: configuration.api.listen, control: control)
    } catch {
      Self.stop(reactors)
      listeners.close()
      pool.close()
      throw error
    }
    pool.shared.fresh.onReady { [weak mover] in mover?.lookAgain() }
    mover.start()
    scrubber.start()
    watcher.start()
    loads.start()
    predictor?.start()
    tiering?.start()
  }

  private static func startReactors(
    _ count: Int, _ pool: Pool, _ configuration: Configuration, _ listeners: Listeners
  ) throws(GnomonError) -> [ReactorHandle] {
    var started: [ReactorHandle] = []
    do throws(SystemError) {
      var handles: [ReactorHandle] = []
      let isRecording = configuration.prediction.enabled || configuration.tiering.enabled
      let accessesMax = isRecording ? Predictor.accessesMax : 0
      for number in 0..<count {
        handles.append(try ReactorHandle(number: number, accessesMax: accessesMax))
      }
      pool.reactors = handles
      let environment = ReactorEnvironment(
        shared: pool.shared, exports: pool.exports, limits: limits(configuration.limits),
        tuning: ServiceTuning(configuration.nbd), background: pool, reactors: handles,
        stores: Dictionary(uniqueKeysWithValues: pool.stores.map { ($0.record.id, $0.access) }),
        listeners: listeners.descriptors)
      // The one that accepts clients comes last: it hands them to all.
      for handle in handles.reversed() {
        try handle.start(environment)
        started.append(handle)
      }
      return handles
    } catch {
      stop(started)
      throw GnomonError(
        .system, "the reactors can not be started", cause: error.description,
        remedy: "io_uring needs Linux 6.0 or newer, and must not be disabled (kernel.io_uring_disabled)")
    }
  }

  /// The limits as they are set, but no more clients than descriptors can be had for.
  private static func limits(_ settings: Configuration.Limits) -> ServiceLimits {
    var limits = ServiceLimits(settings)
    let room = max(1, DescriptorLimit.raise() - descriptorsReserved)
    if room < limits.connectionsMax {
      Log("daemon").warning(
        "fewer connections than 'limits.connections': raise the limit of open files",
        ["connections": room, "wanted": limits.connectionsMax])
      limits.connectionsMax = room
    }
    return limits
  }

  private static func stop(_ reactors: [ReactorHandle]) {
    for reactor in reactors { reactor.post(.stop) }
    for reactor in reactors { reactor.join() }
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
    for endpoint in listeners.endpoints { log.info("listening", ["uri": endpoint.uri()]) }
    var left = Self.announcedMax
    for volume in volumes {
      for endpoint in listeners.endpoints where left > 0 {
        left -= 1
        log.info("exported", ["volume": volume.name, "uri": endpoint.uri(export: volume.name)])
      }
    }
  }

  /// Finishes what is in flight, flushes and stops everything.
  ///
  /// - Returns: whether everything was flushed.
  func shutDown() -> Bool {
    server.stop()
    predictor?.stop()
    let isHeatKept = tiering.map { tiering in
      waiting("the extents' heat was not kept in time") { tiering.stop($0) }
    }
    let isWatcherDone = waiting("the watch over the stores did not end in time") { watcher.stop($0) }
    let areLoadsKept = waiting("the history of loads was not kept in time") { loads.stop($0) }
    // No step of a scrub or a move may be under way when the reactors end.
    let isScrubberDone = waiting("the scrub under way did not end in time") { scrubber.stop($0) }
    let isMoverDone = isScrubberDone && waiting("moves under way did not end in time") { mover.stop($0) }
    let reactors = reactors
    let isDrained = waiting("requests in flight did not end in time") { done in
      let left = Countdown(reactors.count, done)
      for reactor in reactors { reactor.post(.shutDown { left.tick() }) }
    }
    Failpoint.drained.pass()
    // Clients that come until here are turned away by the reactors.
    listeners.close()
    let failure = Outcome()
    var isFlushed = flush(failure)
    if isMoverDone && isDrained && isFlushed && failure.value == nil { isFlushed = endActivity(failure) }
    if let cause = failure.value { log.error("the last flush has failed", ["cause": cause]) }
    // A reactor that hangs in a request can not be stopped; the process ends anyway.
    guard isWatcherDone && areLoadsKept && isHeatKept ?? true && isMoverDone && isDrained && isFlushed else {
      return false
    }
    Failpoint.lastFlushDone.pass()
    Self.stop(reactors)
    pool.close()
    log.info("stopped")
    return failure.value == nil
  }

  /// Makes everything durable that has been written.
  private func flush(_ failure: Outcome) -> Bool {
    waiting("the last flush did not end in time") { done in
      reactors[0].post(
        .flush(nil) {
          failure.set($0.map { "\($0)" })
          done()
        })
    }
  }

  /// All copies are at rest and durable: the catalog is told, so that the next start suspects none of them.
  private func endActivity(_ failure: Outcome) -> Bool {
    let count = pool.shared.changes.activity.count
    guard count > 0 else { return true }
    let isSwept = waiting("the activity log was not closed in time") { done in
      reactors[0].post(.endActivity(done))
    }
    guard isSwept && flush(failure) else { return false }
    log.info(
      "the activity log is closed", ["extents": count, "left": pool.shared.changes.activity.count])
    return true
  }

  private func waiting(_ complaint: String, _ start: (@escaping @Sendable () -> Void) -> Void) -> Bool {
    guard let signal = try? Signal() else { return false }
    start { signal.raise() }
    let isDone = signal.wait(seconds: Self.shutdownSeconds)
    if !isDone { log.error(complaint) }
    return isDone
  }
}

extension ServiceTuning {
  init(_ nbd: Configuration.NBD) {
    self.init()
    offersChunks = nbd.structuredReplies
    busyPollMicroseconds = nbd.busyPollMicroseconds
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
    remoteHoldSeconds = limits.remoteHoldSeconds
    remoteUnflushedBytes = (Int(limits.remoteUnflushedBytes) + 0x3ffff) & ~0x3ffff
  }
}
