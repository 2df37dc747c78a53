import HTTPService
import Platform
import Primitives

/// One key of the configuration file: where its value goes, what is allowed, and what it means.
///
/// The table `all` is the only place that knows the keys: the reader, the defaults and bounds in
/// docs/configuration.md, and the suggestions for misspelt keys all come from it.
struct Setting {
  /// From the top of the file, with dots: `limits.connections`.
  let path: String
  let kind: Kind
  /// A sentence or two, in Markdown.
  let summary: String

  enum Kind {
    case integer(WritableKeyPath<Configuration, Int>, ClosedRange<Int>)
    case size(WritableKeyPath<Configuration, UInt64>, ClosedRange<UInt64>)
    case extent(WritableKeyPath<Configuration, UInt64>)
    case flag(WritableKeyPath<Configuration, Bool>)
    case text(WritableKeyPath<Configuration, String>)
    case level(WritableKeyPath<Configuration, Log.Level>)
    case nbdEndpoints(WritableKeyPath<Configuration, [NBDEndpoint]>)
    case httpEndpoints(WritableKeyPath<Configuration, [HTTPEndpoint]>)
    case volumeNames(WritableKeyPath<Configuration, [String]>)
  }

  /// Places that can be listened on at a time, per list.
  static let endpointsMax = 16

