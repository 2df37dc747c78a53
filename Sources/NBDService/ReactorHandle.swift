public import Measurement
public import Platform
public import Primitives
public import Redirection
import Ring
public import Stores
public import Synchronization

/// A reactor as the rest of the process sees it: its inbox, its load, its thread.
public final class ReactorHandle: Sendable {
  /// Its place among the pool's reactors, from 0; the number of its redirector too.
  public let number: Int
  let inbox: Inbox<ReactorMessage>
  /// Clients connected to this reactor.
  public let connectionCount = Atomic<Int>(0)
  /// What this reactor has served.
  public let traffic = Traffic()
  /// What the stores have done for this reactor, and how long its clients' requests took.
  public let meters = StoreMeters()
  /// What the clients of this reactor have asked of each volume.
  public let volumeMeters = VolumeMeters()
  /// What its clients are after, for whoever predicts it.
  public let accesses: AccessRing
  private let thread = Mutex<NativeThread?>(nil)

  /// A reactor that is not running yet.
  ///
  /// - Parameter accessesMax: access records that wait for whoever predicts, a power of two; 0: none are
  ///   taken.
  /// - Throws: EMFILE or ENFILE if there is no descriptor left.
  public init(number: Int, accessesMax: Int = 0) throws(SystemError) {
    self.number = number
    accesses = AccessRing(capacity: accessesMax)
    inbox = try Inbox()
  }

  /// Tells the reactor something. May be called from any thread.
  public func post(_ message: ReactorMessage) {
    inbox.post(message)
  }

  /// Starts the thread; returns when the reactor is ready or has failed to become so.
  public func start(_ environment: ReactorEnvironment) throws(SystemError) {
    let outcome = Mutex<SystemError?>(nil)
    let ready = try Signal()
    let started = try NativeThread(name: "gnomon-io-\(number)") { [self] in
      do throws(SystemError) {
        let reactor = try Reactor(handle: self, environment: environment)
        ready.raise()
        reactor.run()
      } catch {
        outcome.withLock { $0 = error }
        ready.raise()
      }
    }
    ready.wait()
    thread.withLock { $0 = started }
    if let error = outcome.withLock({ $0 }) { throw error }
  }

  /// Waits until the thread has ended, after a `stop` message.
  public func join() {
    thread.withLock { $0 }?.join()
  }
}

/// What all reactors of a pool work with.
public struct ReactorEnvironment: Sendable {
  /// What their redirectors share.
  public var shared: SharedState
  /// The volumes on offer.
  public var exports: ExportTable
  /// Bounds of each reactor and connection.
  public var limits: ServiceLimits
  /// What is traded for what.
  public var tuning: ServiceTuning
  /// Who does the work that blocks.
  public var background: any PoolBackground
  /// All reactors, by number.
  public var reactors: [ReactorHandle]
  /// How the stores that exist at the start are reached.
  public var stores: [StoreID: StoreAccess]
  /// Listening sockets, served by reactor 0.
  public var listeners: [Int32]

  /// Takes all as they are.
  public init(
    shared: SharedState, exports: ExportTable, limits: ServiceLimits, tuning: ServiceTuning = ServiceTuning(),
    background: any PoolBackground, reactors: [ReactorHandle], stores: [StoreID: StoreAccess],
    listeners: [Int32]
  ) {
    self.shared = shared
    self.exports = exports
    self.limits = limits
    self.tuning = tuning
    self.background = background
    self.reactors = reactors
    self.stores = stores
    self.listeners = listeners
  }

  var connectionCount: Int {
    reactors.reduce(0) { $0 + $1.connectionCount.load(ordering: .relaxed) }
  }
}
