import HTTPService
import Primitives
import Replay

extension Command {
  private static let policy = OptionSpec(
    name: "policy", value: "NAMES", summary: "policies, with commas between; without it, all")
  private static let fastTier = OptionSpec(
    name: "fast-tier", value: "SHARE",
    summary: "size of the fast tier, as a share of what is touched or as a size; without it, 10%")
  private static let extentSize = OptionSpec(
    name: "extent-size", value: "SIZE", summary: "size of extents; without it, 1MiB")
  private static let promotionLatency = OptionSpec(
    name: "promotion-latency", value: "TIME", summary: "how long a copy takes; without it, 10ms")
  private static let skipBad = OptionSpec(
    name: "skip-bad", summary: "leave out lines that cannot be read")

  /// `gnomon replay`
  static let replay = Command(
    spec: CommandSpec(
      path: ["replay"], summary: "Play recorded traces to Gnomon and to other policies of tiering",
      positionals: [PositionalSpec(name: "FILE", isRepeatable: true)],
      options: [policy, fastTier, extentSize, promotionLatency, skipBad, .json],
      details: [
        "A trace is CSV with the header time_us,op,offset_bytes,length_bytes and op being R or W, compressed "
          + "with gzip or not. It is played in virtual time; nothing is moved.",
        "WORK is what the slow tier has to do for 1000 requests: those that it serves, and the copies, "
          + "each of which costs 1 and its size in MiB; without tiering it is 1000. In WORK-RT a copy serves "
          + "the request that caused it and those that arrive while it is made.",
        "Policies: "
          + PolicyKind.allCases.map { "\($0.rawValue) (\($0.summary))" }.joined(separator: ", ") + ".",
      ],
      examples: [
        .init(
          text: "Would a fast tier of 5 % of what is used pay?",
          line: "gnomon replay --fast-tier 5% --policy gnomon,lru,none trace.csv.gz")
      ])
  ) { run in
    let setup = try ReplaySetup(run)
    var report = ReplayReport()
    for file in run.arguments.positionals {
      let path = AbsolutePath.of(file, from: run.context.workingDirectory)
      report.traces.append(try setup.replay(path, run.context))
    }
    run.show(report) { report.text }
    return .ok
  }
}

/// What the options of `gnomon replay` ask for.
struct ReplaySetup {
  var policies: [PolicyKind] = []
  var extentBytes: UInt32 = 1 << 20
  var copyMicroseconds: UInt64 = 10_000
  var fastTier = FastTierSize.share(0.1)
  var skipsBad = false

  enum FastTierSize: Equatable {
    case share(Double)
    case bytes(UInt64)

    func extents(of trace: ExtentTrace, extentBytes: UInt32) -> Int {
      switch self {
      case .share(let share): max(Int((Double(trace.footprint) * share).rounded()), 1)
      case .bytes(let bytes): Int(min(max(bytes / UInt64(extentBytes), 1), UInt64(trace.footprint)))
      }
    }
  }

  init(_ run: Invocation) throws {
    func value(_ name: String) -> String? { run.arguments.options[name]?.last }
    func wrong(_ name: String, _ remedy: String) -> GnomonError {
      GnomonError(.invalid, "wrong \(name) '\(value(name) ?? "")'", remedy: remedy)
    }
    policies = try Self.policies(value("policy") ?? "all")
    if let text = value("extent-size") {
      let allowed: ClosedRange<UInt64> = 1 << 16...1 << 26
      guard let size = ByteSize(parsing: text), allowed.contains(size.rawValue),
        size.rawValue.nonzeroBitCount == 1
      else { throw wrong("extent-size", "a power of two from 64KiB to 64MiB") }
      extentBytes = UInt32(size.rawValue)
    }
    if let text = value("promotion-latency") {
      guard let time = Self.microseconds(text) else {
        throw wrong("promotion-latency", "a time is written like 0, 500us, 10ms or 1s; at most 1h")
      }
      copyMicroseconds = time
    }
    if let text = value("fast-tier") {
      guard let size = Self.fastTier(text) else {
        throw wrong("fast-tier", "a share is written like 10%, above 0% and up to 100%; " + ByteSize.hint)
      }
      fastTier = size
    }
    skipsBad = run.arguments.options["skip-bad"] != nil
  }

  static func policies(_ text: String) throws -> [PolicyKind] {
    if text == "all" { return PolicyKind.allCases }
    return try text.split(separator: ",", omittingEmptySubsequences: false).map { name in
      guard let kind = PolicyKind(rawValue: String(name)) else {
        throw GnomonError(
          .invalid, "there is no policy '\(name)'",
          remedy: NearestName.remedy(for: String(name), among: PolicyKind.allCases.map(\.rawValue)))
      }
      return kind
    }
  }

  static func fastTier(_ text: String) -> FastTierSize? {
    if text.last == "%" {
      guard let percent = Double(text.dropLast()), percent > 0, percent <= 100 else { return nil }
      return .share(percent / 100)
    }
    guard let size = ByteSize(parsing: text), size.rawValue > 0 else { return nil }
    return .bytes(size.rawValue)
  }

  static func microseconds(_ text: String) -> UInt64? {
    if text == "0" { return 0 }
    let digits = text.prefix { $0.isASCII && $0.isNumber }
    let units: [Substring: UInt64] = ["us": 1, "ms": 1000, "s": 1_000_000]
    guard let number = UInt64(digits), let unit = units[text.dropFirst(digits.count)],
      number <= 3_600_000_000 / unit
    else { return nil }
    return number * unit
  }

  /// What a copy costs, in requests to the slow tier: one, and the transfer of an extent, of which a MiB
  /// takes as long as a request.
  var copyCost: Double { 1 + Double(extentBytes) / Double(1 << 20) }

  /// Plays one trace to all policies.
  func replay(_ path: String, _ context: CommandContext) throws -> ReplayReport.TraceReport {
    let trace = try Trace(path: path, skippingBad: skipsBad)
    if trace.skippedLines > 0 {
      context.errors.write("gnomon: \(Table.printable(path)): \(trace.skippedLines) bad lines left out\n")
    }
    let cut = try ExtentTrace(trace, extentBytes: extentBytes)
    let capacity = fastTier.extents(of: cut, extentBytes: extentBytes)
    let results = policies.map { kind in
      cut.replay(kind, capacity: capacity, copyCost: copyCost, copyMicroseconds: copyMicroseconds) { done in
        guard context.isTerminal else { return }
        context.errors.write(
          "\r\(Table.printable(trace.name)): \(kind.rawValue) \(Int(done * 100)) %\u{1B}[K")
      }
    }
    if context.isTerminal { context.errors.write("\r\u{1B}[K") }
    return .init(
      trace: trace.name, requests: trace.requests.count, footprintExtents: cut.footprint,
      fastTierExtents: capacity, policies: results.map(ReplayReport.PolicyReport.init))
  }
}
