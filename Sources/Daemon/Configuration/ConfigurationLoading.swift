import Glibc
import HTTPService
import Platform
public import Primitives

extension Configuration {
  /// Largest configuration file that is read.
  static let fileBytesMax = 1 << 20

  /// Puts together defaults, file and command line, in this order, and checks the whole.
  ///
  /// - Parameters:
  ///   - directory: absolute path of the pool's folder.
  ///   - file: the file that was asked for, which must exist; nil reads `gnomon.json5` in the folder, if any.
  public static func resolve(
    directory: String, file: String?, overrides: ConfigurationOverrides = ConfigurationOverrides()
  ) throws(GnomonError) -> Configuration {
    var reader = ConfigurationReader(defaults: Configuration(directory: directory))
    let path = file ?? standardFile(of: directory)
    if let text = try read(path, mustExist: file != nil) {
      do {
        try reader.read(text)
        try reader.configuration.check()
      } catch {
        var error = error
        error.message = "\(path): \(error.message)"
        throw error
      }
    }
    try reader.apply(overrides)
    try reader.configuration.check()
    var configuration = reader.configuration
    // The commands look for the daemon there, whatever else is listened on.
    let own = HTTPEndpoint.unix(path: apiSocket(of: directory))
    if !configuration.api.listen.contains(own) { configuration.api.listen.insert(own, at: 0) }
    return configuration
  }

  /// The number of reactors on a machine with so many cores.
  ///
  /// All requests in flight must be fewer than `requestsInFlightMax`, so the choice by cores heeds that.
  public func reactorCount(cores: Int) -> Int {
    if reactors > 0 { return reactors }
    return max(1, min(cores, 16, Self.requestsInFlightMax / limits.requestsPerReactor))
  }

  /// Requests that may be in flight in the whole daemon: an extent's count of writers must not overflow.
  static let requestsInFlightMax = 16_383

  /// Checks what no single key can tell.
  package func check() throws(GnomonError) {
    guard reactorCount(cores: 1) * limits.requestsPerReactor <= Self.requestsInFlightMax else {
      throw GnomonError(
        .invalid, "'reactors' times 'limits.requestsPerReactor' is too much",
        cause: "\(reactors) times \(limits.requestsPerReactor) is more than \(Self.requestsInFlightMax)",
        remedy: "with this number of reactors, at most \(Self.requestsInFlightMax / max(1, reactors))")
    }
    guard limits.bytesPerConnection <= limits.bytesPerReactor else {
      throw GnomonError(
        .invalid, "'limits.bytesPerConnection' is more than 'limits.bytesPerReactor'",
        cause: "\(limits.bytesPerConnection) is more than \(limits.bytesPerReactor)",
        remedy: "lower the one or raise the other")
    }
    guard health.noNewPlacementsScore <= health.evacuateScore, health.evacuateScore <= health.satOutScore
    else {
      throw GnomonError(
        .invalid, "the scores of 'health' are not in order",
        cause: "noNewPlacementsScore \(health.noNewPlacementsScore), evacuateScore \(health.evacuateScore), "
          + "satOutScore \(health.satOutScore)",
        remedy: "none of them may be less than the one before it")
    }
    guard tiering.thresholds != nil else {
      throw GnomonError(
        .invalid, "the thresholds of 'tiering' contradict each other",
        cause: "tier0Percent \(tiering.tier0Percent), tier1Percent \(tiering.tier1Percent)",
        remedy: "'tiering.tier1Percent' must be more than 10 below 'tiering.tier0Percent'")
    }
    if !api.remote, let place = api.listen.first(where: { !$0.isLocal }) {
      throw GnomonError(
        .invalid, "'api.listen' has an address that other machines can reach: \(place)",
        cause: "the control API has no authentication",
        remedy: "listen on 127.0.0.1, or allow it with 'api.remote: true' in the configuration file")
    }
  }

  private static func read(_ path: String, mustExist: Bool) throws(GnomonError) -> [UInt8]? {
    do throws(SystemError) {
      let file = try FileDescriptor.open(path, O_RDONLY | O_NONBLOCK)
      var text = [UInt8](repeating: 0, count: fileBytesMax + 1)
      let count = try readAll(file, &text)
      guard count <= fileBytesMax else { throw SystemError("read", path, errno: EFBIG) }
      return Array(text[..<count])
    } catch {
      if error.errno == ENOENT, !mustExist { return nil }
      throw GnomonError(
        .system, "can not read the configuration file \(path)", cause: error.description,
        remedy: mustExist ? "check the path given with --config" : "check the file, or remove it")
    }
  }

  private static func readAll(
    _ file: borrowing FileDescriptor, _ text: inout [UInt8]
  ) throws(SystemError) -> Int {
    do {
      return try unsafe text.withUnsafeMutableBytes { try unsafe file.read(into: $0, at: 0) }
    } catch let error as SystemError {
      throw error
    } catch {
      throw SystemError("pread", file.subject, errno: EIO)
    }
  }
}

extension ConfigurationReader {
  /// Applies the command line. Errors name the option rather than the key.
  mutating func apply(_ overrides: ConfigurationOverrides) throws(GnomonError) {
    func texts(_ values: [String]) -> JSONValue { .array(values.map { .string($0) }) }
    if !overrides.listen.isEmpty { try set("listen", to: texts(overrides.listen), from: "--listen") }
    if !overrides.apiListen.isEmpty {
      try set("api.listen", to: texts(overrides.apiListen), from: "--api-listen")
    }
    if !overrides.readOnly.isEmpty { try set("readOnly", to: texts(overrides.readOnly), from: "--read-only") }
    if let level = overrides.logLevel { try set("log.level", to: .string(level), from: "--log-level") }
    if let text = overrides.reactors {
      try set("reactors", to: Int64(text).map { .integer($0) } ?? .string(text), from: "--reactors")
    }
  }

  private mutating func set(_ path: String, to value: JSONValue, from option: String) throws(GnomonError) {
    do {
      try set(path, to: value)
    } catch {
      var error = error
      error.message = "\(option): \(error.message)"
      throw error
    }
  }
}
