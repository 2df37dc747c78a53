public import HTTPService
import NBDService
public import Platform
import Primitives

/// Everything about a running daemon that can be set. `Setting.all` has the bounds and the words.
public struct Configuration: Sendable, Equatable {
  /// Where NBD clients connect.
  public var listen: [NBDEndpoint] = []
  /// Whether `listen` was written by somebody; if not, sockets handed over by a service manager replace it.
  public var listenIsExplicit = false
  /// Threads that serve requests; 0: by the number of cores.
  public var reactors = 0
  /// The control API.
  public var api = API()
  /// What is written to stderr.
  public var log = Logging()
  /// Bounds of what clients can take.
  public var limits = Limits()
  /// How clients are served.
  public var nbd = NBD()
  /// How extents come to the tier that they belong on.
  public struct Tiering: Sendable, Equatable {
    /// Whether they do; otherwise each stays where it was put.
    public var enabled = true
    /// How often all extents are looked at.
    public var intervalSeconds = 300
    /// From which volatility score on an extent belongs on tier 0, in percent.
    public var tier0Percent = 80
    /// Likewise on tier 1.
    public var tier1Percent = 40
    /// What is to stay free of each store, in percent.
    public var freePercent = 10
    /// After so long without an access an extent belongs on the slowest tier; 0: never.
    public var archiveAfterDays = 0
    /// What may be remembered of all volumes.
    public var memoryBytes: UInt64 = 256 << 20
  }

  /// What volumes get that were created without saying.
  public var volumes = Volumes()
  /// How copies are moved.
  public var moves = Moves()
  /// How data at rest is looked after.
  public var scrub = Scrub()
  /// What is done about stores that fail.
  public var health = Health()
  /// How reads are foreseen.
  public var prediction = Prediction()
  /// Which extents lie on which tier.
  public var tiering = Tiering()
  /// Names of volumes that are exported read-only, whatever the catalog says.
  public var readOnly: [String] = []

  /// The control API.
  public struct API: Sendable, Equatable {
    /// Places where it is served; `resolve` sees to it that the pool's own socket is among them.
    public var listen: [HTTPEndpoint] = []
    /// Allows addresses that other machines can reach.
    public var remote = false
  }

  /// What is written to stderr.
  public struct Logging: Sendable, Equatable {
    /// The least level that is written.
    public var level: Log.Level = .info
  }

  /// Bounds of what clients can take.
  public struct Limits: Sendable, Equatable {
    /// NBD connections at a time.
    public var connections = standard.connectionsMax
    /// Time that a client has for its handshake.
    public var handshakeSeconds = standard.handshakeSeconds
    /// Requests of one connection in flight.
    public var requestsPerConnection = standard.requestsPerConnectionMax
    /// Requests of one reactor in flight.
    public var requestsPerReactor = standard.operationsPerReactorMax
    /// Bytes of those requests, per connection.
    public var bytesPerConnection = UInt64(standard.bytesPerConnectionMax)
    /// Bytes of those requests, per reactor.
    public var bytesPerReactor = UInt64(standard.bytesPerReactorMax)
    /// Time that a request waits for a store in another server's export.
    public var remoteHoldSeconds = standard.remoteHoldSeconds
    /// Bytes that such a store may have acknowledged and not flushed.
    public var remoteUnflushedBytes = UInt64(standard.remoteUnflushedBytes)

    /// What the service would do by itself.
    private static let standard = ServiceLimits()
  }

  /// How clients are served.
  public struct NBD: Sendable, Equatable {
    /// Whether replies in chunks are offered.
    public var structuredReplies = true
    /// How long a reactor with at most one request in flight polls before it sleeps.
    public var busyPollMicroseconds = 0
  }

  /// How copies are moved.
  public struct Moves: Sendable, Equatable {
    /// Extents that are moved at a time.
    public var inFlight = 2
    /// What all of them copy, at most.
    public var bytesPerSecond: UInt64 = 200 << 20
    /// After so many seconds the copies of a store that is away are replaced.
    public var replaceAfterSeconds = 600
  }

  /// How data at rest is looked after.
  public struct Scrub: Sendable, Equatable {
    /// How long nobody must have written to an extent before it is sealed; 0: none is.
    public var sealAfterSeconds = 300
    /// What sealing and scrubbing read, at most.
    public var bytesPerSecond: UInt64 = 64 << 20
    /// Days from the end of one scrub of everything to the beginning of the next; 0: only on request.
    public var everyDays = 30
  }

  /// What is done about stores that fail. The defaults are those of `HealthSettings`.
  public struct Health: Sendable, Equatable {
    /// Whether anything is; otherwise stores are only watched.
    public var act = true
    /// Score from which on a store gets new data only if no other can take it.
    public var noNewPlacementsScore = 40
    /// Score from which on its extents are moved elsewhere.
    public var evacuateScore = 70
    /// Score from which on it is not used.
    public var satOutScore = 90
    /// For how long a score must be at one of the first two.
    public var actAfterSeconds = 90
    /// Likewise at the third.
    public var sitOutAfterSeconds = 10
    /// For how long a store must be well before it is used as before.
    public var comeBackAfterSeconds = 300
    /// Likewise if it hung or could not be reached, and is there again.
    public var returnAfterSeconds = 10
    /// The program that asks devices.
    public var smartctl = "smartctl"
    /// How often it does; 0: never.
    public var smartctlSeconds = 600
  }

  /// How reads are foreseen.
  public struct Prediction: Sendable, Equatable {
    /// Whether they are.
    public var enabled = true
    /// What shadows may take of the fast tier, in percent.
    public var fastTierShare = 50
    /// What may be remembered of all volumes.
    public var memoryBytes: UInt64 = 256 << 20
  }

  /// What volumes get that were created without saying.
  public struct Volumes: Sendable, Equatable {
    /// Their extent size.
    public var extentBytes = ExtentSize.standard
  }

  /// What holds for a pool when nothing is set.
  public init(directory: String) {
    listen = [.unix(path: directory + "/nbd.sock")]
    api.listen = [.unix(path: Self.apiSocket(of: directory))]
  }

  /// Where the commands look for the daemon of a pool.
  public static func apiSocket(of directory: String) -> String {
    directory + "/api.sock"
  }

  /// The configuration file that is read if it is there.
  public static func standardFile(of directory: String) -> String {
    directory + "/gnomon.json5"
  }
}

/// What the command line sets; each replaces what the file says.
public struct ConfigurationOverrides: Sendable, Equatable {
  /// `--listen`
  public var listen: [String] = []
  /// `--reactors`, as it was written.
  public var reactors: String?
  /// `--log-level`
  public var logLevel: String?
  /// `--api-listen`
  public var apiListen: [String] = []
  /// `--read-only`
  public var readOnly: [String] = []

  /// Nothing is set.
  public init() {}
}
