public import HTTPService
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
  public var api = API()
  public var log = Logging()
  public var limits = Limits()
  public var volumes = Volumes()
  /// Names of volumes that are exported read-only, whatever the catalog says.
  public var readOnly: [String] = []

  /// The control API.
  public struct API: Sendable, Equatable {
    public var listen: [HTTPEndpoint] = []
    /// Allows addresses that other machines can reach.
    public var remote = false
  }

  /// What is written to stderr.
  public struct Logging: Sendable, Equatable {
    public var level: Log.Level = .info
  }

  /// Bounds of what clients can take.
  public struct Limits: Sendable, Equatable {
    public var connections = 1024
    public var handshakeSeconds = 10
    public var requestsPerConnection = 256
    public var requestsPerReactor = 1024
    public var bytesPerConnection: UInt64 = 40 << 20
    public var bytesPerReactor: UInt64 = 96 << 20
  }

  /// What volumes get that were created without saying.
  public struct Volumes: Sendable, Equatable {
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
  public var listen: [String] = []
  public var reactors: String?
  public var logLevel: String?
  public var apiListen: [String] = []
  public var readOnly: [String] = []

  public init() {}
}