  static var all: [Setting] {
    [
      Setting(
        path: "listen", kind: .nbdEndpoints(\.listen),
        summary: "Where NBD clients connect. Without it, sockets that a service manager hands over are used, "
          + "or else a unix socket in the pool's folder."),
      Setting(
        path: "reactors", kind: .integer(\.reactors, 0...16),
        summary: "Threads that serve requests, each with its own io_uring. 0: by the number of cores."),
      Setting(
        path: "readOnly", kind: .volumeNames(\.readOnly),
        summary: "Names of volumes that are exported read-only. Each must exist."),
      Setting(
        path: "api.listen", kind: .httpEndpoints(\.api.listen),
        summary:
          "Where the control API is served. The socket in the pool's folder is always among them, as the "
          + "commands look for the daemon there. "
          + "Only the daemon's own user can connect to a unix socket; **anyone who can connect by TCP "
          + "controls the daemon**, as there is no authentication."),
      Setting(
        path: "api.remote", kind: .flag(\.api.remote),
        summary: "Allows `api.listen` addresses other than the loopback."),
      Setting(
        path: "log.level", kind: .level(\.log.level),
        summary: "The least level of the lines that are written to stderr."),
      Setting(
        path: "limits.connections", kind: .integer(\.limits.connections, 1...65_536),
        summary: "NBD connections at a time; further ones are closed at once."),
      Setting(
        path: "limits.handshakeSeconds", kind: .integer(\.limits.handshakeSeconds, 1...3600),
        summary: "A client that has not finished its handshake by then is disconnected."),
      Setting(
        path: "limits.requestsPerConnection", kind: .integer(\.limits.requestsPerConnection, 1...1024),
        summary: "Requests of one connection that are worked on at a time; further ones wait in the socket."),
      Setting(
        path: "limits.requestsPerReactor", kind: .integer(\.limits.requestsPerReactor, 1024...16_383),
        summary: "Requests that one reactor works on at a time. Times `reactors`, at most 16383."),
      Setting(
        path: "limits.bytesPerConnection", kind: .size(\.limits.bytesPerConnection, 33 << 20...1 << 30),
        summary: "Bytes of requests in flight on one connection; has room for one request of 32 MiB."),
      Setting(
        path: "limits.bytesPerReactor", kind: .size(\.limits.bytesPerReactor, 33 << 20...16 << 30),
        summary: "Bytes of requests in flight on one reactor: what its buffers take. Not less than "
          + "`limits.bytesPerConnection`."),
      Setting(
        path: "limits.remoteHoldSeconds", kind: .integer(\.limits.remoteHoldSeconds, 1...3600),
        summary: "How long a request waits for a store in an export of another server, while that is away or "
          + "does not answer. Then it fails with EIO. A flush that fails so loses nothing: the next one "
          + "tries again."),
      Setting(
        path: "limits.remoteUnflushedBytes", kind: .size(\.limits.remoteUnflushedBytes, 64 << 20...16 << 30),
        summary:
          "Writes that a store in an export of another server has acknowledged and not flushed. "
          + "Copies of them are kept in memory, so that nothing is lost if the server dies and comes back; "
          + "when half of it is taken, the server is asked to flush."),
      Setting(
        path: "nbd.structuredReplies", kind: .flag(\.nbd.structuredReplies),
        summary:
          "Offers structured replies and extended headers. `false` leaves simple replies only: clients "
          + "made with libnbd, such as fio, then need two system calls less for a read, but they are not "
          + "told of holes, and there is no block status."),
      Setting(
        path: "nbd.busyPollMicroseconds", kind: .integer(\.nbd.busyPollMicroseconds, 0...1000),
        summary: "How long a reactor with at most one request in flight looks for the next event before it "
          + "sleeps. It learns from what waits took, and does not poll where they are longer. 200 shortens "
          + "writes that are flushed one by one, and takes up to a core while a client sends one request "
          + "after the other."),
      Setting(
        path: "volumes.extent", kind: .extent(\.volumes.extentBytes),
        summary: "Extent size of volumes that are created without one."),
      Setting(
        path: "moves.inFlight", kind: .integer(\.moves.inFlight, 1...64),
        summary:
          "Extents that are copied or moved between stores at a time. Each holds a buffer of 512 KiB in "
          + "a reactor while it copies; where extents are larger than 16 MiB, a 32nd of one."),
      Setting(
        path: "moves.bytesPerSecond", kind: .size(\.moves.bytesPerSecond, 64 << 10...64 << 30),
        summary: "How much all moves together copy per second, at most."),
      Setting(
        path: "moves.replaceAfterSeconds", kind: .integer(\.moves.replaceAfterSeconds, 0...604_800),
        summary: "How long a store may be out of reach until its copies are made anew in other stores. What "
          + "returns before that gets what it has missed."),
      Setting(
        path: "scrub.sealAfterSeconds", kind: .integer(\.scrub.sealAfterSeconds, 0...86_400),
        summary:
          "An extent that nobody has written to for so long, and up to twice as long, is read once and "
          + "sealed with its checksum. The next write to it waits for a flush. 0: nothing is sealed."),
      Setting(
        path: "scrub.bytesPerSecond", kind: .size(\.scrub.bytesPerSecond, 1 << 20...64 << 30),
        summary: "How much sealing and scrubbing each read per second, and scrubbing rewrites, at most."),
      Setting(
        path: "scrub.everyDays", kind: .integer(\.scrub.everyDays, 0...3650),
        summary:
          "All sealed copies are compared with their seals so many days after that was done last. 0: only "
          + "when `gnomon scrub start` asks for it."),
      Setting(
        path: "health.act", kind: .flag(\.health.act),
        summary:
          "Whether something is done about stores that fail ([health.md](health.md)). `false`: they are "
          + "watched and scored, and no more."),
      Setting(
        path: "health.noNewPlacementsScore", kind: .integer(\.health.noNewPlacementsScore, 11...100),
        summary: "The failure score from which on a store gets new data only if no other store can take it."),
      Setting(
        path: "health.evacuateScore", kind: .integer(\.health.evacuateScore, 11...100),
        summary: "The failure score from which on a store's extents are moved elsewhere. Not less than "
          + "`health.noNewPlacementsScore`."),
      Setting(
        path: "health.satOutScore", kind: .integer(\.health.satOutScore, 11...100),
        summary: "The failure score from which on a store is not used any more and shadows take over. Not "
          + "less than `health.evacuateScore`."),
      Setting(
        path: "health.actAfterSeconds", kind: .integer(\.health.actAfterSeconds, 1...86_400),
        summary: "For how long, on balance, a score must be at its threshold before placements stop or "
          + "evacuation begins."),
      Setting(
        path: "health.sitOutAfterSeconds", kind: .integer(\.health.sitOutAfterSeconds, 1...86_400),
        summary: "Likewise before a store is not used any more. One that hangs, or whose connection is down, "
          + "is not waited for."),
      Setting(
        path: "health.comeBackAfterSeconds", kind: .integer(\.health.comeBackAfterSeconds, 1...86_400),
        summary:
          "For how long a score must be 10 below its threshold, without interruption, before the store "
          + "comes back. Doubled for each time that it came and went in the last hours, up to 64 times."),
      Setting(
        path: "health.returnAfterSeconds", kind: .integer(\.health.returnAfterSeconds, 1...86_400),
        summary: "Likewise for a store that hung, or whose connection was down, when it is there again; at "
          + "most `health.comeBackAfterSeconds`."),
      Setting(
        path: "health.smartctl", kind: .text(\.health.smartctl),
        summary: "The program that asks devices for their S.M.A.R.T. data: a path, or a name that is looked "
          + "for in `PATH`. Without it, devices are not asked."),
      Setting(
        path: "health.smartctlSeconds", kind: .integer(\.health.smartctlSeconds, 0...604_800),
        summary: "How often each device is asked. 0: never."),
      Setting(
        path: "prediction.enabled", kind: .flag(\.prediction.enabled),
        summary:
          "Whether extents get shadows on the fast tier, the lowest that there is, when reads of them are "
          + "foreseen ([prediction.md](prediction.md)). In a pool of one tier nothing is done."),
      Setting(
        path: "prediction.fastTierShare", kind: .integer(\.prediction.fastTierShare, 1...90),
        summary:
          "What these shadows may take of the fast tier, in percent. They never take the last 5 % of a store."
      ),
      Setting(
        path: "prediction.memoryBytes", kind: .size(\.prediction.memoryBytes, 16 << 20...64 << 30),
        summary:
          "Memory for what is known of the accesses to all volumes; one takes an eighth at most. Volumes for "
          + "which none is left are not predicted."),
      Setting(
        path: "tiering.enabled", kind: .flag(\.tiering.enabled),
        summary:
          "Whether extents are moved to the tier that they belong on ([tiering.md](tiering.md)). In a pool "
          + "of one tier nothing is done."),
      Setting(
        path: "tiering.intervalSeconds", kind: .integer(\.tiering.intervalSeconds, 5...86_400),
        summary: "How often all extents are looked at."),
      Setting(
        path: "tiering.tier0Percent", kind: .integer(\.tiering.tier0Percent, 0...100),
        summary: "The volatility score, in percent, from which on an extent belongs on tier 0."),
      Setting(
        path: "tiering.tier1Percent", kind: .integer(\.tiering.tier1Percent, 0...100),
        summary:
          "Likewise on tier 1; below it, on tier 2. More than 10 below `tiering.tier0Percent`. Where "
          + "there is no such tier, the next slower one is meant."),
      Setting(
        path: "tiering.freePercent", kind: .integer(\.tiering.freePercent, 0...100),
        summary:
          "What is to stay free of each tier for new extents. Extents that belong on a slower tier are moved "
          + "down only as far as that takes, the coldest first. 100: all of them."),
      Setting(
        path: "tiering.archiveAfterDays", kind: .integer(\.tiering.archiveAfterDays, 0...36_500),
        summary: "An extent that nobody has accessed for so many days is moved to the slowest tier. 0: never."
      ),
      Setting(
        path: "tiering.memoryBytes", kind: .size(\.tiering.memoryBytes, 1 << 20...64 << 30),
        summary:
          "Memory for what is known of all extents, 32 bytes each. What finds no room counts as cold, and "
          + "is archived `tiering.archiveAfterDays` after that has happened last at the earliest."),
    ]
  }
}
